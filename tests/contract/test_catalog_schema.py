"""Migrations make what the tables say, and a catalog from the future is refused."""

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine

from bodycam.catalog import accounts, runs
from bodycam.catalog.engine import CatalogUrlError, make_engine, reading, writing
from bodycam.catalog.schema import SchemaError, _config, check, migrate
from bodycam.catalog.tables import metadata


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


def test_migrating_again_is_nothing(catalog: Engine) -> None:
    migrate(catalog)
    check(catalog)


def test_a_catalog_of_the_first_schema_is_brought_up_with_what_it_holds(catalog_url: str) -> None:
    engine = make_engine(catalog_url)
    with writing(engine) as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
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
        assert (key.id, key.last_used) == ("key_1", None)
        assert accounts.accounts(connection)[0].kind.value == "service"
        accounts.keys_used(connection, {"key_1": 7})
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
