"""People sign in at a real SAML provider, in the browser and for the command line, and their runs bear their names."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests import stage
from tests.interop.saml_provider import GROUPS, Browser, SamlProvider, Unavailable, installed, key_pair

SECONDS = 60


@pytest.fixture(scope="module")
def provider() -> Iterator[SamlProvider]:
    try:
        installed()
    except Unavailable as error:
        pytest.skip(str(error))
    with stage.folder() as folder:
        one = SamlProvider(folder)
        one.start()
        try:
            yield one
        finally:
            one.stop()


@pytest.fixture(scope="module")
def gateway(server: stage.Postgres, provider: SamlProvider) -> Iterator[stage.Gateway]:
    key, certificate = key_pair(provider.folder, "gateway")
    with stage.folder() as folder:
        one = stage.Gateway(folder / "g", {"shop": stage.shop(server)})
        one.more(
            identity={
                "sign_ins": {"url": f"https://localhost:{one.control}"},
                "providers": [setting(provider, "sso", key=str(key), certificate=str(certificate))],
            },
            roles={"admin": {"groups": ["admins"]}},
            agents={"billing-bot": {"owner": "payments", "may_start": {"groups": ["admins", "devs"]}}},
        )
        one.init()
        one.start()
        try:
            provider.meets(one, "sso")
            yield one
        finally:
            one.stop()


def setting(provider: SamlProvider, name: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "type": "saml",
        "metadata_url": f"{provider.url}/metadata",
        "groups": GROUPS,
        **more,
    }


def test_a_person_signs_in_in_the_browser_and_out_again(
    gateway: stage.Gateway, provider: SamlProvider
) -> None:
    with Browser(gateway, "ann") as browser:
        page = browser.go("/sign-in/start?provider=sso")
        assert "You are signed in" in page.text, page.text[-500:] + str(browser.seen)
        assert "ann@sso" in page.text
