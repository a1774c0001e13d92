"""docs/api.md lists the routes that the application has, and no others."""

import re
from pathlib import Path

from fastapi import FastAPI

from bodycam.api.app import RESOURCES

PAGE = Path(__file__).parents[2] / "docs" / "api.md"


def test_the_page_and_openapi_list_the_same_routes() -> None:
    app = FastAPI()
    for resource in RESOURCES:
        app.include_router(resource.router)
    served = {
        (method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods
    }
    listed = re.findall(r"^\| (GET|POST|PUT|DELETE|PATCH) \| `([^`]+)` \|", PAGE.read_text(), re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert set(listed) == served
