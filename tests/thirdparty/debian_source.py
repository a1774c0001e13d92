"""PostgreSQL's own tests out of Debian's source package, fetched by apt under the system's own sources.

apt works in folders of the cache, so that nothing of the system is changed and no root is needed.
"""

import re
import shutil
import tarfile
import tempfile
from pathlib import Path

from tests import stage
from tests.thirdparty.cache import CACHE, Unavailable, call

APT = Path("/etc/apt")
WANTED = ("src/test/regress/", "src/test/modules/libpq_pipeline/")
MISSING = "not-built"


def suites() -> Path:
    """A folder with `regress` and `libpq_pipeline` of the PostgreSQL that is installed, built where that goes.

    Raises:
        Unavailable: there is no apt, or no such source package, or it can't be fetched.
    """
    major = stage.postgres_bin().parts[4]
    kept = CACHE / f"postgresql-{major}"
    if not (kept / "fetched").exists():
        shutil.rmtree(kept, ignore_errors=True)
        with tempfile.TemporaryDirectory() as work:
            _fetch(Path(work), kept, major)
        (kept / "fetched").touch()
    return kept


def program(kept: Path, name: str) -> Path:
    """A program of the suites.

    Raises:
        Unavailable: it could not be built.
    """
    built = kept / name / name
    if not built.exists():
        raise Unavailable((kept / MISSING).read_text().strip())
    return built


def _fetch(work: Path, kept: Path, major: str) -> None:
    options = _options(work / "apt")
    package = f"postgresql-{major}"
    # a source without a source part makes the update fail as a whole, and what is wanted may be there all the same
    try:
        call(["apt-get", *options, "-q", "update"], cwd=work)
    except Unavailable as error:
        reason = str(error)
    else:
        reason = "it is in none of apt's sources"
    listed = call(["apt-cache", *options, "showsrc", package], cwd=work)
    versions = re.findall(r"^Version: (\S+)$", listed, re.MULTILINE)
    if not versions:
        raise Unavailable(f"no source package {package}: {reason}")
    for version in sorted(versions, key=lambda one: one != _installed(package)):
        try:
            call(["apt-get", *options, "-q", "source", "--download-only", f"{package}={version}"], cwd=work)
        except Unavailable as error:
            reason = str(error)
            continue
        _unpack(work, kept, package)
        _build(work, kept, options, [f"postgresql-server-dev-{major}={version}", f"libpq-dev={version}"])
        return
    raise Unavailable(f"the source package {package} can't be fetched: {reason}")


def _options(folder: Path) -> list[str]:
    """apt's options for its work in `folder`, with the source packages of all of the system's sources."""
    for name in ("lists/partial", "cache/archives/partial", "parts"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for file in (APT / "sources.list", *sorted((APT / "sources.list.d").glob("*"))):
        if not file.is_file():
            continue
        text = file.read_text()
        if file.suffix == ".sources":
            text = re.sub(r"^Types:.*$", "Types: deb deb-src", text, flags=re.MULTILINE)
        else:
            lines = [line for line in text.splitlines() if line.startswith("deb ")]
            text = "".join(f"{line}\ndeb-src {line.removeprefix('deb ')}\n" for line in lines)
        (folder / "parts" / file.name).write_text(text)
    settings = {
        "Dir::Etc::SourceList": "/dev/null",
        "Dir::Etc::SourceParts": folder / "parts",
        "Dir::State::Lists": folder / "lists",
        "Dir::Cache": folder / "cache",
        "APT::Sandbox::User": "root",
        "Debug::NoLocking": "1",
        "Acquire::Retries": "2",
    }
    return [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]


def _installed(package: str) -> str:
    try:
        return call(["dpkg-query", "-W", "-f", "${source:Version}", package], cwd=APT).strip()
    except Unavailable:
        return ""


def _unpack(work: Path, kept: Path, package: str) -> None:
    (source,) = work.glob(f"{package}_*.orig.tar.*[!c]")
    with tarfile.open(source) as archive:
        for member in archive:
            _, _, inside = member.name.partition("/")
            for wanted in WANTED:
                if inside.startswith(wanted):
                    member.name = f"{Path(wanted).name}/{inside.removeprefix(wanted)}"
                    archive.extract(member, kept, filter="data")


def _build(work: Path, kept: Path, options: list[str], packages: list[str]) -> None:
    """Build the suites' own C functions and programs; the headers are Debian's and are not installed.

    Without a compiler the regression tests of C functions fail, both ways alike.
    """
    try:
        call(["apt-get", *options, "-q", "download", *packages], cwd=work)
        for package in work.glob("*.deb"):
            call(["dpkg-deb", "-x", package, work / "built"], cwd=work)
        headers = work / "built/usr/include/postgresql"
        (server,) = headers.glob("*/server")
        compiler = ["cc", "-O1", "-I", server, "-I", headers, "-I", headers / "internal"]
        regress, pipeline = kept / "regress/regress", kept / "libpq_pipeline/libpq_pipeline"
        call(
            [*compiler, "-shared", "-fPIC", '-DDLSUFFIX=".so"', "-o", f"{regress}.so", f"{regress}.c"],
            cwd=work,
        )
        folders = {file.parent for file in (work / "built").rglob("libpgcommon.a")}
        libraries = [*(f"-L{folder}" for folder in folders), "-lpgcommon", "-lpgport", "-l:libpq.so.5"]
        call([*compiler, "-o", pipeline, f"{pipeline}.c", *libraries], cwd=work)
    except Unavailable as error:
        (kept / MISSING).write_text(f"{error}\n")
    for name in ("autoinc.so", "refint.so"):
        built = stage.postgres_bin().parent / "lib" / name
        if built.exists():
            shutil.copy(built, kept / "regress")
