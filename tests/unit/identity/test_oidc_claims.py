"""Where claims lie, and what groups come of them."""

from typing import Any

import pytest

from bodycam.config.providers import Provider, Workload
from bodycam.identity.oidc.claims import claim_at, fits, principal_of
from bodycam.identity.oidc.failure import Reason, TokenRefused


def provider(**more: Any) -> Provider:
    return Provider.model_validate(
        {"name": "corp", "type": "oidc", "issuer": "https://i", "client_id": "c", **more}
    )


CLAIMS = {
    "realm_access": {"roles": ["a", "b"]},
    "kubernetes.io": {"namespace": "batch", "pod.name": "p"},
    "https://corp.example/groups": ["x"],
    "a": {"b": 1},
    "a.b": 2,
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("realm_access.roles", ["a", "b"]),
        ("kubernetes.io.namespace", "batch"),
        ("kubernetes.io.pod.name", "p"),
        ("https://corp.example/groups", ["x"]),
        ("a.b", 2),
        ("a.b.c", None),
        ("realm_access", {"roles": ["a", "b"]}),
        ("realm_access.roles.0", None),
        ("", None),
        (".", None),
    ],
)
def test_a_claim_is_found_by_its_path(path: str, value: Any) -> None:
    assert claim_at(CLAIMS, path) == value


@pytest.mark.parametrize(
    ("value", "groups"),
    [
        (["devs", "Domain Admins"], {"devs", "Domain Admins"}),
        ("devs", {"devs"}),
        ("devs ops", {"devs", "ops"}),
        ([], set()),
        ("", set()),
        (None, set()),
    ],
)
def test_groups_are_a_list_one_text_or_a_text_with_blanks(value: Any, groups: set[str]) -> None:
    claims = {"sub": "ann", "roles": {"here": value}}
    principal, _ = principal_of(claims, provider(groups="roles.here"))
    assert principal.groups == groups
    prefixed, _ = principal_of(claims, provider(groups="roles.here", group_prefix="corp:"))
    assert prefixed.groups == {f"corp:{one}" for one in groups}


def test_groups_that_the_settings_do_not_name_are_not_taken() -> None:
    principal, _ = principal_of({"sub": "ann", "groups": ["admins"]}, provider())
    assert principal.groups == frozenset()


def test_another_claim_may_name_the_person() -> None:
    principal, _ = principal_of({"sub": "1", "email": "ann@corp.example"}, provider(subject="email"))
    assert str(principal) == "ann@corp.example@corp"
    for claims in ({"sub": "1"}, {"email": "ann@corp.example"}):
        with pytest.raises(TokenRefused) as caught:
            principal_of(claims, provider(subject="email"))
        assert caught.value.reason is Reason.NO_SUBJECT


def test_an_address_that_the_provider_did_not_check_names_nobody() -> None:
    with pytest.raises(TokenRefused) as caught:
        principal_of({"sub": "1", "email": "ann@x", "email_verified": False}, provider(subject="email"))
    assert caught.value.reason is Reason.CLAIMS


@pytest.mark.parametrize(
    ("wanted", "value", "right"),
    [
        ("*", "", True), ("*", "any/thing", True), ("a*", "a", True), ("a*", "ba", False), ("*a", "ba", True),
        ("a*c", "abc", True), ("a*c", "ac", True), ("ab*bc", "abc", False), ("a*b*c", "axbxc", True),
        ("a*b*b*c", "abc", False), ("a**c", "abc", True), ("a.c", "abc", False), ("[ab]", "a", False),
        ("A", "a", False), ("a", "a\n", False), ("true", True, True), ("7", 7, True), ("x", ["y", "x"], True),
        ("x", [["x"]], False), ("x", {"x": 1}, False), ("*", None, False), ("*", [], False),
    ],
)  # fmt: skip
def test_a_condition_fits_whole_values(wanted: str, value: Any, right: bool) -> None:
    assert fits({"claim": value}, Workload(when={"claim": (wanted,)}, agent="a")) is right
