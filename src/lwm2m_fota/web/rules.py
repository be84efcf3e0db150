"""The rules of HTTP that a download needs, on both sides and without I/O (RFC 9110 sections 8.8, 13 and 14)."""

import re
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple, final

MAX_ETAG_BYTES: Final = 255
"""The longest ETag that a checkpoint keeps."""

_STRONG: Final = re.compile(r'"([\x21\x23-\x7e]*)"')
_TAGS: Final = re.compile(r'(W/)?"([\x21\x23-\x7e]*)"\s*(?:,|$)')
_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.IGNORECASE | re.ASCII)
_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.IGNORECASE | re.ASCII)
_SECONDS: Final = re.compile(r"\d{1,9}", re.ASCII)

_OK: Final = 200
_PARTIAL: Final = 206
_NOT_MODIFIED: Final = 304
_PRECONDITION_FAILED: Final = 412
_NOT_SATISFIABLE: Final = 416
_MAX_DETAIL: Final = 31


# ---- a client's side -----------------------------------------------------------------------------------------------


def strong_etag(value: str | None) -> bytes | None:
    """The opaque tag of a strong ETag in ASCII; None without one: a weak one names no bytes (section 8.8.1)."""
    match = _STRONG.fullmatch(value.strip()) if value is not None else None
    if match is None or not match[1]:
        return None
    tag = match[1].encode()
    return tag if len(tag) <= MAX_ETAG_BYTES else None


def quoted(etag: bytes) -> str:
    """An opaque tag as it stands in a field."""
    return f'"{etag.decode()}"'


class ContentRange(NamedTuple):
    """What a part is (section 14.4): from byte `start` on, of `size_bytes` in all, None if that is not told."""

    start: int
    length: int
    size_bytes: int | None


def content_range(value: str | None) -> ContentRange | None:
    """Read a Content-Range of bytes; None if there is none that makes sense."""
    match = _CONTENT_RANGE.fullmatch(value.strip()) if value is not None else None
    if match is None:
        return None
    start, end = int(match[1]), int(match[2])
    size_bytes = None if match[3] == "*" else int(match[3])
    if end < start or (size_bytes is not None and end >= size_bytes):
        return None
    return ContentRange(start, end + 1 - start, size_bytes)


def retry_after_s(value: str | None, date: str | None) -> float | None:
    """The seconds that a Retry-After asks to wait; a date counts from the Date of the same answer."""
    if value is None:
        return None
    if _SECONDS.fullmatch(seconds := value.strip()):
        return float(seconds)
    try:
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(date or "")
    except (TypeError, ValueError):
        return None
    return max(wait.total_seconds(), 0.0)


def code_of(status: int) -> int:
    """The CoAP code of the same digits; where there is none, the general one of the same class."""
    kind, detail = divmod(status, 100)
    return kind << 5 | (detail if detail <= _MAX_DETAIL else 0)


# ---- a server's side -----------------------------------------------------------------------------------------------


@final
class Selected(NamedTuple):
    """What to answer: a status, and which bytes with it."""

    status: int
    start: int
    length: int

    def content_range(self, size_bytes: int) -> str | None:
        """The Content-Range of the answer, if it has one."""
        if self.status == _PARTIAL:
            return f"bytes {self.start}-{self.start + self.length - 1}/{size_bytes}"
        return f"bytes */{size_bytes}" if self.status == _NOT_SATISFIABLE else None


def select(
    size_bytes: int,
    etag: bytes,
    *,
    if_match: str | None = None,
    if_none_match: str | None = None,
    if_range: str | None = None,
    wanted: str | None = None,
) -> Selected:
    """Evaluate the conditions of a GET or HEAD in their order (section 13.2.2).

    Args:
        size_bytes: of the representation.
        etag: its opaque tag, strong.
        if_match: of the request, as are the others.
        if_none_match: as above.
        if_range: as above; a date never matches, for none is told.
        wanted: the Range. Several ranges, and other units, are answered with the whole, as a server may.
    """
    if if_match is not None and not _matches(if_match, etag, weakly=False):
        return Selected(_PRECONDITION_FAILED, 0, 0)
    if if_none_match is not None and _matches(if_none_match, etag, weakly=True):
        return Selected(_NOT_MODIFIED, 0, 0)
    whole = Selected(_OK, 0, size_bytes)
    if wanted is None or (if_range is not None and strong_etag(if_range) != etag):
        return whole
    match = _RANGE.fullmatch(wanted.replace(" ", ""))
    if match is None or match[1] == match[2] == "":
        return whole
    return _part(match[1], match[2], size_bytes) or whole


def _part(first: str, last: str, size_bytes: int) -> Selected | None:
    if not first:  # the last so many bytes
        start, end = max(size_bytes - int(last), 0), size_bytes
    else:
        start, end = int(first), min(int(last) + 1, size_bytes) if last else size_bytes
        if last and int(last) < start:
            return None
    return Selected(_PARTIAL, start, end - start) if start < end else Selected(_NOT_SATISFIABLE, 0, 0)


def _matches(condition: str, etag: bytes, *, weakly: bool) -> bool:
    if condition.strip() == "*":
        return True
    return any(tag.encode() == etag and (weakly or not weak) for weak, tag in _TAGS.findall(condition))
