"""The control process's look at how full the store is."""

from bodycam.api.quota_watch import QuotaWatch
from bodycam.config import Settings
from bodycam.session.quota import Quota
from tests.unit.api.world import World


def with_quota(settings: Settings, most: int | None) -> Settings:
    return settings.model_copy(update={"storage": settings.storage.model_copy(update={"quota": most})})


async def test_what_the_archivist_said_last_holds_while_it_says_nothing(world: World) -> None:
    in_use, archivist, quota = world.context.settings, world.archivist, Quota()
    watch = QuotaWatch(quota, archivist, in_use, world.context.trail)
    archivist.told["recordings_bytes"] = 1000
    await watch.look()
    assert (quota.most, quota.full) == (None, False)

    in_use.adopt(with_quota(in_use.settings, 1000))
    del archivist.told["recordings_bytes"]
    await watch.look()
    assert not quota.full  # it is not known yet, and sessions are not kept out for that

    archivist.told["recordings_bytes"] = 1000
    await watch.look()
    assert quota.full
    archivist.told["recordings_bytes"] = None  # a new archivist adds up
    await watch.look()
    assert quota.full
    archivist.away = True
    await watch.look()
    assert quota.full

    in_use.adopt(with_quota(in_use.settings, None))
    await watch.look()
    assert not quota.full
