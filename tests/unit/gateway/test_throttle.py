"""Links that are slowed down read in some ticks and in others not, new ones like old ones."""

from dataclasses import dataclass, field

from bodycam.gateway.throttle import PERIOD, Throttle


@dataclass(eq=False)
class Link:
    reading: dict[str, bool] = field(default_factory=lambda: {"client": True, "target": True})

    def pause(self, side: str, why: str) -> None:
        assert self.reading[side], "paused twice"
        self.reading[side] = False

    def resume(self, side: str, why: str) -> None:
        assert not self.reading[side], "resumed twice"
        self.reading[side] = True

    @property
    def still(self) -> bool:
        assert len(set(self.reading.values())) == 1
        return not self.reading["client"]


def test_one_tick_in_several_is_for_reading() -> None:
    throttle, link = Throttle(), Link()
    seen = []
    for _ in range(3 * PERIOD):
        throttle.tick([link], slow=True)
        seen.append(link.still)

    assert seen == [*[True] * (PERIOD - 1), False] * 3


def test_a_link_that_comes_later_is_slowed_down_as_well() -> None:
    throttle, links = Throttle(), [Link()]
    throttle.tick(links, slow=True)
    links.append(Link())
    throttle.tick(links, slow=True)

    assert [link.still for link in links] == [True, True]


def test_all_read_again_at_once_when_there_is_room() -> None:
    throttle, links = Throttle(), [Link(), Link()]
    throttle.tick(links, slow=True)
    gone = links.pop()
    throttle.tick(links, slow=False)

    assert not links[0].still
    assert not gone.still
    throttle.tick(links, slow=False)
    throttle.tick(links, slow=True)
    assert links[0].still
