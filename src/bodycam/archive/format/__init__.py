"""The formats of sealed recordings, a module a version; every version is read for ever."""

from bodycam.archive.format.v1 import FormatDamaged

__all__ = ["FormatDamaged"]
