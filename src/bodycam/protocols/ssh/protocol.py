"""SSH as the registry plugs it in."""

from bodycam.model.operation import RequestFacts
from bodycam.model.target import TargetWants, TlsMode
from bodycam.protocols import Protocol
from bodycam.protocols.ssh.answers import refusal
from bodycam.protocols.ssh.asking import FILE_VERBS, Kind
from bodycam.protocols.ssh.opening import Opening, TargetOpening
from bodycam.protocols.ssh.place import JUMP, NAME, OWN_ACCOUNT
from bodycam.protocols.ssh.transcript import TRANSCRIPT
from bodycam.session.link import Link, Machine


def machine(link: Link) -> Machine:
    """The machine of a link. Its library is loaded in workers alone: it is half of what a process imports."""
    from bodycam.protocols.ssh.machine import SshMachine

    return SshMachine(link)


def load() -> None:
    """Load it."""
    import bodycam.protocols.ssh.machine  # noqa: F401


PROTOCOL = Protocol(
    name=NAME,
    opening=lambda _: Opening(),
    target_opening=lambda _: TargetOpening(),
    machine=machine,
    transcript=TRANSCRIPT,
    refuse=refusal,
    settings=TargetWants(
        needs=frozenset(("address", "user")),
        takes=frozenset(
            ("users", "password", "private_key", "issued_certificate", "known_hosts", "host_keys", "allow")
        ),
        sslmode=TlsMode.DISABLE,
        sslmodes=frozenset((TlsMode.DISABLE,)),
        host_keys=True,
        # `jump@gateway` goes through, and `bodycam@target` is who the settings name
        reserved_targets=frozenset((JUMP,)),
        reserved_accounts=frozenset((OWN_ACCOUNT,)),
        allows=frozenset((Kind.EXEC.value.upper(), Kind.SFTP.value.upper())),
    ),
    language="shell",
    requests=RequestFacts("ssh.method", "ssh.path", FILE_VERBS),
    greets=True,
    load=load,
    host_key=True,
)
