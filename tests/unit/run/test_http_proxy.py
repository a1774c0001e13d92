import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from bodycam.run.binding import Credential, Situation
from bodycam.run.bound import private_home
from bodycam.run.gateway import Listener
from bodycam.run.http_proxy import BINDING, proxy_url
from bodycam.run.private_folder import PrivateFolder

PEM = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n"
OWN, SHOWN, COMPANY = PEM.format("oooo"), PEM.format("ssss"), PEM.format("cccc")
HERE = Listener("127.0.0.1", 7480, tls=False)


@pytest.fixture
def folder() -> Iterator[PrivateFolder]:
    with PrivateFolder() as folder:
        yield folder


def situation(
    folder: PrivateFolder,
    *,
    listener: Listener = HERE,
    secret: str = "bcr_x",
    own: str = OWN,
    shown: str = SHOWN,
    environ: Mapping[str, str] | None = None,
) -> Situation:
    credential = Credential("run_x", secret)
    return Situation(
        "bot", listener, None, credential, own, folder, interception_ca_pem=shown, environ=environ or {}
    )


@pytest.mark.parametrize(
    ("host", "secret", "url"),
    [
        ("127.0.0.1", "bcr_x", "http://run_x:bcr_x@127.0.0.1:7480"),
        ("::1", "bcr_x", "http://run_x:bcr_x@[::1]:7480"),
        ("localhost", "a:b/c@d%e#?", "http://run_x:a%3Ab%2Fc%40d%25e%23%3F@localhost:7480"),
    ],
)
def test_the_credential_is_the_urls_userinfo(folder: PrivateFolder, host: str, secret: str, url: str) -> None:
    assert proxy_url(situation(folder, listener=Listener(host, 7480, tls=False), secret=secret)) == url


def test_every_ca_variable_names_one_bundle_of_all(folder: PrivateFolder, tmp_path: Path) -> None:
    company = tmp_path / "company.pem"
    company.write_text(COMPANY)
    environ = {"REQUESTS_CA_BUNDLE": str(company), "CURL_CA_BUNDLE": str(tmp_path / "missing.pem")}
    variables = BINDING.make(situation(folder, environ=environ))
    file = Path(variables["SSL_CERT_FILE"])
    named = {name for name, value in variables.items() if value == str(file)}
    assert named >= {
        "CURL_CA_BUNDLE",
        "REQUESTS_CA_BUNDLE",
        "NODE_EXTRA_CA_CERTS",
        "GIT_SSL_CAINFO",
        "PIP_CERT",
    }
    text = file.read_text()
    assert text.endswith(COMPANY + OWN + SHOWN)
    assert text.count("BEGIN CERTIFICATE") > 3
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_without_a_ca_of_the_gateways_the_clients_defaults_stay(folder: PrivateFolder) -> None:
    variables = BINDING.make(situation(folder, own="", shown=""))
    assert not [name for name in variables if "CA" in name.split("_") or "CERT" in name]
    assert variables["https_proxy"] == variables["ALL_PROXY"] == "http://run_x:bcr_x@127.0.0.1:7480"
    assert variables["NODE_USE_ENV_PROXY"] == "1"
    assert list(folder.path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "http.proxy"}),
        ({"GIT_CONFIG_COUNT": ""}, {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "http.proxy"}),
        ({"GIT_CONFIG_COUNT": "2"}, {"GIT_CONFIG_COUNT": "3", "GIT_CONFIG_KEY_2": "http.proxy"}),
        ({"GIT_CONFIG_COUNT": "many"}, {}),
    ],
)
def test_gits_settings_come_after_the_callers_own(
    folder: PrivateFolder, given: Mapping[str, str], expected: Mapping[str, str]
) -> None:
    variables = BINDING.make(situation(folder, environ=given))
    found = {name: variables[name] for name in variables if name.startswith("GIT_CONFIG_")}
    assert {name: value for name, value in found.items() if "VALUE" not in name} == expected


def test_a_private_home_has_what_leads_to_the_gateway_and_no_more(folder: PrivateFolder) -> None:
    one = situation(folder)
    BINDING.make(one)
    home = Path(private_home(folder, [(BINDING, one)])["HOME"])
    files = {str(file.relative_to(home)): file for file in home.rglob("*") if file.is_file()}
    assert set(files) == {".curlrc", ".gitconfig", ".npmrc", ".config/pip/pip.conf"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files.values()} == {0o600}
    folders = [home, *(file for file in home.rglob("*") if file.is_dir())]
    assert {stat.S_IMODE(file.stat().st_mode) for file in folders} == {0o700}
    url, bundle = proxy_url(one), folder.path / "authorities.pem"
    assert files[".curlrc"].read_text() == f'proxy = "{url}"\ncacert = "{bundle}"\n'
    assert files[".npmrc"].read_text() == f"proxy = {url}\nhttps-proxy = {url}\ncafile = {bundle}\n"
