"""All that a worker needs to reach one target, put together when a session opens."""

from bodycam.config.settings import Settings
from bodycam.config.targets import TargetSettings, TargetTls
from bodycam.model.target import Dial, Target
from bodycam.targets.secrets import SecretUnavailable, read_certificate, read_key, read_secret


class TargetUnready(Exception):
    """The gateway has not what it needs to log in to a target; the text names target and source."""


def describe(name: str, target: TargetSettings) -> Target:
    """A target as policy and the record name it."""
    return Target(name, target.protocol, dict(target.labels))


async def resolve(settings: Settings, name: str, database: str | None) -> Dial:
    """The way to the declared target `name`, with its secret read afresh.

    Raises:
        TargetUnready: its password, or its key and certificate, can't be had.
    """
    target = settings.targets[name]
    password = None
    if target.password is not None:
        try:
            password = await read_secret(target.password)
        except SecretUnavailable as error:
            raise TargetUnready(f"the password of target {name} can't be had: {error}") from error
    cert, key = await _own_pair(name, target.tls)
    return Dial(
        host=target.address.host,
        port=target.address.port,
        user=target.user,
        database=database or target.default_database,
        password=password,
        tls=target.tls.sslmode,
        ca_file=None if target.tls.ca_file is None else str(target.tls.ca_file),
        connect_timeout=settings.limits.connect_timeout,
        channel_binding=target.tls.channel_binding,
        client_cert=cert,
        client_key=key,
    )


async def _own_pair(name: str, tls: TargetTls) -> tuple[str | None, str | None]:
    if tls.client_cert is None or tls.client_key is None:
        return None, None
    try:
        return await read_certificate(tls.client_cert), await read_key(tls.client_key)
    except SecretUnavailable as error:
        raise TargetUnready(f"the client certificate of target {name} can't be had: {error}") from error
