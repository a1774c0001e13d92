"""Settings of what is kept: the folders, the catalog, the journal and the archive."""

import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from pydantic import Field, field_validator, model_validator

from bodycam.config.people import TargetSelector
from bodycam.config.secret import SecretSource
from bodycam.config.section import Section, written
from bodycam.config.types import Duration, FilePath, Name, Size, Text

# sockaddr_un holds 108 bytes on Linux, the last of them NUL: unix(7)
SOCKET_PATH_MAX = 107
LONGEST_SOCKET = "archivist.sock"


class Catalog(Section):
    """The relational state: a SQLite file in the data folder, or a PostgreSQL database."""

    url: str = Field(
        default="sqlite",
        description="`sqlite`, or `postgresql://user@host:port/database` without a password in it.",
    )
    password: SecretSource | None = Field(
        default=None, description="Where the password of a PostgreSQL catalog comes from."
    )

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"url": value} if isinstance(value, str) else value

    @field_validator("url")
    @classmethod
    def _known_scheme(cls, value: str) -> str:
        if value == "sqlite":
            return value
        wrong = ValueError("expected sqlite or postgresql://user@host:port/database")
        try:
            url = urlsplit(value)
            _ = url.port
        except ValueError:
            raise wrong from None
        if (
            url.scheme != "postgresql"
            or not (url.hostname or "host=" in url.query)
            or not url.path.strip("/")
        ):
            raise wrong
        if url.password is not None or any(key == "password" for key, _ in parse_qsl(url.query)):
            raise ValueError(
                "a literal password is refused; expected {url: postgresql://user@host/database, "
                "password: {env: NAME}}"
            )
        return value

    @model_validator(mode="after")
    def _password_of_a_server(self) -> Self:
        if self.url == "sqlite" and self.password is not None:
            raise ValueError("expected a password only beside a postgresql:// url")
        if self.password is not None and self.password.command is not None:
            raise ValueError("expected the catalog's password as {env: NAME} or {file: PATH}")
        return self


class KeyEncryption(Section):
    """One key-encryption key: a file that `bodycam init` makes, or what a command wraps."""

    wrap: tuple[Text, ...] = Field(
        default=(),
        description="The command, as a list, that wraps the key: it gets 32 bytes on its standard input and "
        "answers on its standard output; absent: the key itself is in its file.",
    )
    unwrap: tuple[Text, ...] = Field(default=(), description="The command that unwraps what `wrap` said.")
    timeout: Duration = Field(default=written("10s"), description="How long a command may take.")
    cache: Duration = Field(
        default=written("5m"), description="How long an unwrapped key is kept in the archivist's memory."
    )

    @model_validator(mode="after")
    def _both(self) -> Self:
        if bool(self.wrap) != bool(self.unwrap):
            raise ValueError("expected wrap and unwrap together")
        if not 0 < self.timeout <= 60:
            raise ValueError("expected a timeout of more than 0s and at most 1m")
        if not 1 <= self.cache <= 86400:
            raise ValueError("expected a cache from 1s to 1d")
        return self


class KeyFor(Section):
    """Which key-encryption key the recordings of some targets have."""

    targets: TargetSelector = Field(description="The targets, by names or labels.")
    kek: Name = Field(description="The key's name in `key_encryption`, or a name of a key in a file.")


