"""Leaf certificates in the names of hosts, by the interception CA: signed here, where its key is."""

from typing import Final, final

from bodycam.net.authority import Authority, AuthorityError
from bodycam.net.channel import RemoteError
from bodycam.net.host_names import BadHost, checked

REQUEST_MOST: Final = 4096
"""Bytes of a certificate request at most; one for a key on P-256 has about 400."""


@final
class Leaves:
    """What workers ask for once a host; each leaf is good for a day."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority

    def sign(self, host: str, csr: str) -> str:
        """The chain, in PEM, for one host and a worker's request; the request's own names count for nothing.

        Raises:
            RemoteError: `host` is no name and no address, or the request is none.
        """
        try:
            name = checked(host)
        except BadHost as error:
            raise RemoteError("bad-host", str(error)) from error
        if len(csr) > REQUEST_MOST:
            raise RemoteError("bad-request", f"a certificate request has {REQUEST_MOST} bytes at most")
        try:
            # in the loop: 0.4 ms, which is about what it takes to hand it to a thread and back
            chain = self._authority.sign(csr.encode(), names=[name])
        except AuthorityError as error:
            raise RemoteError("bad-request", str(error)) from error
        return chain.decode()
