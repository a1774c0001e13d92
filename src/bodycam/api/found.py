"""The run or session that a path names, if the caller may see it."""

from bodycam.api.caller import Caller
from bodycam.api.catalog_calls import read
from bodycam.api.context import Control
from bodycam.api.errors import ApiError, not_found
from bodycam.catalog.runs import RunRecord, get_run
from bodycam.catalog.sessions import SessionRecord, get_session


async def visible_run(context: Control, who: Caller, name: str) -> RunRecord:
    """The run, for those who may see it.

    Raises:
        ApiError: 404, also for others' runs.
    """
    run = await read(context.catalog, get_run, name)
    if run is None or not who.may_see(str(run.principal)):
        raise not_found("run", name)
    return run


async def stoppable_run(context: Control, who: Caller, name: str) -> RunRecord:
    """The run, for those who may renew, end or revoke it.

    Raises:
        ApiError: 404 as `visible_run`; 403 for who may only look.
    """
    run = await visible_run(context, who, name)
    if not who.may_stop(str(run.principal)):
        raise ApiError(
            403, "forbidden", "this run is somebody else's", "Its starter or an admin may do that."
        )
    return run


async def visible_session(context: Control, who: Caller, name: str) -> SessionRecord:
    """The session, for those who may see it.

    Raises:
        ApiError: 404, also for others' sessions.
    """
    session = await read(context.catalog, get_session, name)
    if session is None or not who.may_see(session.principal):
        raise not_found("session", name)
    return session
