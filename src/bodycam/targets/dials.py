"""All that a worker needs to reach one target, put together when a session opens."""

import ipaddress

from bodycam.config.settings import Settings
from bodycam.config.targets import TargetSettings
from bodycam.model.hosts import PLAIN_PORT, is_address
from bodycam.model.target import Dial, Reach, Target, TlsMode
from bodycam.targets.oauth import ClientTokens, TokenRefused, sendable
from bodycam.targets.secrets import (
    SecretUnavailable,
    read_certificate,
    read_key,
    read_secret,
    source_name,
)
from bodycam.targets.ssh_logins import SshLogins, SshLoginUnready, known_hosts


class TargetUnready(Exception):
    """The gateway has not what it needs to log in to a target; the text names target and source."""


def describe(name: str, target: TargetSettings) -> Target:
    """A target as policy and the record name it."""
    return Target(name, target.protocol, dict(target.labels))


class Dials:
    """Puts dials together, with `tokens` for the targets that want some, and `ssh` for keys of SSH."""

    def __init__(self, tokens: ClientTokens | None = None, ssh: SshLogins | None = None) -> None:
        self._tokens, self._ssh = tokens or ClientTokens(), ssh or SshLogins(None)

    async def resolve(
        self,
        settings: Settings,
        name: str,
        database: str | None,
        host: tuple[str, int] | None = None,
        who: str = "",
    ) -> Dial:
        """The way to the declared target `name`, with its secrets read afresh.

        `database` is what the client chose behind the target: of one with accounts, the account. `host` is
        the host and port, in their one form, of a target that is a set of hosts. `who` names run and session
        to a target that gets a certificate made for them.

        Raises:
            TargetUnready: one of its secrets, or its key and certificate, can't be had.
        """
        target = settings.targets[name]
        where, port, reach, mode = _place(name, target, host)
        secrets = target.password or target.headers or target.query or target.oauth
        if secrets and mode is TlsMode.DISABLE and target.address is None:
            raise TargetUnready(
                f"{where} would get the credentials of target {name} without TLS, at port {port}: "
                "ask it by https"
            )
        password = None
        if target.password is not None:
            try:
                password = await read_secret(target.password)
            except SecretUnavailable as error:
                raise TargetUnready(f"the password of target {name} can't be had: {error}") from error
        headers, query = await self._headers(name, target), await _query(name, target)
        user = (database or target.user or "") if target.users is not None else target.user or ""
        cert, key = await self._own_pair(name, target, user, who)
        return Dial(
            host=where,
            port=port,
            user=user,
            database=database or target.default_database,
            password=password,
            tls=mode,
            ca_file=None if target.tls.ca_file is None else str(target.tls.ca_file),
            connect_timeout=settings.limits.connect_timeout,
            channel_binding=target.tls.channel_binding,
            client_cert=cert,
            client_key=key,
            headers=headers,
            query=query,
            reach=reach,
            intercept=target.intercept,
            known_hosts=await _known_hosts(name, target),
            # what it was given out for may be over by now: then it is asked for anew at once
            lasts=None if target.oauth is None else self._tokens.left(name),
        )

    async def renew(
        self,
        settings: Settings,
        name: str,
        database: str | None,
        host: tuple[str, int] | None,
        who: str,
        used: Dial,
    ) -> Dial | None:
        """The way anew, with another token than that of `used`, which the target refused; None for none.

        Raises:
            TargetUnready: there is none to be had.
        """
        before = used.headers.get("Authorization", "")
        if settings.targets[name].oauth is None:
            return None
        if not self._tokens.refused(name, before.removeprefix("Bearer ")):
            return None
        dial = await self.resolve(settings, name, database, host, who)
        return None if dial.headers.get("Authorization") == before else dial

    async def _own_pair(
        self, name: str, target: TargetSettings, user: str, who: str
    ) -> tuple[str | None, str | None]:
        try:
            key, cert = await self._ssh.key(target, user, who)
        except SshLoginUnready as error:
            raise TargetUnready(f"the key for target {name} can't be had: {error}") from error
        if key is not None or target.tls.client_cert is None or target.tls.client_key is None:
            return cert, key
        try:
            return await read_certificate(target.tls.client_cert), await read_key(target.tls.client_key)
        except SecretUnavailable as error:
            raise TargetUnready(f"the client certificate of target {name} can't be had: {error}") from error

    async def _headers(self, name: str, target: TargetSettings) -> dict[str, str]:
        made = {}
        for header, source in target.headers.items():
            try:
                value = source.prefix + await read_secret(source)
            except SecretUnavailable as error:
                raise TargetUnready(f"the header {header} of target {name} can't be had: {error}") from error
            if not sendable(value):
                raise TargetUnready(
                    f"the header {header} of target {name} has characters that no header may have; "
                    f"look at {source_name(source)}"
                )
            made[header] = value
        if target.oauth is not None:
            try:
                made["Authorization"] = f"Bearer {await self._tokens.token(name, target.oauth)}"
            except (SecretUnavailable, TokenRefused) as error:
                raise TargetUnready(f"the token of target {name} can't be had: {error}") from error
        return made


async def _query(name: str, target: TargetSettings) -> dict[str, str]:
    made = {}
    for parameter, source in target.query.items():
        try:
            made[parameter] = await read_secret(source)
        except SecretUnavailable as error:
            raise TargetUnready(
                f"the query parameter {parameter} of target {name} can't be had: {error}"
            ) from error
    return made


def _place(
    name: str, target: TargetSettings, host: tuple[str, int] | None
) -> tuple[str, int, Reach, TlsMode]:
    """Where a target is, which addresses that may mean, and how TLS is there."""
    mode = target.tls.sslmode or TlsMode.VERIFY_FULL
    if target.address is not None:
        return target.address.host, target.address.port, Reach.ANY, mode
    if host is None:
        raise TargetUnready(f"target {name} is a set of hosts, and none of them was named")
    where, port = host
    if port == PLAIN_PORT:
        mode = TlsMode.DISABLE
    if not target.private:
        return where, port, Reach.PUBLIC, mode
    # where the settings name this machine itself, no name of somebody else's can come to mean it
    own = where == "localhost" or (is_address(where) and ipaddress.ip_address(where).is_loopback)
    if own and any(one.name == where and one.matches(where, port) for one in target.hosts or ()):
        return where, port, Reach.ANY, mode
    return where, port, Reach.PRIVATE, mode


async def _known_hosts(name: str, target: TargetSettings) -> str:
    try:
        return await known_hosts(target)
    except SecretUnavailable as error:
        raise TargetUnready(f"the host keys of target {name} can't be had: {error}") from error
