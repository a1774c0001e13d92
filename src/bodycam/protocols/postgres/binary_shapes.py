"""Geometric values of PostgreSQL's binary format (`src/backend/utils/adt/geo_ops.c`)."""

import struct

from bodycam.protocols.postgres.binary_numbers import double


def point(value: bytes) -> str:
    """A point."""
    return _points(value, 1)


def segment(value: bytes) -> str:
    """A line segment."""
    return f"[{_points(value, 2)}]"


def box(value: bytes) -> str:
    """A box: two corners."""
    return _points(value, 2)


def line(value: bytes) -> str:
    """A line: A, B and C of Ax + By + C = 0."""
    return "{" + ",".join(_floats(value, 3)) + "}"


def circle(value: bytes) -> str:
    """A circle: centre and radius."""
    x, y, radius = _floats(value, 3)
    return f"<({x},{y}),{radius}>"


def path(value: bytes) -> str:
    """A path, closed or open."""
    shown = _points(value[5:], int.from_bytes(value[1:5], "big"))
    return f"({shown})" if value[0] else f"[{shown}]"


def polygon(value: bytes) -> str:
    """A polygon."""
    return f"({_points(value[4:], int.from_bytes(value[:4], 'big'))})"


def _points(value: bytes, count: int) -> str:
    numbers = _floats(value, count * 2)
    return ",".join(f"({x},{y})" for x, y in zip(numbers[::2], numbers[1::2], strict=True))


def _floats(value: bytes, count: int) -> list[str]:
    if len(value) != count * 8:
        raise struct.error("another count of numbers than the shape has")
    return [double(value[start : start + 8]) for start in range(0, len(value), 8)]
