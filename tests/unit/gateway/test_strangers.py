"""Those who never said who they are are counted, within a bound."""

from bodycam.gateway.strangers import MAX_HOSTS, Stranger, Strangers


def test_they_are_counted_by_what_was_wrong_and_by_host() -> None:
    strangers = Strangers()
    for port in (1, 2, 3):
        strangers.add(Stranger.NONSENSE, f"10.0.0.7:{port}")
    strangers.add(Stranger.SILENT, "fe80::1:5000")

    assert strangers.drain() == [("nonsense", "10.0.0.7", 3), ("no-login-in-time", "fe80::1", 1)]
    assert strangers.drain() == []


def test_a_flood_of_hosts_is_counted_together() -> None:
    strangers = Strangers()
    for number in range(MAX_HOSTS + 50):
        strangers.add(Stranger.NONSENSE, f"h{number}:1")

    counted = strangers.drain()
    assert len(counted) == MAX_HOSTS + 1
    assert counted[-1] == ("nonsense", "", 50)
