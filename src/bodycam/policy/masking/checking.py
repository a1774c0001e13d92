"""What settings of masking ask for that this version can't do: refused, so that nobody relies on it."""

from collections.abc import Iterator

from bodycam.config.settings import Settings


def check_columns(settings: Settings) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Masks by column, whose origins no protocol looks up yet (`config.load.Check`)."""
    for number, entry in enumerate(settings.masking):
        unless = () if entry.unless is None else entry.unless.columns
        for path, named in ((("columns",), entry.columns), (("unless", "columns"), unless)):
            if named:
                yield (
                    ("masking", number, *path),
                    "masks by column are not in this version, which does not follow columns through views "
                    "and casts; deny what reads them by a rule over op.sql.columns_read",
                )
