"""Migrations make what the tables say, and a catalog from the future is refused."""

import json

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine

from bodycam.catalog import accounts, deletion, renewal, runs, schema, tail, upgrading
from bodycam.catalog.engine import CatalogUrlError, make_engine, reading, writing
from bodycam.catalog.exchanges import ExchangeFilter
from bodycam.catalog.provenances import key_of, newer
from bodycam.catalog.schema import SchemaError, check, migrate
from bodycam.catalog.search import search
from bodycam.catalog.sessions import SessionFilter, get_session, list_sessions
from bodycam.catalog.tables import metadata, provenances
from bodycam.catalog.visible import Visible
from bodycam.model.provenance import Provenance
from tests.contract.catalog_cases import add_session, exchange, write


def _fulltext(name: str | None) -> bool:
    return name is not None and (name.endswith("_words") or "_words_" in name or name == "words")


def test_migrations_agree_with_tables(catalog: Engine) -> None:
    def counts(item: object, name: str | None, kind: str, reflected: bool, other: object) -> bool:
        return not _fulltext(name)

    with reading(catalog) as connection:
        context = MigrationContext.configure(
            connection, opts={"include_object": counts, "compare_type": True}
        )
        assert compare_metadata(context, metadata) == []


def test_the_revision_that_needs_nothing_done_is_the_last() -> None:
    assert upgrading.newest() == schema.NEWEST


def at_revision(engine: Engine, revision: str) -> None:
    """Bring an empty catalog to an older schema."""
    config = upgrading._config()
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


OLD = (
    "INSERT INTO runs (id, issuer, subject, principal_kind, groups, principal, agent, labels, grade, created, "
    "expires) VALUES ('run_a', 'api', 'ci', 'service', '[]', 'ci@api', 'bot', '{}', 'advisory', 1, 2)",
    "INSERT INTO sessions (id, run, principal, agent, target, protocol, database, address, claims, policy, "
    "state, opened, exchanges, failures, rows, bytes, worker, opening, object) VALUES ('ses_a', 1, 'ci@api', "
    "'bot', 'orders', 'postgres', 'shop', '127.0.0.1:1', '{}', 'p1', 'sealed', 5, 7, 1, 3, 9, 'ab', 1, 'rec')",
    "INSERT INTO statements (digest, uses, truncated, text) VALUES ('d', 1, false, 'SELECT zebra')",
    "INSERT INTO exchanges VALUES (20480, 1, 1, 1, 1, 'query', false, 'ok', 1, 1, 1, NULL)",
    'INSERT INTO arrivals (items) VALUES (\'[["exchange", "20480"]]\')',
)


@pytest.mark.parametrize("revision", ["0001", "0002", "0004"])
def test_an_index_with_a_row_an_exchange_is_emptied_and_asks_to_be_built_anew(
    catalog_url: str, revision: str
) -> None:
    engine = make_engine(catalog_url)
    at_revision(engine, revision)
    with writing(engine) as connection:
        for statement in OLD:
            connection.exec_driver_sql(statement)

    migrate(engine)

    with reading(engine) as connection:
        assert renewal.demanded(connection)
        found = get_session(connection, "ses_a")
        assert found is not None
        assert (found.run, found.state.value, found.exchanges, found.failures) == ("run_a", "sealed", 0, 0)
        assert search(connection, "zebra", ExchangeFilter()).items == ()
        assert tail.after(connection, 0).items == ()
        assert deletion.counts(connection)["statements"] == 0
    keys = add_session(engine, "ses_a")
    write(engine, [exchange(keys, 1, "SELECT zebra", values="giraffe")])
    with reading(engine) as connection:
        hits = search(connection, "zebra giraffe", ExchangeFilter()).items
        assert [hit.exchange.session for hit in hits] == ["ses_a"]
    engine.dispose()


def test_an_index_without_sightings_stays_and_asks_for_recordings_to_be_read_again(catalog_url: str) -> None:
    engine = make_engine(catalog_url)
    at_revision(engine, "0005")
    # what writes today has some columns and a table more than the schema of then
    with writing(engine) as connection:
        for name in ("trace", "span", "details"):
            connection.exec_driver_sql(f"ALTER TABLE bundles ADD COLUMN {name} TEXT")
        connection.exec_driver_sql("ALTER TABLE sessions ADD COLUMN labels JSON")
        connection.exec_driver_sql("ALTER TABLE sessions ADD COLUMN provenance INTEGER")
        provenances.create(connection)
    keys = add_session(engine, "ses_a")
    write(engine, [exchange(keys, 1, "SELECT zebra")])
    with writing(engine) as connection:
        for name in ("trace", "span", "details"):
            connection.exec_driver_sql(f"ALTER TABLE bundles DROP COLUMN {name}")
        connection.exec_driver_sql("ALTER TABLE sessions DROP COLUMN labels")
        connection.exec_driver_sql("ALTER TABLE sessions DROP COLUMN provenance")
        provenances.drop(connection)

    migrate(engine)

    with reading(engine) as connection:
        assert renewal.demanded(connection)
        assert [hit.exchange.number for hit in search(connection, "zebra", ExchangeFilter()).items] == [1]
        found = get_session(connection, "ses_a")
        assert found is not None
        assert found.exchanges == 1
    # which changes nothing of what is there
    assert write(engine, [exchange(keys, 1, "SELECT zebra")]) == 0
    engine.dispose()


