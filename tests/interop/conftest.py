"""One server and one gateway for all of these tests."""

from collections.abc import Iterator

import pytest

from tests import stage


@pytest.fixture(scope="session")
def server() -> Iterator[stage.Postgres]:
    with stage.postgres() as running:
        yield running


@pytest.fixture(scope="session")
def port_between() -> int:
    """Where a test may put somebody between the gateway and the server."""
    return stage.free_port()


@pytest.fixture(scope="session")
def gateway(server: stage.Postgres, port_between: int) -> Iterator[stage.Gateway]:
    with stage.folder() as folder:
        targets = {
            "shop": stage.shop(server),
            "down": stage.shop(server, address="127.0.0.1:1"),
            **{
                f"by-{name}": stage.shop(server, user=f"{name}_user", password={"env": "TARGET_PASSWORD"})
                for name in ("scram", "md5", "clear")
            },
            "wrong-password": stage.shop(server, user="scram_user", password={"env": "WRONG_PASSWORD"}),
            "no-password": stage.shop(server, user="scram_user"),
            **{
                f"tls-{mode}": stage.shop(server, tls={"sslmode": mode, "ca_file": str(server.ca_file)})
                for mode in ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
            },
            **{
                f"bound-{binding}": stage.shop(
                    server,
                    user="scram_user",
                    password={"env": "TARGET_PASSWORD"},
                    tls={"sslmode": "require", "channel_binding": binding},
                )
                for binding in ("disable", "prefer", "require")
            },
            **{
                f"between-{binding}": stage.shop(
                    server,
                    address=f"127.0.0.1:{port_between}",
                    user="scram_user",
                    password={"env": "TARGET_PASSWORD"},
                    tls={"sslmode": "prefer", "channel_binding": binding},
                )
                for binding in ("disable", "prefer", "require")
            },
            "bound-md5": stage.shop(
                server,
                user="md5_user",
                password={"env": "TARGET_PASSWORD"},
                tls={"sslmode": "require", "channel_binding": "require"},
            ),
            "bound-plain": stage.shop(
                server,
                user="scram_user",
                password={"env": "TARGET_PASSWORD"},
                tls={"sslmode": "allow", "channel_binding": "require"},
            ),
            "bound-trust": stage.shop(server, tls={"sslmode": "require", "channel_binding": "require"}),
            **{
                f"by-cert-{mode}": stage.shop(server, user="cert_user", tls={"sslmode": mode, **own(server)})
                for mode in ("prefer", "require", "verify-full")
            },
            "no-cert": stage.shop(server, user="cert_user", tls={"sslmode": "require"}),
            "lost-key": stage.shop(
                server, user="cert_user", tls={**own(server), "client_key": str(folder / "lost.key")}
            ),
            "other-ca": stage.shop(
                server,
                tls={"sslmode": "verify-full", "ca_file": str(folder / "g/keys/public/listener-ca.pem")},
            ),
            "other-name": stage.shop(
                server,
                address=f"localhost:{server.port}",
                tls={"sslmode": "verify-full", "ca_file": str(server.ca_file)},
            ),
        }
        made = stage.Gateway(folder / "g", targets, workers=2, limits={"login_timeout": "3s"})
        made.init()
        made.start(TARGET_PASSWORD=stage.PASSWORD, WRONG_PASSWORD="not-it")
        try:
            yield made
        finally:
            made.stop()


def own(server: stage.Postgres) -> dict[str, str]:
    """The settings of the gateway's own certificate at the server."""
    return {
        "ca_file": str(server.ca_file),
        "client_cert": str(server.client_cert),
        "client_key": str(server.client_key),
    }


@pytest.fixture
def run(gateway: stage.Gateway) -> stage.Credential:
    """A fresh run; what it did is looked at by its id."""
    return gateway.run()
