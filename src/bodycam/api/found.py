"""The run or session that a path names, if the caller may see it."""

from datetime import UTC, datetime

from bodycam.api.caller import Caller
from bodycam.api.catalog_calls import read
from bodycam.api.context import Control
from bodycam.api.errors import ApiError, not_found
from bodycam.catalog.retention import DeletionRecord, deletion_of, deletions_of_run
from bodycam.catalog.runs import RunRecord, get_run, has_visible
from bodycam.catalog.sessions import SessionRecord, get_session
from bodycam.config.viewing import Act


async def visible_run(context: Control, who: Caller, name: str) -> RunRecord:
    """The run, for those who may see it.

    Raises:
        ApiError: 404, also for one of others without a session that they may see.
    """
    run = await listed_run(context, who, name)
    if run is None:
        raise not_found("run", name)
    return run


async def listed_run(context: Control, who: Caller, name: str) -> RunRecord | None:
    """The run, for those who may see it; None also for others."""
    # asked in any case: how long it takes must not tell whether there is such a run
    seen = await sees_some(context, who, name, Act.LIST)
    run = await read(context.catalog, get_run, name)
    return run if run is not None and (seen or who.owns(str(run.principal))) else None


async def stoppable_run(context: Control, who: Caller, name: str) -> RunRecord:
    """The run, for those who may renew, end or revoke it.

    Raises:
        ApiError: 404 as `visible_run`; 403 for who may only look.
    """
    run = await visible_run(context, who, name)
    if not who.may_stop_run(str(run.principal), run.agent):
        raise ApiError(
            403, "forbidden", "this run is somebody else's", "Its starter or an admin may do that."
        )
    return run


async def visible_session(context: Control, who: Caller, name: str) -> SessionRecord:
    """The session, for those who may see it.

    Raises:
        ApiError: 404, also for those that nothing lets them see; 410 for one that retention deleted.
    """
    session = await listed_session(context, who, name)
    if session is None:
        deleted = await read(context.catalog, deletion_of, name)
        if deleted is not None and await _may_know(context, who, deleted):
            raise ApiError(410, "deleted", deletion_text(deleted), "Its tombstone in the ledger stays.")
        raise not_found("session", name)
    return session


async def listed_session(context: Control, who: Caller, name: str) -> SessionRecord | None:
    """The session, for those who may see it; None also for others."""
    sight = await context.sights.of(who.principal, who.roles)
    session = await read(context.catalog, get_session, name)
    if session is None:
        return None
    return None if sight.permit(Act.LIST, session.provenance) is None else session


async def sees_some(context: Control, who: Caller, run: str, act: Act) -> bool:
    """Whether they may do this with a session of that run."""
    sight = await context.sights.of(who.principal, who.roles)
    return sight.everything or await read(context.catalog, has_visible, run, sight.visible(act))


def deletion_text(deleted: DeletionRecord) -> str:
    """How a recording was deleted, for people."""
    when = datetime.fromtimestamp(deleted.deleted / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    rule = f"by the retention rule {deleted.rule}" if deleted.rule else "by a rule that is not known any more"
    return f"the recording of session {deleted.session} was deleted on {when} {rule}"


async def deleted_of(context: Control, who: Caller, run: RunRecord, limit: int) -> list[DeletionRecord]:
    """The sessions of a run that retention deleted, `limit` at most; none for who may not know of them."""
    if not (who.reads_all or who.owns(str(run.principal))):
        return []
    return list(await read(context.catalog, deletions_of_run, run.id, limit))


async def _may_know(context: Control, who: Caller, deleted: DeletionRecord) -> bool:
    """Whether they certainly saw it: of the session nothing is left but the run that it was of."""
    if who.reads_all:
        return True
    run = await read(context.catalog, get_run, deleted.run)
    return run is not None and who.owns(str(run.principal))
