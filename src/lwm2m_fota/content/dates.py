"""Dates in text (RFC 3339), as some peers write the value of a Time resource."""

import re
from typing import Final

from lwm2m_fota.errors import ContentError

_DATE: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.\d{1,9})?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)
_MONTH_DAYS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_DAYS_TO_1970: Final = 719162  # from 0001-01-01
_LEAP_SECOND: Final = 60
_DAY_S: Final = 86400
_LAST_YEAR: Final = 9999


def parse_date(text: str) -> int:
    """Seconds since 1970-01-01T00:00:00Z; fractions are cut off, a leap second counts as the next one.

    Raises:
        ContentError: not a date with a time and an offset.
    """
    match = _DATE.fullmatch(text)
    if match is None:
        raise ContentError(f"not a date: {text[:32]!r}")
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    offset_hour, offset_minute = int(match[8] or 0), int(match[9] or 0)
    if (
        not (year >= 1 and 1 <= month <= len(_MONTH_DAYS) and 1 <= day <= _days_of(year, month))
        or max(hour, offset_hour) > 23  # noqa: PLR2004 - a day
        or max(minute, offset_minute) > 59  # noqa: PLR2004 - an hour
        or second > _LEAP_SECOND
    ):
        raise ContentError(f"no such date: {text[:32]!r}")
    offset = (offset_hour * 3600 + offset_minute * 60) * (-1 if match[7] == "-" else 1)
    return _days(year, month, day) * _DAY_S + hour * 3600 + minute * 60 + second - offset


def format_date(seconds: int) -> str | None:
    """`2023-11-14T22:13:20Z`; None outside of the years 1 to 9999."""
    days, rest = divmod(seconds, _DAY_S)
    first, last = _days(1, 1, 1), _days(_LAST_YEAR, 12, 31)
    if not first <= days <= last:
        return None
    guess = (days - first) * 400 // 146097 + 1  # by the mean length of a year: at most one off
    year = next(each for each in (guess + 1, guess, guess - 1) if _days(each, 1, 1) <= days)
    month = next(each for each in range(12, 0, -1) if _days(year, each, 1) <= days)
    day = days - _days(year, month, 1) + 1
    return f"{year:04}-{month:02}-{day:02}T{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}Z"


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _days_of(year: int, month: int) -> int:
    return _MONTH_DAYS[month - 1] + (month == 2 and _is_leap(year))  # noqa: PLR2004 - February


def _days(year: int, month: int, day: int) -> int:
    past = year - 1
    return (
        past * 365 + past // 4 - past // 100 + past // 400
        + sum(_days_of(year, each) for each in range(1, month))
        + day - 1 - _DAYS_TO_1970
    )  # fmt: skip
