"""The end of a turn: one commit for all links that moved, then each lets go what the journal holds."""

import asyncio

from bodycam.gateway.link import ProxyLink
from bodycam.gateway.turn import ALONE_AFTER, GATHERED_MOST, Turn
from tests.unit.gateway.played import PlayedJournal, PlayedServices, Stage


class Turning(PlayedServices):
    """Services whose links settle together."""

    def __init__(self, journal: PlayedJournal) -> None:
        super().__init__(journal)
        self.turn = Turn(journal)

    def read(self, link: ProxyLink) -> None:
        self.turn.read(link)

    def moved(self, link: ProxyLink) -> None:
        self.turn.moved(link)


def two(journal: PlayedJournal) -> tuple[Turning, Stage, Stage]:
    services = Turning(journal)
    first, second = Stage(journal, services), Stage(journal, services)
    first.open(1), second.open(2)
    return services, first, second


async def turn_over() -> None:
    """Let the loop come to the end of its turn."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_what_two_links_recorded_in_a_turn_is_committed_once_and_before_anything_leaves() -> None:
    journal = PlayedJournal()
    _, first, second = two(journal)
    await turn_over()
    before = journal.pending
    first.client_side.data_received(b"one")
    second.client_side.data_received(b"two")
    assert first.target.written == second.target.written == []

    await turn_over()

    assert journal.pending == before + 1
    assert (first.target.written, second.target.written) == ([b"one"], [b"two"])
    assert first.target.committed == second.target.committed == [len(journal.kinds)]


async def test_what_waits_for_the_disk_leaves_when_the_disk_has_it() -> None:
    journal = PlayedJournal(strict=True)
    services, first, second = two(journal)
    journal.on_release = lambda: services.turn.released(lambda: [first.link, second.link])
    first.client_side.data_received(b"one")
    await turn_over()
    assert first.target.written == []

    journal.release()

    assert first.target.written == [b"one"]


async def test_a_cut_is_told_to_the_client_when_the_disk_has_it_too() -> None:
    journal = PlayedJournal(strict=True)
    services, first, second = two(journal)
    journal.on_release = lambda: services.turn.released(lambda: [first.link, second.link])
    await turn_over()
    journal.release()
    first.link.send_client(b"before the end")
    first.link.cut("over")
    await turn_over()

    journal.release()
    await turn_over()

    assert not first.client.open, "a link that settled by itself is not forgotten"


async def test_a_journal_that_fails_ends_the_links_that_moved() -> None:
    journal = PlayedJournal()
    services, first, second = two(journal)
    await turn_over()
    journal.broken = "the disk is gone"
    first.client_side.data_received(b"one")
    await turn_over()

    assert services.gone == [first.link]
    assert first.target.written == []
    assert second.client.open


async def test_a_fault_at_one_link_keeps_nothing_from_the_others() -> None:
    journal = PlayedJournal()
    services, first, second = two(journal)
    await turn_over()

    def broken(data: bytes) -> None:
        raise RuntimeError("no such transport")

    first.target.write = broken  # type: ignore[method-assign]
    first.client_side.data_received(b"one")
    second.client_side.data_received(b"two")
    await turn_over()

    assert second.target.written == [b"two"]
    assert services.gone == [first.link]


async def test_a_great_deal_does_not_wait_for_the_end_of_the_turn() -> None:
    class Full(PlayedJournal):
        @property
        def gathered(self) -> int:
            return GATHERED_MOST + 1 if len(self.kinds) > self.committed else 0

    journal = Full()
    _, first, _ = two(journal)
    first.client_side.data_received(b"one")

    assert first.target.written == [b"one"]


async def test_a_link_that_moves_alone_does_not_wait_for_the_end_of_the_turn() -> None:
    journal = PlayedJournal()
    _, first, second = two(journal)
    await turn_over()
    for _ in range(ALONE_AFTER + 1):
        first.client_side.data_received(b"one")
    assert first.target.written == [], "others may move in this turn"
    await turn_over()
    first.target.written.clear()

    first.client_side.data_received(b"alone")
    assert first.target.written == [b"alone"]
    assert first.target.committed[-1] == len(journal.kinds)

    first.link.machine.from_client(b"stirred")
    first.link.stir()
    assert first.target.written == [b"alone"], "it may be amid something"
    await turn_over()
    first.target.written.remove(b"stirred")

    second.client_side.data_received(b"two")
    first.client_side.data_received(b"gathered")
    assert (first.target.written, second.target.written) == ([b"alone"], [])
    await turn_over()
    assert (first.target.written, second.target.written) == ([b"alone", b"gathered"], [b"two"])
