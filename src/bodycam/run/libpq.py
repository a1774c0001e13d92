"""The binding of libpq and of what follows its environment: psql, psycopg, SQLAlchemy, asyncpg.

https://www.postgresql.org/docs/current/libpq-envars.html and libpq-pgpass.html. asyncpg ignores PGAPPNAME,
so nothing rests on it.
"""

from collections.abc import Mapping

from bodycam.run.authorities import system_authorities
from bodycam.run.binding import Binding, Situation

_TOKEN_USER = "token"  # noqa: S105 - a user name: it asks for the credential in clear, over TLS or loopback


def _make(situation: Situation) -> Mapping[str, str]:
    listener, credential = situation.listener, situation.credential
    assert situation.target is not None
    passwords = situation.folder.write(".pgpass", _passwords(situation))
    variables = {
        "PGHOST": listener.host,
        "PGPORT": str(listener.port),
        "PGUSER": credential.user,
        "PGDATABASE": situation.target.name,
        "PGPASSFILE": str(passwords),
        "PGAPPNAME": situation.agent,
        "PGGSSENCMODE": "disable",
        "PGSSLMODE": "disable",
    }
    if listener.tls:
        # without a CA of its own the gateway has a certificate that the system's CAs vouch for, which
        # libpq before version 16 can't be told to use by itself
        trusted = situation.ca_pem or system_authorities()
        ca_file = situation.folder.write("gateway-ca.pem", trusted)
        variables |= {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": str(ca_file)}
        if situation.certificate is not None:
            certificate, key = situation.certificate
            variables |= {"PGSSLCERT": str(certificate), "PGSSLKEY": str(key)}
    return variables


def _home(situation: Situation) -> Mapping[str, str]:
    return {".pgpass": _passwords(situation)}


def _passwords(situation: Situation) -> str:
    listener, credential = situation.listener, situation.credential
    return "".join(
        pgpass_line(listener.host, str(listener.port), None, user, credential.secret)
        for user in (credential.user, _TOKEN_USER)
    )


def pgpass_line(host: str, port: str, database: str | None, user: str, password: str) -> str:
    r"""One line of a .pgpass file; None matches any database. `\` and `:` in a field are escaped by `\`."""
    fields = (host, port, database, user, password)
    escaped = ("*" if one is None else one.replace("\\", "\\\\").replace(":", "\\:") for one in fields)
    return ":".join(escaped) + "\n"


BINDING = Binding(
    protocol="postgres",
    detours=(
        "PGPASSWORD",
        "PGHOSTADDR",
        "PGSERVICE",
        "PGSERVICEFILE",
        "PGREQUIREAUTH",
        "PGCHANNELBINDING",
        "PGSSLNEGOTIATION",
        "PGREQUIRESSL",
        "PGSSLCRL",
        "PGSSLCRLDIR",
        "PGSSLCERTMODE",
    ),
    make=_make,
    home=_home,
)
