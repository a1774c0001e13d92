"""API keys: what proves an account, and what no longer does."""

from dataclasses import dataclass, replace

import pytest

from bodycam.identity import api_keys
from bodycam.identity.accounts import ServiceAccount
from bodycam.identity.failures import MAX_KEYS, FailedLogins

ISSUED = api_keys.issue(100.0, 50.0)
STORED = api_keys.StoredKey(ISSUED.id, ISSUED.digest, ServiceAccount("ci", frozenset({"g"})), ISSUED.expires)


@dataclass
class Store:
    stored: api_keys.StoredKey

    async def stored_key(self, key: str) -> api_keys.StoredKey | None:
        return self.stored if key == self.stored.id else None


async def test_a_key_proves_its_account_until_it_expires() -> None:
    proved = await api_keys.verify(ISSUED.text, Store(STORED), 149.0)
    assert proved is not None
    assert (str(proved.principal), proved.principal.groups, proved.key) == ("ci@bodycam", {"g"}, ISSUED.id)
    assert await api_keys.verify(ISSUED.text, Store(STORED), 150.0) is None


@pytest.mark.parametrize(
    "stored",
    [
        replace(STORED, revoked=True),
        replace(STORED, account=ServiceAccount("ci", disabled=True)),
        replace(STORED, digest=bytes(32)),
    ],
)
async def test_a_key_that_is_no_longer_good(stored: api_keys.StoredKey) -> None:
    assert await api_keys.verify(ISSUED.text, Store(stored), 101.0) is None


@pytest.mark.parametrize(
    "text",
    ["", "bca_", "bca_key_x_", ISSUED.text + "x", ISSUED.text[:-1], "bcr_run_a_b", "x" * 999],
    ids=["empty", "prefix", "no secret", "longer", "shorter", "run credential", "long"],
)
async def test_text_that_is_no_key(text: str) -> None:
    assert await api_keys.verify(text, Store(STORED), 101.0) is None


def test_the_key_itself_is_not_in_what_is_printed() -> None:
    assert ISSUED.text not in repr(ISSUED)


def test_a_flood_of_failures_is_counted_within_bounds() -> None:
    failures = FailedLogins(lambda: 5.0)
    for number in range(MAX_KEYS + 50):
        failures.add("bad-credential", f"name\n{number}", "10.0.0.1")
    drained = failures.drain()
    assert len(drained) == MAX_KEYS + 1
    assert sum(failed.count for failed in drained) == failures.total == MAX_KEYS + 50
    assert drained[0].name == "name?0"
    assert failures.drain() == []
