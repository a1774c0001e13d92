"""Numbers of PostgreSQL's binary format, written as the server writes them as text.

The layouts are those of the server's own send functions (`src/backend/utils/adt/`: int.c, float.c,
numeric.c, cash.c, varbit.c). Every reader takes a whole value and raises when it is not one.
"""

import struct
from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal

Binary = Callable[[bytes], str]
"""Reads one whole binary value; raises ValueError, struct.error or IndexError when it is none."""

_DOUBLE, _SINGLE = struct.Struct(">d"), struct.Struct(">f")
_NUMERIC = struct.Struct(">HhHH")
_INT64 = struct.Struct(">q")

_SPECIAL_NUMERICS = {0xC000: "NaN", 0xD000: "Infinity", 0xF000: "-Infinity"}
_ZEROS_MOST = 1000
"""More zeros than this that are not in the bytes are not written out: ten bytes could ask for 131,000."""


def integer(form: str) -> Binary:
    """A reader of one integer in this `struct` form."""
    unpack = struct.Struct(form).unpack

    def read(value: bytes) -> str:
        return str(unpack(value)[0])

    return read


def boolean(value: bytes) -> str:
    """`t` or `f`."""
    if len(value) != 1:
        raise ValueError("a boolean is one byte")
    return "t" if value[0] else "f"


def double(value: bytes) -> str:
    """A float8: the shortest digits that give the same number back."""
    (number,) = _DOUBLE.unpack(value)
    if number != number or number in (float("inf"), float("-inf")):
        return _special(number)
    if abs(number) >= 2.0**53:
        digits = _inside(number, _DOUBLE, range(len(_digits(repr(number))), 18))
    else:
        digits = repr(number)
    return _laid_out(digits, 15)


def single(value: bytes) -> str:
    """A float4: the shortest digits that give the same number back."""
    (number,) = _SINGLE.unpack(value)
    if number != number or number in (float("inf"), float("-inf")):
        return _special(number)
    return _laid_out(_inside(number, _SINGLE, range(1, 10)), 6)


def numeric(value: bytes) -> str:
    """A numeric: base-10000 digits, the weight of the first one, and how many decimals to show."""
    count, weight, sign, scale = _NUMERIC.unpack_from(value)
    if len(value) != 8 + 2 * count:
        raise ValueError("a numeric with another count of digits than it says")
    if sign not in (0, 0x4000):
        return _SPECIAL_NUMERICS[sign]
    digits = struct.unpack_from(f">{count}H", value, 8)
    if any(digit > 9999 for digit in digits):
        raise ValueError("a numeric's digit is below 10000")
    missing = max(0, (weight + 1 - count) * 4, -(weight + 1) * 4)
    if missing > _ZEROS_MOST or scale - 4 * count > _ZEROS_MOST + abs(weight) * 4:
        raise ValueError("a numeric that is almost all zeros")
    text = "".join(f"{digit:04d}" for digit in digits)
    point = (weight + 1) * 4
    if point <= 0:
        whole, fraction = "0", "0" * -point + text
    else:
        text = text.ljust(point, "0")
        whole, fraction = text[:point].lstrip("0") or "0", text[point:]
    shown = whole if scale == 0 else f"{whole}.{fraction[:scale].ljust(scale, '0')}"
    return f"-{shown}" if sign else shown


def money(value: bytes) -> str:
    """Money in the C locale: dollars and cents."""
    (cents,) = _INT64.unpack(value)
    shown = f"${abs(cents) // 100:,}.{abs(cents) % 100:02d}"
    return f"-{shown}" if cents < 0 else shown


def bits(value: bytes) -> str:
    """A bit string."""
    size = int.from_bytes(value[:4], "big")
    data = value[4:]
    if len(value) < 4 or len(data) != (size + 7) // 8:
        raise ValueError("a bit string with another length than it says")
    return f"{int.from_bytes(data, 'big'):0{len(data) * 8}b}"[:size] if data else ""


def _special(number: float) -> str:
    if number != number:
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"


def _inside(number: float, form: struct.Struct, lengths: range) -> str:
    """The shortest decimal strictly nearer to `number` than to its neighbours.

    Strictly, because the server doesn't take a decimal half way to the next number (float8 1e23), while
    Python's repr does.
    """
    if number == 0:
        return repr(number)
    exact, wide = Decimal(abs(number)), Context(prec=1200)
    pattern = int.from_bytes(form.pack(abs(number)), "big")
    below, above = _at(pattern - 1, form), _at(pattern + 1, form)
    if above.is_infinite():
        # past the largest number the step upwards is as wide as the one below
        above = wide.subtract(wide.multiply(exact, Decimal(2)), below)
    low = wide.divide(wide.add(exact, below), Decimal(2))
    high = wide.divide(wide.add(exact, above), Decimal(2))
    for length in lengths:
        found = [
            candidate
            for rounding in (ROUND_HALF_EVEN, ROUND_FLOOR, ROUND_CEILING)
            if low < (candidate := Context(prec=length, rounding=rounding).plus(exact)) < high
        ]
        if found:
            nearest = min(found, key=lambda one: abs(wide.subtract(one, exact)))
            return f"{'-' if number < 0 else ''}{nearest:e}"
    return repr(number)


def _at(pattern: int, form: struct.Struct) -> Decimal:
    (number,) = form.unpack(pattern.to_bytes(form.size, "big"))
    return Decimal(number)


def _digits(shown: str) -> str:
    mantissa = shown.lstrip("-").partition("e")[0]
    return mantissa.replace(".", "").strip("0") or "0"


def _laid_out(shown: str, most: int) -> str:
    """Digits in the server's layout: an exponent below -4 or from `most` on is written out as one."""
    if float(shown) == 0:
        return "-0" if shown.startswith("-") else "0"
    sign = "-" if shown.startswith("-") else ""
    _, figures, power = Decimal(shown).normalize(Context(prec=20)).as_tuple()
    digits = "".join(map(str, figures))
    exponent = len(digits) - 1 + int(power)
    if exponent < -4 or exponent >= most:
        point = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{point}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    whole = digits[: exponent + 1].ljust(exponent + 1, "0")
    rest = digits[exponent + 1 :]
    return f"{sign}{whole}.{rest}" if rest else f"{sign}{whole}"
