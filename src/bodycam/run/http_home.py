"""The files in a private HOME by which clients without variables find the proxy, and nothing else in them."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class HomeFile:
    """What they say: the proxy's URL with the credential, and the bundle of CAs, "" if none is needed."""

    proxy: str = field(repr=False)
    authorities: str


def home_files(one: HomeFile) -> Mapping[str, str]:
    """The text of each file, by its path in HOME."""
    return {
        ".curlrc": _curl(one),
        ".gitconfig": _git(one),
        ".config/pip/pip.conf": _lines("[global]", proxy=one.proxy, cert=one.authorities),
        ".npmrc": _lines("", proxy=one.proxy, **{"https-proxy": one.proxy}, cafile=one.authorities),
    }


def _curl(one: HomeFile) -> str:
    """A file of options, as curl(1) has them at -K."""
    options = {"proxy": one.proxy, "cacert": one.authorities}
    return "".join(f"{name} = {_quoted(value)}\n" for name, value in options.items() if value)


def _git(one: HomeFile) -> str:
    """A file of settings, in the syntax of git-config(1)."""
    settings = {
        "proxy": one.proxy,
        "proxyAuthMethod": "basic",
        "sslCAInfo": one.authorities,
    }
    lines = [f"\t{name} = {_quoted(value)}\n" for name, value in settings.items() if value]
    return "".join(["[http]\n", *lines])


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _lines(section: str, **settings: str) -> str:
    lines = [section, *(f"{name} = {value}" for name, value in settings.items() if value)]
    return "".join(f"{line}\n" for line in lines if line)