class Storage(Section):
    """Where things are kept."""

    data: FilePath = Field(
        default=written("data"),
        description="The folder of journal, recordings, ledger, key store and SQLite catalog.",
    )
    recordings: str = Field(
        default="file", description="Where sealed recordings go: `file` is the data folder."
    )
    quota: Size | None = Field(
        default=None,
        description="The most that sealed recordings may take; from 80 % on it warns, and at 100 % new "
        "sessions are refused. Absent: as much as the disk has. Journals and staging files don't count.",
    )
    catalog: Catalog = Field(
        default_factory=Catalog, description="The relational state; `sqlite` or a URL may stand here as text."
    )
    key_encryption: Mapping[Name, KeyEncryption] = Field(
        default_factory=dict,
        description="Key-encryption keys by name; `default` is that of all that `keys_by` gives no other.",
    )
    keys_by: tuple[KeyFor, ...] = Field(
        default=(), description="Key-encryption keys by target; the first entry that fits counts."
    )
    sockets: FilePath = Field(
        default_factory=lambda data: data["data"] / "run",
        description="The folder of the sockets between the gateway's processes.",
    )

    @field_validator("recordings")
    @classmethod
    def _file_only(cls, value: str) -> str:
        if value.startswith("s3://"):
            raise ValueError("an S3 store is not in this version; expected file")
        if value != "file":
            raise ValueError("expected file")
        return value

    @field_validator("quota")
    @classmethod
    def _some_room(cls, value: int | None) -> int | None:
        if value is not None and value < 1:
            raise ValueError("expected a quota of more than 0B, or none")
        return value

    @field_validator("sockets")
    @classmethod
    def _fits_a_socket(cls, value: Path) -> Path:
        length = len(os.fsencode(Path(value).absolute() / LONGEST_SOCKET))
        if length > SOCKET_PATH_MAX:
            raise ValueError(
                f"expected a shorter folder: {LONGEST_SOCKET} in it would be a path of {length} bytes, and a "
                f"Unix socket's may have {SOCKET_PATH_MAX}; set storage.sockets to a short absolute path"
            )
        return value

    @property
    def catalog_url(self) -> str:
        """The catalog's URL, without its password: `sqlite:///PATH` or `postgresql://...`."""
        if self.catalog.url == "sqlite":
            return f"sqlite:///{self.data / 'catalog.db'}"
        return self.catalog.url


class Fsync(StrEnum):
    """When journaled bytes may leave: once they are in the page cache, or once they are on the disk."""

    INTERVAL = "interval"
    STRICT = "strict"


class Journal(Section):
    """The workers' write-ahead files."""

    segment_size: Size = Field(default=written("16MiB"), description="The size of one segment file.")
    max_size: Size = Field(
        default=written("2GiB"),
        description="Journal that one worker may have waiting for the archivist; near it reads slow down, "
        "then new sessions are refused, then running ones end.",
    )
    fsync: Fsync = Field(
        default=Fsync.INTERVAL,
        description="`interval`: bytes leave once journaled, and a power loss costs at most "
        "`fsync_interval`; `strict`: bytes leave once they are on the disk.",
    )
    fsync_interval: Duration = Field(
        default=written("1s"), description="How often the journal is synced to the disk."
    )

    @model_validator(mode="after")
    def _room(self) -> Self:
        if not 1 << 20 <= self.segment_size <= 1 << 30:
            raise ValueError("expected a segment_size from 1MiB to 1GiB")
        if self.max_size < 4 * self.segment_size:
            raise ValueError("expected a max_size of at least four times segment_size")
        if not 0.01 <= self.fsync_interval <= 60:
            raise ValueError("expected a fsync_interval from 10ms to 60s")
        return self


class Index(Section):
    """What the search index keeps, which is plaintext; the recordings always keep all of it."""

    values: bool = Field(default=True, description="Whether parameter values can be searched.")
    value_limit: Size = Field(
        default=written("4KiB"), description="How much of one exchange's values and error text is indexed."
    )
    output: bool = Field(default=True, description="Whether text of results can be searched.")
    output_limit: Size = Field(
        default=written("16KiB"), description="How much of one exchange's output is indexed."
    )


class Archive(Section):
    """The archivist: how journals become recordings, ledger and index."""

    seal_interval: Duration = Field(
        default=written("500ms"),
        description="How long an ended session may wait to share a container with others.",
    )
    checkpoint_interval: Duration = Field(
        default=written("2s"),
        description="How often what is recorded of open sessions is put beside the journal, "
        "so that journal segments can go.",
    )
    head_interval: Duration = Field(
        default=written("5s"), description="How often the chain head of a long session enters the ledger."
    )
    block_size: Size = Field(
        default=written("256KiB"),
        description="How much of a session, before compression, makes one block; "
        "very long sessions get larger ones.",
    )
    index: Index = Field(default_factory=Index, description="What can be searched.")
    retention_interval: Duration = Field(
        default=written("1h"), description="How often it is looked whether recordings are to be deleted."
    )

    @model_validator(mode="after")
    def _sane(self) -> Self:
        for interval in (self.seal_interval, self.checkpoint_interval, self.head_interval):
            if not 0 < interval <= 60:
                raise ValueError("expected intervals of more than 0s and at most 1m")
        if not 1 <= self.retention_interval <= 86400:
            raise ValueError("expected a retention_interval from 1s to 1d")
        if not 1 << 12 <= self.block_size <= 8 << 20:
            raise ValueError("expected a block_size from 4KiB to 8MiB")
        return self