def test_sessions_of_an_older_schema_get_their_provenance(catalog_url: str) -> None:
    engine = make_engine(catalog_url)
    at_revision(engine, "0007")
    with writing(engine) as connection:
        for statement in OLD[:2]:
            connection.exec_driver_sql(statement)

    migrate(engine)

    with reading(engine) as connection:
        ((key, provenance),) = newer(connection, 0, 10)
        assert provenance == Provenance("ci@api", "bot", "orders", "postgres")
        found = list_sessions(connection, SessionFilter(visible=Visible(provenances=(key,)))).items
        assert [one.id for one in found] == ["ses_a"]
    engine.dispose()


def test_recordings_of_an_older_schema_are_parted_by_the_groups_of_their_starters(catalog_url: str) -> None:
    engine = make_engine(catalog_url)
    at_revision(engine, "0007")
    with writing(engine) as connection:
        for statement in OLD[:2]:
            connection.exec_driver_sql(statement)
    at_revision(engine, "0010")
    runs_of = {"run_b": ["dev", "ops"], "run_c": [], "run_d": ["dev", "ops"]}
    with writing(engine) as connection:
        for run, groups in runs_of.items():
            columns = "id, issuer, subject, principal_kind, groups, principal, agent, labels, grade, created, expires"
            connection.exec_driver_sql(
                f"INSERT INTO runs ({columns}) SELECT '{run}', issuer, subject, principal_kind, "
                f"'{json.dumps(groups)}', principal, agent, labels, grade, created, expires FROM runs WHERE id = 'run_a'"
            )
            connection.exec_driver_sql(
                "INSERT INTO sessions (id, run, principal, agent, target, protocol, database, address, claims, "
                "policy, state, opened, worker, opening, provenance) "
                f"SELECT 'ses_{run}', (SELECT key FROM runs WHERE id = '{run}'), principal, agent, target, "
                "protocol, database, address, claims, policy, state, opened, worker, opening, provenance "
                "FROM sessions WHERE id = 'ses_a'"
            )

    migrate(engine)

    with reading(engine) as connection:
        found = {provenance.groups: key for key, provenance in newer(connection, 0, 10)}
        assert found.keys() == {(), ("dev", "ops")}
        for groups, names in (((), {"ses_a", "ses_run_c"}), (("dev", "ops"), {"ses_run_b", "ses_run_d"})):
            wanted = SessionFilter(visible=Visible(provenances=(found[groups],)))
            listed = list_sessions(connection, wanted).items
            assert {one.id for one in listed} == names
            assert all(one.provenance.groups == groups for one in listed)
    # and what comes with them has the same
    with writing(engine) as connection:
        same = Provenance("ci@api", "bot", "orders", "postgres", ("dev", "ops"))
        assert key_of(connection, same) == found["dev", "ops"]
    engine.dispose()


def test_an_empty_catalog_asks_for_nothing(catalog: Engine) -> None:
    with reading(catalog) as connection:
        assert not renewal.demanded(connection)


def test_migrating_again_is_nothing(catalog: Engine) -> None:
    migrate(catalog)
    check(catalog)


def test_a_catalog_of_the_first_schema_is_brought_up_with_what_it_holds(catalog_url: str) -> None:
    engine = make_engine(catalog_url)
    at_revision(engine, "0001")
    with writing(engine) as connection:
        connection.exec_driver_sql("INSERT INTO service_accounts VALUES ('sva_1', 'ci', '[]', 1, NULL)")
        connection.exec_driver_sql(
            "INSERT INTO api_keys (id, account, hash, created) VALUES ('key_1', 'sva_1', 'h', 1)"
        )
        connection.exec_driver_sql(
            'INSERT INTO runs (id, issuer, subject, principal_kind, "groups", principal, agent, labels, grade,'
            " created, expires) VALUES ('run_a', 'bodycam', 'ci', 'service', '[]', 'ci@bodycam', 'bot', '{}',"
            " 'advisory', 1, 1000000)"
        )
    with pytest.raises(SchemaError, match="older"):
        check(engine)

    migrate(engine)

    check(engine)
    with writing(engine) as connection:
        (key,) = accounts.keys_of(connection, "sva_1")
        assert (key.id, key.last_used, key.scopes) == ("key_1", None, None)
        assert accounts.accounts(connection)[0].kind.value == "service"
        accounts.keys_used(connection, {"key_1": 7})
        accounts.add_key(connection, id="key_2", account="sva_1", hash=b"h", now=2, scopes=["read", "runs:a"])
        accounts.add_key(connection, id="key_3", account="sva_1", hash=b"h", now=3)
        kept = [one.scopes for one in accounts.keys_of(connection, "sva_1")]
        assert kept == [None, ("read", "runs:a"), None]
        run = runs.get_run(connection, "run_a")
        assert run is not None
        assert (run.api_key, run.state(5)) == (None, runs.RunState.ACTIVE)
        assert runs.revoke_runs_of_key(connection, "key_1", "stolen", 5) == ()
    engine.dispose()


def test_a_newer_schema_is_refused(catalog: Engine) -> None:
    with writing(catalog) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    for refuse in (migrate, check):
        with pytest.raises(SchemaError, match="newer version of Bodycam made this catalog"):
            refuse(catalog)


def test_an_empty_catalog_is_older(catalog_url: str) -> None:
    engine = make_engine(catalog_url)
    with pytest.raises(SchemaError, match="older"):
        check(engine)
    engine.dispose()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://host/db", "can't be in 'mysql'"),
        ("sqlite://", "needs a file"),
        ("nonsense", "can't be read"),
        ("postgresql://host/db?sslmode=maybe", "sslmode='maybe'"),
        ("postgresql://host/db?color=red", "unknown options: color"),
    ],
)
def test_a_wrong_url_is_named(url: str, says: str) -> None:
    with pytest.raises(CatalogUrlError, match=says):
        make_engine(url)
