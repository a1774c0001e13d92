"""The binding of clients that honour proxy variables: curl, Python, git, pip, npm, Node and many more.

The proxy serves every target, so that none is chosen. It is set for an agent that may open none of this kind
too: what its clients ask for is then refused and on the record, where without a proxy they would go straight
out. What each client reads is in curl's "Environment variables", git-config(1) (http.proxy), the pages on
the configuration of pip, npm, Yarn, Cargo and Deno, Node's command-line page, the proxies pages of requests
and httpx, and gRPC's doc/environment_variables.md.
"""

import re
from collections.abc import Mapping
from ipaddress import IPv6Address
from pathlib import Path
from urllib.parse import quote

from bodycam.run.authorities import bundle, certificates_of, system_authorities
from bodycam.run.binding import Binding, Situation
from bodycam.run.http_home import HomeFile, home_files

_PROXIES = (
    # curl reads http_proxy in small letters only, and Deno those in capitals
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    # aiohttp looks for a WebSocket's scheme and for no other
    "ws_proxy",
    "WS_PROXY",
    "wss_proxy",
    "WSS_PROXY",
    # these go before the clients' own files of settings, which may name another proxy
    "PIP_PROXY",
    "npm_config_proxy",
    "npm_config_https_proxy",
    "CARGO_HTTP_PROXY",
    "YARN_HTTP_PROXY",
    "YARN_HTTPS_PROXY",
)
_AUTHORITIES = (
    "SSL_CERT_FILE",
    "NIX_SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
    "npm_config_cafile",
    "DENO_CERT",
    "CARGO_HTTP_CAINFO",
    "AWS_CA_BUNDLE",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "HTTPLIB2_CA_CERTS",
    "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
)

_COUNT = re.compile(r"[0-9]{1,4}")


def _make(situation: Situation) -> Mapping[str, str]:
    url = proxy_url(situation)
    variables = dict.fromkeys(_PROXIES, url)
    variables |= {
        "NODE_USE_ENV_PROXY": "1",
        # git would ask without the credential first, for every connection
        "GIT_HTTP_PROXY_AUTHMETHOD": "basic",
        **_git_settings(situation.environ, {"http.proxy": url}),
    }
    authorities = _authorities(situation)
    if authorities:
        file = str(situation.folder.write("authorities.pem", authorities))
        variables |= dict.fromkeys(_AUTHORITIES, file)
    return variables


def _home(situation: Situation) -> Mapping[str, str]:
    file = situation.folder.path / "authorities.pem"
    authorities = str(file) if file.exists() else ""
    return home_files(HomeFile(proxy_url(situation), authorities))


def proxy_url(situation: Situation) -> str:
    """The proxy's URL, with the run's credential as its userinfo (RFC 3986).

    It is plain http, which every client can speak: the listener is on this machine, or a relay to it is.
    """
    credential, listener = situation.credential, situation.listener
    host = f"[{listener.host}]" if _is_v6(listener.host) else listener.host
    userinfo = f"{quote(credential.user, safe='')}:{quote(credential.secret, safe='')}"
    return f"http://{userinfo}@{host}:{listener.port}"


def _is_v6(host: str) -> bool:
    try:
        IPv6Address(host)
    except ValueError:
        return False
    return True


def _authorities(situation: Situation) -> str:
    """One bundle for all: the system's, those that the caller's variables name, and the gateway's own.

    Without any of the gateway's own the clients' defaults are as good: then it is "", and nothing is set.
    """
    own = bundle([situation.ca_pem, situation.interception_ca_pem])
    if not own:
        return ""
    files = {situation.environ[name] for name in _AUTHORITIES if situation.environ.get(name)}
    named = [certificates_of(Path(file)) for file in sorted(files)]
    return bundle([system_authorities(), *named, own])


def _git_settings(environ: Mapping[str, str], settings: Mapping[str, str]) -> Mapping[str, str]:
    """Settings that go before git's files, after those that the caller gives in the same way (git 2.31)."""
    given = environ.get("GIT_CONFIG_COUNT") or "0"
    if not _COUNT.fullmatch(given):
        return {}  # git refuses to run with that, whatever we add
    count = int(given)
    pairs = {
        f"GIT_CONFIG_{kind}_{number}": text
        for number, setting in enumerate(settings.items(), count)
        for kind, text in zip(("KEY", "VALUE"), setting, strict=True)
    }
    return {**pairs, "GIT_CONFIG_COUNT": str(count + len(settings))}


BINDING = Binding(
    protocol="http",
    detours=(
        "NO_PROXY",
        "no_proxy",
        "npm_config_noproxy",
        "NPM_CONFIG_NOPROXY",
        "NPM_CONFIG_PROXY",
        "NPM_CONFIG_HTTPS_PROXY",
        "NPM_CONFIG_CAFILE",
        "no_grpc_proxy",
        "grpc_proxy",
        "ftp_proxy",
        "FTP_PROXY",
        "socks_proxy",
        "SOCKS_PROXY",
        "CGI_HTTP_PROXY",
        "CLOUDSDK_PROXY_TYPE",
        "CLOUDSDK_PROXY_ADDRESS",
        "CLOUDSDK_PROXY_PORT",
        "CURL_HOME",
        "GIT_PROXY_COMMAND",
    ),
    make=_make,
    home=_home,
    chooses=False,
    plain=True,
    carries=frozenset({"http", "https", "ws", "wss"}),
)
