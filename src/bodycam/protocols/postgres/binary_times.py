"""Dates, times and intervals of PostgreSQL's binary format, in ISO style and UTC.

Counted from 2000-01-01, in days or microseconds (`src/backend/utils/adt/`: date.c, timestamp.c). Python's own
dates end at the year 9999 and know none before 1, so the calendar is computed here.
"""

import struct

_INT32, _INT64 = struct.Struct(">i"), struct.Struct(">q")
_TIMETZ = struct.Struct(">qi")
_INTERVAL = struct.Struct(">qii")

_DAY = 86_400_000_000
_EPOCH = 730_425  # days from 0000-03-01 to 2000-01-01
_FOREVER_32, _FOREVER_64 = 2**31 - 1, 2**63 - 1
_NEVER_32, _NEVER_64 = -(2**31), -(2**63)


def date(value: bytes) -> str:
    """A date."""
    (days,) = _INT32.unpack(value)
    if days == _FOREVER_32:
        return "infinity"
    if days == _NEVER_32:
        return "-infinity"
    shown, before = _day(days)
    return shown + before


def time(value: bytes) -> str:
    """A time of day."""
    (micros,) = _INT64.unpack(value)
    return _clock(micros)


def timetz(value: bytes) -> str:
    """A time of day with its zone, which is kept as seconds west of Greenwich."""
    micros, west = _TIMETZ.unpack(value)
    return _clock(micros) + _zone(west)


def timestamp(value: bytes) -> str:
    """A timestamp without time zone."""
    return _timestamp(value, "")


def timestamptz(value: bytes) -> str:
    """A timestamp with time zone, shown in UTC."""
    return _timestamp(value, "+00")


def interval(value: bytes) -> str:
    """An interval, in the style `postgres`."""
    micros, days, months = _INTERVAL.unpack(value)
    if (micros, days, months) == (_FOREVER_64, _FOREVER_32, _FOREVER_32):
        return "infinity"
    if (micros, days, months) == (_NEVER_64, _NEVER_32, _NEVER_32):
        return "-infinity"
    # C division truncates towards zero
    years, rest = divmod(abs(months), 12)
    sign = -1 if months < 0 else 1
    parts: list[str] = []
    behind_minus = False
    for amount, unit in ((sign * years, "year"), (sign * rest, "mon"), (days, "day")):
        if amount:
            plus = "+" if behind_minus and amount > 0 else ""
            parts.append(f"{plus}{amount} {unit}{'' if amount == 1 else 's'}")
            behind_minus = amount < 0
    if micros or not parts:
        mark = "-" if micros < 0 else "+" if behind_minus else ""
        parts.append(mark + _clock(abs(micros)))
    return " ".join(parts)


def _timestamp(value: bytes, zone: str) -> str:
    (micros,) = _INT64.unpack(value)
    if micros == _FOREVER_64:
        return "infinity"
    if micros == _NEVER_64:
        return "-infinity"
    days, rest = divmod(micros, _DAY)
    shown, before = _day(days)
    return f"{shown} {_clock(rest)}{zone}{before}"


def _day(days: int) -> tuple[str, str]:
    """The day of the proleptic Gregorian calendar, and ` BC` for what lies before the year 1."""
    # eras of 400 years from 1 March, so that a leap day is the last of its year
    era, of_era = divmod(days + _EPOCH, 146_097)
    year_of_era = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    moon = (5 * of_year + 2) // 153
    day = of_year - (153 * moon + 2) // 5 + 1
    month = moon + 3 if moon < 10 else moon - 9
    year = year_of_era + era * 400 + (1 if month <= 2 else 0)
    if year <= 0:
        return f"{1 - year:04d}-{month:02d}-{day:02d}", " BC"
    return f"{year:04d}-{month:02d}-{day:02d}", ""


def _clock(micros: int) -> str:
    seconds, fraction = divmod(micros, 1_000_000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    shown = f"{hour:02d}:{minute:02d}:{second:02d}"
    return f"{shown}.{fraction:06d}".rstrip("0") if fraction else shown


def _zone(west: int) -> str:
    minutes, second = divmod(abs(west), 60)
    hour, minute = divmod(minutes, 60)
    shown = f"{'-' if west > 0 else '+'}{hour:02d}"
    if minute or second:
        shown += f":{minute:02d}"
    return f"{shown}:{second:02d}" if second else shown
