"""The files by which OpenSSH and what reads its configuration find the gateway (ssh_config(5), sshd(8)).

Every host is reached through the gateway as its jump host, whatever its name: the gateway opens the
declared target of that name or address, as the account that the client names, and refuses what is none, on
the record. A target that is named without an account is asked for directly, by the user name: that is one
handshake and one encryption instead of two.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bodycam.run.gateway import Listener, Reachable
from bodycam.run.ssh_identity import SshFiles

JUMP = "bodycam-gateway"
"""The gateway's name as a jump host, and the one under which its key is known."""

JUMP_USER = "jump"
"""The user name by which the gateway knows a connection that only passes others on."""

OWN_ACCOUNT = "bodycam"
"""The account that the gateway takes for the one in a target's settings."""

CIPHERS = "aes128-gcm@openssh.com,aes256-gcm@openssh.com,aes128-ctr,aes256-ctr"
"""The gateway's ciphers, what costs least first: OpenSSH before 10 puts aes128-ctr before them by itself."""

_PORT = 22
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class SshAccess:
    """What the files say: the gateway's listener and key, the targets, and where the run's identity is.

    `host_key` is a public key as OpenSSH writes it; `known_hosts` is where that file lies.
    """

    listener: Listener
    host_key: str
    targets: Sequence[Reachable]
    files: SshFiles
    known_hosts: str


def ssh_config(access: SshAccess) -> str:
    """The configuration. The first value of a setting counts, so that the general ones are the last."""
    host, port = access.listener.host, access.listener.port
    blocks = [
        _block(f"Host {JUMP}", HostName=host, Port=port, User=JUMP_USER),
        *(block for name, hosts in _named(access.targets) for block in _direct(name, hosts, access.listener)),
        # all that does not end at the gateway itself; `ProxyJump none` is understood by OpenSSH alone
        _block(f"Match !host {host}", ProxyJump=JUMP),
        _block(f"Match host {host} !originalhost {JUMP} !{_going_to(port)}", ProxyJump=JUMP),
        # each value counts here: that of a client's own -i, the certificate, the key
        _block("Host *", IdentityFile=access.files.certificate),
        _block("Host *", IdentityFile=access.files.public_key),
        _block("Host *", **_always(access)),
    ]
    return "\n".join(blocks)


def known_hosts(access: SshAccess) -> str:
    """The gateway's key, for its own names and for every host that it answers for.

    Clients that don't know patterns find the targets' names.
    """
    names = [JUMP, f"[{access.listener.host}]:{access.listener.port}", "*"]
    names += [one for name, hosts in _named(access.targets) for one in (name, *hosts)]
    return f"{','.join(dict.fromkeys(names))} {access.host_key}\n"


def _direct(name: str, hosts: Sequence[str], listener: Listener) -> Iterator[str]:
    """A target that is named without an account; with another user or a port it goes by the jump host.

    What the client was told stands, so each setting shows whether it was taken: the user, and then the port,
    which may be the default one in so many words. asyncssh, which tells such commands no port, goes by the
    jump host too.
    """
    user, match = f"{OWN_ACCOUNT}@{name}", f"Match originalhost {','.join((name, *hosts))}"
    yield _block(f"{match} {_going_to(_PORT)}", User=user)
    yield _block(f"{match} user {user}", Port=listener.port)
    yield _block(f"{match} user {user} {_going_to(listener.port)}", HostName=listener.host)


def _named(targets: Sequence[Reachable]) -> Iterator[tuple[str, list[str]]]:
    """Each SSH target with the hosts that mean it and nothing else, by their name alone."""
    ssh = [one for one in targets if one.protocol == "ssh" and _PLAIN.fullmatch(one.name)]
    addresses = {one.name: [host.rpartition(":")[::2] for host in one.hosts] for one in ssh}
    # one host may be several targets, by its ports
    shared = Counter(host for named in addresses.values() for host in {host for host, _ in named})
    names = {one.name for one in ssh}
    for name, named in addresses.items():
        yield (
            name,
            [
                host
                for host, port in named
                if port == str(_PORT) and shared[host] == 1 and host not in names and _PLAIN.fullmatch(host)
            ],
        )


def _always(access: SshAccess) -> dict[str, str]:
    return {
        "User": OWN_ACCOUNT,
        "HostKeyAlias": JUMP,
        "UserKnownHostsFile": access.known_hosts,
        "GlobalKnownHostsFile": "none",
        "StrictHostKeyChecking": "yes",
        "Ciphers": CIPHERS,
        "UpdateHostKeys": "no",
        "VerifyHostKeyDNS": "no",
        "CheckHostIP": "no",
        "CanonicalizeHostname": "no",
        "IdentityAgent": str(access.files.agent),
        "IdentitiesOnly": "yes",
        "PreferredAuthentications": "publickey",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "AddKeysToAgent": "no",
        "ForwardAgent": "no",
        "ForwardX11": "no",
        "ControlMaster": "no",
        "ControlPath": "none",
        "ControlPersist": "no",
    }


def _going_to(port: int) -> str:
    """A condition that holds if the client is going to this port."""
    return f'exec "test %p -eq {port}"'


def _block(head: str, **settings: str | int | Path) -> str:
    return "".join([f"{head}\n", *(f"    {name} {value}\n" for name, value in settings.items())])
