import ssl
import stat
from pathlib import Path

from bodycam.run.binding import Credential, Situation
from bodycam.run.gateway import Listener, Reachable
from bodycam.run.libpq import BINDING, pgpass_line
from bodycam.run.private_folder import PrivateFolder


def test_pgpass_fields_are_escaped() -> None:
    assert pgpass_line("::1", "5432", None, "a\\b", "c:d") == "\\:\\:1:5432:*:a\\\\b:c\\:d\n"


def test_tls_is_verified_in_full_against_the_gateways_ca() -> None:
    with PrivateFolder() as folder:
        situation = Situation(
            "bot",
            Listener("gateway.internal", 7432, True),
            Reachable("orders", "postgres", ()),
            Credential("run_x", "secret"),
            "-----BEGIN CERTIFICATE-----\n",
            folder,
        )
        variables = BINDING.make(situation)
        assert variables["PGSSLMODE"] == "verify-full"
        ca_file = Path(variables["PGSSLROOTCERT"])
        assert ca_file.read_text() == "-----BEGIN CERTIFICATE-----\n"
        assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
        assert "secret" not in repr(situation)
    assert not ca_file.exists()


def test_without_a_ca_of_its_own_the_systems_authorities_vouch() -> None:
    with PrivateFolder() as folder:
        situation = Situation(
            "bot", Listener("g", 1, True), Reachable("o", "postgres", ()), Credential("u", "s"), "", folder
        )
        text = Path(BINDING.make(situation)["PGSSLROOTCERT"]).read_text()
    assert text.count("BEGIN CERTIFICATE") == len(ssl.create_default_context().get_ca_certs())


def test_the_run_s_certificate_goes_where_tls_is_and_nowhere_else() -> None:
    with PrivateFolder() as folder:
        files = (folder.write("client.pem", "certificate"), folder.write("client.key", "key"))
        for tls in (True, False):
            situation = Situation(
                "bot", Listener("g", 1, tls), Reachable("o", "postgres", ()), Credential("u", "s"), "CA",
                PrivateFolder() if not tls else folder, files,
            )  # fmt: skip
            with situation.folder:
                variables = BINDING.make(situation)
            assert (variables.get("PGSSLCERT"), variables.get("PGSSLKEY")) == (
                tuple(map(str, files)) if tls else (None, None)
            )
            assert not any("secret" in value for value in variables.values())


def test_a_file_is_replaced_whole_and_stays_private() -> None:
    with PrivateFolder() as folder:
        file = folder.write("client.pem", "one")
        (folder.path / ".client.pem.new").write_text("left behind")
        assert folder.replace("client.pem", "two") == file
        assert file.read_text() == "two"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert [one.name for one in folder.path.iterdir()] == ["client.pem"]
