"""Dates in text (RFC 3339), as some clients write the value of a Time resource."""

import re
from typing import Final

from lwm2m_fota.errors import ContentError

_DATE: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.\d{1,9})?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)
_MONTH_DAYS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_DAYS_TO_1970: Final = 719162  # from 0001-01-01
_LEAP_SECOND: Final = 60


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
    return _days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset


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
