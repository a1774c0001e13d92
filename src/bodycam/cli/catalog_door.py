"""The catalog that the settings name, for the few commands that work without a gateway."""

import asyncio

from sqlalchemy import Engine

from bodycam.catalog.engine import CatalogUrlError, make_engine
from bodycam.cli.failure import USAGE, Failure
from bodycam.config import Settings
from bodycam.targets.secrets import SecretUnavailable, read_secret


def catalog_of(settings: Settings) -> Engine:
    """An engine for the settings' catalog; dispose of it.

    Raises:
        Failure: its URL or its password can't be used.
    """
    source = settings.storage.catalog.password
    try:
        password = None if source is None else asyncio.run(read_secret(source))
        return make_engine(settings.storage.catalog_url, password)
    except (SecretUnavailable, CatalogUrlError) as error:
        raise Failure(
            f"the catalog can't be opened: {error}", hint="storage.catalog names it", code=USAGE
        ) from error
