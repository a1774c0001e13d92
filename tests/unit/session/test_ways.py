"""The ways to targets that may refuse a token: renewed for the session that has one, and kept no longer than that."""

from pathlib import Path

from bodycam.config import parse
from bodycam.config.settings import Settings
from bodycam.model.target import Dial
from bodycam.session.open_sessions import OpenSessions
from bodycam.session.ways import KEPT_FIRST, Way, Ways
from bodycam.targets.dials import TargetUnready
from tests.made_up import WITH_WEB

SETTINGS = parse(
    "targets:\n  api: {protocol: web, address: 'api:443'}\n",
    file="f",
    folder=Path("/srv"),
    protocols=WITH_WEB,
)
OLD, NEW = Dial("api", 443, "", "", lasts=9.0), Dial("api", 443, "new", "", lasts=9.0)


def way(target: str = "api") -> Way:
    return Way(target, None, ("api", 443), "run_a/ses_a", OLD)


async def test_a_session_is_renewed_by_what_its_way_was_made_of_and_from_its_last_one() -> None:
    asked = []

    async def renew(
        _: Settings, name: str, database: str | None, host: tuple[str, int] | None, who: str, used: Dial
    ) -> Dial | None:
        asked.append((name, database, host, who, used))
        return NEW if used is OLD else None

    ways = Ways(renew)
    ways.keep("ses_a", way(), OpenSessions())
    assert await ways.renew("ses_a", SETTINGS) is NEW
    assert await ways.renew("ses_a", SETTINGS) is None
    assert asked == [("api", None, ("api", 443), "run_a/ses_a", one) for one in (OLD, NEW)]
    assert await ways.renew("ses_b", SETTINGS) is None
    ways.forget("ses_a")
    assert await ways.renew("ses_a", SETTINGS) is None
    # a target that the settings have no more
    ways.keep("ses_c", way("gone"), OpenSessions())
    assert await ways.renew("ses_c", SETTINGS) is None
    assert len(asked) == 2


async def test_where_none_is_to_be_had_there_is_none() -> None:
    async def renew(*_: object) -> Dial | None:
        raise TargetUnready("the token server is away")

    ways = Ways(renew)
    ways.keep("ses_a", way(), OpenSessions())
    assert await ways.renew("ses_a", SETTINGS) is None


async def test_the_ways_of_sessions_that_a_lost_worker_had_go_in_time() -> None:
    async def renew(*_: object) -> Dial | None:
        return NEW

    ways, sessions = Ways(renew), OpenSessions()
    sessions.add("ses_0", "run_a", "w1")
    for number in range(KEPT_FIRST):
        ways.keep(f"ses_{number}", way(), sessions)
    assert await ways.renew("ses_1", SETTINGS) is NEW
    ways.keep("ses_new", way(), sessions)
    assert await ways.renew("ses_1", SETTINGS) is None
    assert [await ways.renew(one, SETTINGS) for one in ("ses_0", "ses_new")] == [NEW, NEW]
