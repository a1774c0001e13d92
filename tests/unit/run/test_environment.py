import pytest

from bodycam.run.environment import Bypass, bypasses, child_environment, detours, secret_names
from bodycam.run.gateway import Reachable

ORDERS = Reachable("orders", "postgres", ("db.internal:5432",))
LOCAL = Reachable("local", "postgres", ("127.0.0.1:5432",))


@pytest.mark.parametrize(
    "value",
    [
        "postgresql://app:pw@db.internal:5432/orders",
        "postgres://DB.INTERNAL./orders",
        "postgresql+asyncpg://app@db.internal/x?sslmode=require",
        "jdbc:postgresql://db.internal:5432/orders",
        "postgresql://other:1,db.internal:5432/x",
        "postgresql:///x?host=db.internal",
        "http://db.internal:6432/pool",
        "see 'postgresql://app@db.internal/x' for more",
    ],
)
def test_urls_that_name_the_real_host(value: str) -> None:
    assert bypasses({"DATABASE_URL": value}, [ORDERS]) == [Bypass("DATABASE_URL", "orders")]


@pytest.mark.parametrize(
    "value",
    ["postgresql://app@db.internal.example/x", "db.internal", "https://example.org/db.internal", "://", ""],
)
def test_values_that_do_not(value: str) -> None:
    assert bypasses({"DATABASE_URL": value}, [ORDERS]) == []


def test_on_loopback_the_port_must_fit_too() -> None:
    assert bypasses({"A": "postgresql://localhost/x"}, [LOCAL]) == [Bypass("A", "local")]
    assert bypasses({"A": "postgresql://[::1]:5432/x"}, [LOCAL]) == [Bypass("A", "local")]
    assert bypasses({"http_proxy": "http://127.0.0.1:3128"}, [LOCAL]) == []


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("https://db.internal/v1", False),
        ("http://db.internal:6432/pool", False),
        ("wss://db.internal/live", False),
        ("git+https://db.internal/repo", False),
        ("https://x/?host=db.internal", False),
        ("redis://db.internal:6379", True),
        ("https://db.internal/v1 postgresql://db.internal/orders", True),
    ],
)
def test_urls_that_a_proxy_carries_are_no_bypass(value: str, found: bool) -> None:
    assert bool(bypasses({"BASE_URL": value}, [ORDERS], {"http", "https", "ws", "wss"})) is found


def test_our_own_variables_are_not_looked_into() -> None:
    assert bypasses({"BODYCAM_URL": "http://db.internal:7888"}, [ORDERS]) == []


def test_detours_secrets_and_the_childs_environment() -> None:
    environ = {
        "PGSERVICE": "x",
        "PGCHANNELBINDING": "require",
        "BODYCAM_API_KEY": "k",
        "AWS_SECRET_ACCESS_KEY": "s",
        "EMPTY_TOKEN": "",
        "HOME": "/h",
        "PGUSER": "me",
    }
    unset = detours(environ, ["postgres"])
    assert unset == ["PGSERVICE", "PGCHANNELBINDING"]
    assert secret_names(environ) == ["AWS_SECRET_ACCESS_KEY"]
    assert child_environment(environ, {"PGUSER": "run_x"}, unset) == {
        "AWS_SECRET_ACCESS_KEY": "s",
        "EMPTY_TOKEN": "",
        "HOME": "/h",
        "PGUSER": "run_x",
    }
