"""A gateway whose catalog is a PostgreSQL database: the same answers as with SQLite."""

import psycopg

from tests import stage


def test_runs_search_and_transcripts_work_over_a_postgresql_catalog(server: stage.Postgres) -> None:
    server.sql("create database catalog owner scram_user")
    url = f"postgresql://scram_user@127.0.0.1:{server.port}/catalog"
    with stage.folder() as folder:
        (folder / "catalog-password").write_text(stage.PASSWORD)
        (folder / "catalog-password").chmod(0o600)
        password = {"file": str(folder / "catalog-password")}
        gateway = stage.Gateway(
            folder / "g",
            {"shop": stage.shop(server)},
            storage={"catalog": {"url": url, "password": password}},
        )
        gateway.init()
        gateway.start()
        try:
            run = gateway.run()
            with psycopg.connect(run.dsn()) as connection:
                connection.execute("select %s::text as needle", ("haystack",))
            gateway.end(run)

            listed = gateway.exchanges(run.run)
            assert [(one["text"], one["parameters"]) for one in listed if one["verb"] == "execute"] == [
                ("select $1::text as needle", "haystack")
            ]
            hits = gateway.api("GET", "/v1/search?q=haystack").json()["hits"]
            assert [hit["run"] for hit in hits] == [run.run]
            (session,) = gateway.api("GET", f"/v1/sessions?run={run.run}").json()["sessions"]
            assert session["state"] == "sealed"
            assert "needle" in gateway.api("GET", f"/v1/sessions/{session['id']}/transcript").text
        finally:
            assert gateway.stop() == 0
        assert gateway.verify()[0] == 0
    server.sql("drop database catalog")
