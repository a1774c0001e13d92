"""Which hot path is tested: the sources, or what was compiled of them."""

from bodycam.protocols.postgres import codec


def pytest_report_header() -> str:
    state = "compiled" if codec.__file__.endswith(".so") else "interpreted"
    return f"hot path: {state}"
