"""The house rules that no linter knows: sizes, names, links, who may name a protocol, what a worker holds."""

import ast
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bodycam.archive.keys import KeysUnusable, generate, load_archivist, load_public

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "bodycam"
MODULES = sorted(SOURCE.rglob("*.py"))
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
LINES_MOST = 400
SHAPELESS = {"utils", "util", "helpers", "helper", "common", "manager", "misc", "shared_utils"}

# who may name a protocol outside its own folder, and why
MAY_NAME_POSTGRES = {
    "registry.py": "the one line that plugs the protocol in",
    "run/libpq.py": "what clients of libpq read from their environment",
    "run/environment.py": "the binding's line, and the default ports of URL schemes",
    "cli/init.py": "the starter file's listening address",
    "cli/demo/": "the demo shows this protocol",
    "catalog/": "PostgreSQL as the catalog's own database",
    "policy/sql/": "the grammar and the functions of that database, which are no wire",
    "config/keeping.py": "the URL of the catalog's database",
}


def relative(file: Path) -> str:
    return file.relative_to(SOURCE).as_posix()


def tracked() -> list[Path]:
    """The files of the repository, new ones that are not ignored included."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=30,
    ).stdout
    return [file for name in listed.decode().split("\0") if name and (file := ROOT / name).is_file()]


@pytest.mark.parametrize("module", MODULES, ids=relative)
def test_no_module_is_long(module: Path) -> None:
    assert len(module.read_text().splitlines()) <= LINES_MOST


def test_no_module_has_a_shapeless_name() -> None:
    parts = {part.removesuffix(".py") for module in MODULES for part in module.relative_to(SOURCE).parts}
    assert not {part for part in parts if SHAPELESS & {part, *part.split("_")}}


def words(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every identifier and string constant of a module but its docstrings, with its line."""
    docstrings = {
        id(first.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        for first in node.body
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    }
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        match node:
            case ast.Constant(value=str(text)) if id(node) not in docstrings:
                yield line, text
            case ast.Constant(value=bytes(data)):
                yield line, data.decode("latin-1")
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                yield line, name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield line, name
            case ast.alias(name=name, asname=other):
                yield line, f"{name} {other or ''}"
            case ast.ImportFrom(module=module) if module:
                yield line, module
            case ast.keyword(arg=name) if name:
                yield line, name


def naming_postgres(module: Path) -> list[str]:
    found = words(ast.parse(module.read_text()))
    return [f"{relative(module)}:{line}: {word[:60]}" for line, word in found if "postgres" in word.lower()]


def test_nothing_outside_its_folder_names_a_protocol() -> None:
    named = [
        one
        for module in MODULES
        if not relative(module).startswith(("protocols/postgres/", *MAY_NAME_POSTGRES))
        for one in naming_postgres(module)
    ]
    assert named == []


@pytest.mark.parametrize("allowed", sorted(MAY_NAME_POSTGRES))
def test_each_exception_is_still_needed(allowed: str) -> None:
    assert any(naming_postgres(module) for module in MODULES if relative(module).startswith(allowed))


def test_every_protocol_folder_is_registered() -> None:
    registry = (SOURCE / "registry.py").read_text()
    for folder in (SOURCE / "protocols").iterdir():
        if folder.is_dir() and any(folder.glob("*.py")):
            assert f"bodycam.protocols.{folder.name}.protocol import PROTOCOL" in registry


def anchors(page: Path) -> set[str]:
    """The anchors that a Markdown page's headings get."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> Iterator[str]:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:", target):
            yield target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in links(page):
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{page.name} links to {target}"
        assert file.is_relative_to(ROOT), f"{page.name} links out of the repository: {target}"
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file), f"{page.name} links to {target}"


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, waiting = set[Path](), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            waiting += [(page.parent / target.partition("#")[0]).resolve() for target in links(page)]
    assert set(PAGES) <= reached


# put together here, so that this file does not hold what it looks for
MACHINE_PATHS = re.compile(
    r"(?<![\w.\-/])/(?:" + "|".join(("wor" + "k", "roo" + "t", "home/[a-z]+")) + r")/[\w.]"
)
REGISTRIES = re.compile(
    "|".join(
        ("pypi" + r"\.org", "pythonhosted" + r"\.org", "npmjs" + r"\.(?:org|com)", "proxy" + r"\.golang")
    )
)


def test_no_tracked_file_names_a_machines_path_or_a_registry() -> None:
    named = []
    for file in tracked():
        try:
            text = file.read_text()
        except UnicodeDecodeError:
            continue
        for pattern in (MACHINE_PATHS, REGISTRIES):
            named += [f"{file.relative_to(ROOT)}: {hit.group()}" for hit in pattern.finditer(text)]
    assert named == []


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-build.lock"])
def test_a_lock_pins_by_version_and_hash_and_names_no_registry(name: str) -> None:
    text = (ROOT / name).read_text().replace("\\\n", " ")
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            assert re.match(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==[^ ]+ ", line), line[:80]
            assert "--hash=sha256:" in line
            assert "://" not in line


@pytest.mark.parametrize("shell", ["sh", "dash"])
def test_the_developers_command_is_plain_shell(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    assert (ROOT / "dev").read_text().startswith("#!/bin/sh\n")
    subprocess.run([shell, "-n", ROOT / "dev"], check=True, timeout=30)


def test_what_a_worker_loads_holds_no_verifier_no_catalog_and_no_private_key() -> None:
    program = (
        "import bodycam.app.__main__, bodycam.app.child, bodycam.app.worker, json, sys\n"
        "from bodycam.registry import LANGUAGES, PROTOCOLS\n"
        "[make() for make in LANGUAGES.values()]\n"
        "[protocol.load() for protocol in PROTOCOLS.values()]\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=60).stdout
    loaded = set(json.loads(said))
    rooms = {name.split(".")[1] for name in loaded if name.startswith("bodycam.")}
    assert not rooms & {"identity", "catalog", "api", "targets", "cli", "run"}
    assert {name for name in loaded if name.startswith("bodycam.archive.")} == {"bodycam.archive.keys"}
    assert not loaded & {"sqlalchemy", "alembic", "pg8000", "sqlite3", "fastapi", "uvicorn", "httpx"}
    # of the two modules that can load a private key, only what handles public halves is taken
    taken = {"bodycam.archive.keys": {"load_public"}, "bodycam.net.authority": {"request"}}
    for name in loaded:
        if name.startswith("bodycam."):
            module = SOURCE.joinpath(*name.split(".")[1:])
            file = module / "__init__.py" if module.is_dir() else module.with_suffix(".py")
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ImportFrom) and node.module in taken:
                    assert {one.name for one in node.names} <= taken[node.module], name
                elif isinstance(node, ast.Import):
                    assert not {one.name for one in node.names} & set(taken), name


@pytest.mark.parametrize("role", ["archivist", "control"])
def test_who_does_not_judge_loads_nothing_to_judge_by(role: str) -> None:
    program = (
        f"import bodycam.app.child, bodycam.app.{role}, json, sys; print(json.dumps(sorted(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=60).stdout
    # a second of each start
    heavy = {
        "alembic",
        "asyncssh",
        "hyperscan",
        "phonenumbers",
        "postgast",
        "prompt_toolkit",
        "stdnum",
        "typer",
    }
    assert not heavy & set(json.loads(said))


@pytest.mark.parametrize("role", ["worker", "archivist", "control"])
def test_a_child_is_started_without_what_draws_on_terminals(role: str) -> None:
    program = (
        "import sys\n"
        "from bodycam.app.__main__ import main\n"
        f"sys.argv = ['app', {role!r}, '--snapshot', '/nowhere', '--lifeline', '0']\n"
        "try: main()\n"
        "except FileNotFoundError: pass\n"
        f"import bodycam.app.{role}\n"
        "print(sorted(one for one in sys.modules if sys.modules[one] is not None))\n"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=60).stdout
    for library in ("rich", "prompt_toolkit", "typer"):
        assert f"'{library}'" not in said.decode()


def test_a_worker_needs_the_public_keys_only(tmp_path: Path) -> None:
    generate(tmp_path)
    shutil.rmtree(tmp_path / "archivist")
    load_public(tmp_path)
    with pytest.raises(KeysUnusable):
        load_archivist(tmp_path)


def test_the_import_contracts_hold() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint], cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout[-3000:]


def test_every_room_has_its_layer() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text()
    layers = pyproject.split("layers = [")[1].split("]")[0]
    named = set(re.findall(r"\w+", layers))
    rooms = {
        one.stem
        for one in SOURCE.iterdir()
        if (one.is_dir() and any(one.glob("*.py"))) or one.suffix == ".py"
    }
    assert rooms - {"__init__"} == named
    assert "exhaustive = true" in pyproject
