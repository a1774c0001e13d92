"""Whether an SSH target shows a host key that it may have, asked without logging in."""

import asyncio
import contextlib
from dataclasses import dataclass

from bodycam.config.targets import TargetSettings
from bodycam.model.target import Dial, TlsMode

_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class HostFault:
    """What is wrong with it; `wrong_key` says that it is the key, and not that SSH did not work."""

    message: str
    hint: str
    wrong_key: bool


async def host_fault(target: TargetSettings, known: str, seconds: float) -> HostFault | None:
    """What is wrong, within so many seconds; None where nothing is, and where nobody accepts the connection.

    `known` are the keys that it may have, as `known_hosts` has them.
    """
    # half of what a process of the gateway loads, for this alone
    from bodycam.protocols.ssh.target import TargetConnection, TargetUnusable, WrongHost

    address = target.address
    assert address is not None
    account = target.user or ""
    try:
        async with asyncio.timeout(seconds):
            try:
                reader, writer = await asyncio.open_connection(address.host, address.port)
            except OSError:
                return None
            connection = TargetConnection(writer.write, lambda _: None)

            async def read() -> None:
                with contextlib.suppress(OSError):
                    while data := await reader.read(_PIECE):
                        connection.receive(data)
                connection.gone()

            reading = asyncio.create_task(read())
            try:
                dial = Dial(
                    address.host, address.port, account, account, None, TlsMode.DISABLE, known_hosts=known
                )
                await connection.prove_host(dial)
            except TargetUnusable as error:
                return HostFault(error.message, error.hint, isinstance(error, WrongHost))
            finally:
                reading.cancel()
                connection.close()
                writer.close()
    except TimeoutError:
        return HostFault(
            f"it did not show its host key within {seconds:g} s", "see whether it is an SSH server", False
        )
    return None
