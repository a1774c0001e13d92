"""What an SSH user name asks for: a target, an account there, and for a token the agent that acts.

`ssh orders@gateway` opens target `orders`, `ssh deploy@orders@gateway` its account `deploy`; who proves
themselves by a provider's token writes the agent before it: `billing-bot/deploy@orders`. With the gateway as
the jump host (`-J jump@gateway`) the host jumped to tells the target, and the user name there the account.
"""

from typing import Final, final

NAME: Final = "ssh"

TOKEN_USER: Final = "token"  # noqa: S105 - a user name: what follows proves by itself whose it is

JUMP: Final = "jump"
"""The user name of who only goes through to targets, each of which it opens by itself."""

OWN_ACCOUNT: Final = "bodycam"
"""The account that stands for the one which the target's settings name, for clients that always send one."""


@final
class Place:
    """One user name, taken apart; `account` is None and `agent` empty where the name has none.

    `host` is `host:port` where that tells the target.
    """

    __slots__ = ("account", "agent", "host", "target")

    def __init__(self, target: str, account: str | None = None, agent: str = "", host: str = "") -> None:
        self.target, self.account, self.agent, self.host = target, account, agent, host

    @property
    def claimed(self) -> str:
        """The name under which a password proves itself to the control process."""
        return f"{TOKEN_USER}/{self.agent}" if self.agent else TOKEN_USER


def place(name: str, host: str = "") -> Place:
    """Take a user name apart: the target is what follows the last @, or who lives at the host jumped to."""
    agent, slash, rest = name.partition("/")
    if not slash:
        agent, rest = "", name
    if host:
        # `bodycam@web1` as well: a client that was given a port goes the long way by the short way's name
        own = rest == "" or rest.partition("@")[0] == OWN_ACCOUNT
        return Place("", None if own else rest, agent, host)
    account, _, target = rest.rpartition("@")
    return Place(target, None if account in ("", OWN_ACCOUNT) else account, agent)
