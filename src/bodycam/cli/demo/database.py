"""The demo's database: an embedded server on loopback, with customers and orders, gone afterwards."""

import os
import secrets
import shutil
import socket
import string
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bodycam.cli.failure import Failure

USER = "shop"
DATABASE = "shop"

_TABLES = """
create role shop login password '{password}';
create database shop owner shop;
\\connect shop
set role shop;
create table customers (id int primary key, name text not null, city text not null);
create table orders (id int generated always as identity primary key,
  customer_id int not null references customers, item text not null, amount int not null);
insert into customers values (1, 'Ada', 'London'), (2, 'Grace', 'New York'), (3, 'Edsger', 'Rotterdam');
insert into orders (customer_id, item, amount)
  values (1, 'notebook', 1250), (1, 'pencils', 480), (2, 'compass', 2200), (3, 'tea', 900), (3, 'crumbs', 0);
create table integrations (service text primary key, token text not null);
insert into integrations values ('payments', '{token}'), ('weather', 'none');
"""


@dataclass(frozen=True, slots=True)
class Database:
    """Where the database listens, and where its programs are."""

    port: int
    password: str = field(repr=False)
    token: str = field(repr=False)
    programs: Path


def free_port() -> int:
    """A TCP port of loopback that nobody listens on at this moment."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def database(password: str) -> Iterator[Database]:
    """A running database with its tables, one with a secret in it; stopped and removed at the end.

    Raises:
        Failure: the embedded server is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns where there is no XDG_RUNTIME_DIR
            import pgserver
            from pgserver.postgres_server import get_server, pg_ctl  # type: ignore[attr-defined]
    except ImportError as error:
        raise Failure(
            "the demo needs its own packages", hint="pip install 'bodycam[demo]', or use ./dev demo"
        ) from error
    # a folder of its own: as root the server runs as another user, who must be able to reach it
    folder = Path(tempfile.mkdtemp(prefix="bcdb-"))
    data = folder / "pg"
    try:
        server = get_server(data, cleanup_mode=None)
        try:
            token = new_token()
            server.psql(_TABLES.format(password=password, token=token))
            port = free_port()
            # it listens on a Unix socket only; the gateway speaks TCP, and logs in as it would elsewhere
            (data / "pg_hba.conf").write_text(
                "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n", encoding="utf-8"
            )
            options = f"-h 127.0.0.1 -p {port} -k {data}"
            arguments = ["-w", "-m", "fast", "-l", str(data / "log"), "-o", options, "restart"]
            pg_ctl(arguments, pgdata=data, user=server.system_user, timeout=30)
            yield Database(port, password, token, Path(pgserver.__file__).parent / "pginstall" / "bin")
        finally:
            pg_ctl(["-w", "-m", "immediate", "stop"], pgdata=data, user=server.system_user, timeout=30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def new_token() -> str:
    """An access token as a payment service gives them out; this one opens nothing."""
    return "sk_live_" + "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(24))


def path_with(programs: Path) -> str:
    """PATH with the database's programs first."""
    return f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
