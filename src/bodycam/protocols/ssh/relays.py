"""What looks into the channels that carry files, and asks people about files as about anything else."""

from collections.abc import Callable
from typing import Protocol, final

from bodycam.model.operation import Operation
from bodycam.protocols.ssh.approvals import Approvals
from bodycam.protocols.ssh.asking import Asked, Kind
from bodycam.protocols.ssh.files.approver import Then
from bodycam.protocols.ssh.files.relay import SftpRelay
from bodycam.protocols.ssh.files.scp import ScpRelay
from bodycam.protocols.ssh.files.server_command import speaks_sftp
from bodycam.session.session import Exchange, Session

Send = Callable[[bytes], None]


class FileRelay(Protocol):
    """A channel's content that is made of operations with files; it records what it gives out."""

    def from_client(self, data: bytes) -> None: ...

    def from_target(self, data: bytes) -> None: ...

    @property
    def lags(self) -> bool:
        """Whether something of a file has gone on that is not recorded yet."""

    def settle(self) -> None:
        """Record what waits, of files of which nothing has come since this was last called."""

    def client_ended(self) -> None: ...

    def target_ended(self) -> None: ...

    def cut(self, reason: str) -> None: ...


@final
class FileApprover:
    """Asks people about operations with files; `tell` shows lines to the client meanwhile."""

    def __init__(self, session: Session, approvals: Approvals, tell: Callable[[str], None]) -> None:
        self._session, self._approvals, self._tell = session, approvals, tell

    def ask(self, exchange: Exchange, operation: Operation, then: Then) -> Callable[[], None]:
        """Ask about one; what is given back gives up waiting."""

        def decided(why_not: str) -> None:
            message, _, hint = why_not.partition("\n")
            then(not why_not, message, hint)

        self._approvals.ask(self._session, exchange, operation, told=self._tell, then=decided)
        return lambda: self._approvals.give_up(exchange)


def file_relay(
    asked: Asked,
    session: Session,
    exchange: Exchange,
    approvals: Approvals,
    *,
    client: Send,
    target: Send,
    tell: Callable[[str], None],
) -> FileRelay | None:
    """The relay of a channel that carries files; None for one that carries anything else."""
    approver = FileApprover(session, approvals, tell)
    account = session.grant.database
    by_command = asked.kind is Kind.EXEC and asked.terminal is None
    if asked.kind is Kind.SFTP or (by_command and speaks_sftp(asked.text)):
        return SftpRelay(session, exchange, client, target, approver, tell, account)
    if by_command:
        return ScpRelay.of(asked.text, session, exchange, client, target, approver, account)
    return None
