"""A SQLAlchemy engine for a catalog URL, and the two kinds of transaction.

SQLite: WAL, so that readers never wait for the writer; a writer takes its lock at BEGIN IMMEDIATE and waits
for another process's with the busy timeout (a deferred transaction that upgrades fails at once instead).
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

BUSY_MILLISECONDS = 15_000
SOCKET_SECONDS = 60
_SYNCHRONOUS = "bodycam_synchronous"


class CatalogUrlError(ValueError):
    """The catalog's URL can't be used; the message says what is wrong with it and what is accepted."""


def make_engine(url: str, password: str | None = None) -> Engine:
    """An engine for `sqlite:///file` or `postgresql://user@host:port/database`.

    A PostgreSQL URL may hold `host` (a socket folder), `sslmode`, `sslrootcert` and `application_name` as
    libpq names them. `password` is used where the URL has none.

    Raises:
        CatalogUrlError: another database, or an option that is not known.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise CatalogUrlError(
            "the catalog's URL can't be read; use sqlite:///PATH or postgresql://..."
        ) from error
    match parsed.get_backend_name():
        case "sqlite":
            return _sqlite(parsed)
        case "postgresql" | "postgres":
            return _postgresql(parsed, password)
        case other:
            raise CatalogUrlError(
                f"the catalog can't be in {other!r}; use sqlite:///PATH or postgresql://..."
            )


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One consistent view for a few queries."""
    with engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine, *, durable: bool = True) -> Iterator[Connection]:
    """One short write transaction; commits at the end, rolls back on an exception.

    `durable=False` is for the index, which recordings rebuild: it survives a killed process, but the last
    commits before a power loss may be gone.
    """
    options = {_SYNCHRONOUS: "FULL" if durable else "NORMAL"}
    with engine.connect().execution_options(**options) as connection, connection.begin():
        if connection.dialect.name == "postgresql" and not durable:
            connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
        yield connection


def _sqlite(url: URL) -> Engine:
    if not url.database or url.database == ":memory:":
        raise CatalogUrlError("the catalog needs a file, because several processes share it: sqlite:///PATH")
    path = Path(url.database)
    engine = create_engine(
        url,
        connect_args={"timeout": BUSY_MILLISECONDS / 1000},
        pool_size=8,
        max_overflow=24,
        hide_parameters=True,  # law 3: an error's text goes into the log, recorded values don't
    )

    @event.listens_for(engine, "connect")
    def _connected(dbapi: Any, _record: Any) -> None:
        dbapi.isolation_level = None  # the driver begins no transactions of its own; `_begun` does
        for pragma in (
            f"busy_timeout={BUSY_MILLISECONDS}",
            "journal_mode=WAL",
            "foreign_keys=ON",
            "secure_delete=ON",
            "temp_store=MEMORY",
            "cache_size=-32768",
            "mmap_size=268435456",
            "journal_size_limit=67108864",
        ):
            dbapi.execute(f"PRAGMA {pragma}").close()
        path.chmod(0o600)

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        synchronous = connection.get_execution_options().get(_SYNCHRONOUS)
        if synchronous is None:
            connection.exec_driver_sql("BEGIN")
        else:
            connection.exec_driver_sql(f"PRAGMA synchronous={synchronous}")
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _postgresql(url: URL, password: str | None) -> Engine:
    arguments: dict[str, Any] = {"timeout": SOCKET_SECONDS, "tcp_keepalive": True}
    options = {name: value if isinstance(value, str) else value[-1] for name, value in url.query.items()}
    arguments["application_name"] = options.pop("application_name", "bodycam catalog")
    host = options.pop("host", None)
    if host is not None and host.startswith("/"):
        arguments["unix_sock"] = f"{host}/.s.PGSQL.{url.port or 5432}"
        url = url.set(host=None, port=None)
    elif host is not None:
        url = url.set(host=host)
    elif url.host is None:
        url = url.set(host="localhost")
    mode = options.pop("sslmode", "prefer")
    arguments["ssl_context"] = _ssl_context(mode, options.pop("sslrootcert", None), "unix_sock" in arguments)
    if options:
        raise CatalogUrlError(f"the catalog's URL has unknown options: {', '.join(sorted(options))}")
    url = url.set(drivername="postgresql+pg8000", query={}, username=url.username or "postgres")
    if password is not None and url.password is None:
        url = url.set(password=password)
    return create_engine(
        url, connect_args=arguments, pool_size=8, max_overflow=24, pool_pre_ping=True, hide_parameters=True
    )


def _ssl_context(mode: str, root: str | None, local: bool) -> ssl.SSLContext | bool | None:
    """What pg8000 takes for libpq's `sslmode`: False never, None if offered, a context for required."""
    match mode:
        case "disable":
            return False
        case "allow" | "prefer":
            return False if local else None
        case "require" | "verify-ca" | "verify-full":
            context = ssl.create_default_context(cafile=root)
            context.check_hostname = mode == "verify-full"
            if mode == "require" and root is None:
                context.verify_mode = ssl.CERT_NONE
            return context
        case _:
            raise CatalogUrlError(
                f"the catalog's URL has sslmode={mode!r}; use disable, require or verify-full"
            )
