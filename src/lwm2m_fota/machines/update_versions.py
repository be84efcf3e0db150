"""When two firmware versions are the same, and which is older: named rules, never a comparison of parts of a text.

Order serves one purpose, the guard against a downgrade; whether an update has come to its version is a question of
equality alone.
"""

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, TypeAlias, final

import attrs

VersionKey: TypeAlias = Callable[[str], Any]
"""`key(version)`: equal for equal versions, ordered as they are; None for a text that is no version of this kind."""


@final
class VersionMatch(StrEnum):
    """A rule of this library."""

    EXACT = "the same text"
    TRIMMED = "the same text but for blanks around it and a leading v"
    MCUBOOT = "MCUboot: major.minor.revision, and build if there is one"
    SEMVER = "Semantic Versioning 2: build metadata does not count"
    PEP440 = "PEP 440: normalised, with local versions"

    def same(self, left: str, right: str) -> bool:
        """True if the two are one version under this rule; texts that are no version of its kind only if equal."""
        return _same(_KEYS[self], left, right)

    def is_older(self, left: str, right: str) -> bool | None:
        """True if the first is older than the second; None where this rule knows no order of them."""
        return None if self in _UNORDERED else _is_older(_KEYS[self], left, right)


@final
@attrs.frozen
class OwnVersions:
    """A rule of one's own.

    Attributes:
        name: stands for the rule where an update is stored; whoever restores it brings the rule of this name.
        key: equal for equal versions, and ordered; None for a text that is no version of this kind.
    """

    name: str
    key: VersionKey = attrs.field(eq=False)

    def same(self, left: str, right: str) -> bool:
        """True if the two are one version under this rule."""
        return _same(self.key, left, right)

    def is_older(self, left: str, right: str) -> bool | None:
        """True if the first is older than the second; None where one of them is no version of this kind."""
        return _is_older(self.key, left, right)


VersionRule: TypeAlias = VersionMatch | OwnVersions


def _same(key: VersionKey, left: str, right: str) -> bool:
    one, other = key(left), key(right)
    return left == right if one is None or other is None else bool(one == other)


def _is_older(key: VersionKey, left: str, right: str) -> bool | None:
    one, other = key(left), key(right)
    return None if one is None or other is None else bool(one < other)


# ---- keys


def _trimmed(version: str) -> str:
    return version.strip().removeprefix("v").removeprefix("V")


_MCUBOOT: Final = re.compile(r"v?(\d{1,10})\.(\d{1,10})\.(\d{1,10})(?:\+(\d{1,10}))?", re.ASCII)
_SEMVER: Final = re.compile(
    r"(0|[1-9]\d{0,18})\.(0|[1-9]\d{0,18})\.(0|[1-9]\d{0,18})"
    r"(?:-((?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)(?:\.(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*))*))?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?",
    re.ASCII,
)
_PEP440: Final = re.compile(
    r"v?(?:(?P<epoch>\d+)!)?(?P<release>\d+(?:\.\d+)*)"
    r"(?:[-_.]?(?P<pre>alpha|a|beta|b|preview|pre|c|rc)[-_.]?(?P<pre_n>\d+)?)?"
    r"(?P<post>-(?P<post_n1>\d+)|[-_.]?(?:post|rev|r)[-_.]?(?P<post_n2>\d+)?)?"
    r"(?P<dev>[-_.]?dev[-_.]?(?P<dev_n>\d+)?)?"
    r"(?:\+(?P<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?",
    re.ASCII | re.IGNORECASE,
)
_PRE: Final = {"alpha": "a", "beta": "b", "c": "rc", "pre": "rc", "preview": "rc"}
_MAX_TEXT: Final = 255


def _mcuboot(version: str) -> tuple[int, ...] | None:
    found = _MCUBOOT.fullmatch(version)
    return None if found is None else tuple(int(number or 0) for number in found.groups())


def _semver(version: str) -> tuple[Any, ...] | None:
    """The precedence of Semantic Versioning 2, section 11."""
    found = _SEMVER.fullmatch(version) if len(version) <= _MAX_TEXT else None
    if found is None:
        return None
    *core, pre = found.groups()
    words = () if pre is None else tuple(_identifier(each) for each in pre.split("."))
    return (*map(int, core), pre is None, words)


def _identifier(word: str) -> tuple[bool, int, str]:
    """Numbers are below words."""
    return (False, int(word), "") if word.isdecimal() else (True, 0, word)


def _pep440(version: str) -> tuple[Any, ...] | None:
    """The order of PEP 440: development, pre-releases, the release, post-releases, and local ones above each."""
    text = version.strip()
    found = _PEP440.fullmatch(text) if len(text) <= _MAX_TEXT else None
    if found is None:
        return None
    part = found.groupdict()
    release = [int(number) for number in part["release"].split(".")]
    while release and release[-1] == 0:
        release.pop()
    return (int(part["epoch"] or 0), tuple(release), _pre(part), _post(part), _dev(part), _local(part["local"]))


def _pre(part: Mapping[str, str | None]) -> tuple[int, str, int]:
    if part["pre"]:
        name = part["pre"].lower()
        return (0, _PRE.get(name, name), int(part["pre_n"] or 0))
    is_only_dev = part["dev"] and not part["post"]
    return (-1 if is_only_dev else 1, "", 0)


def _post(part: Mapping[str, str | None]) -> int:
    return int(part["post_n1"] or part["post_n2"] or 0) if part["post"] else -1


def _dev(part: Mapping[str, str | None]) -> tuple[bool, int]:
    return (not part["dev"], int(part["dev_n"] or 0))


def _local(local: str | None) -> tuple[tuple[bool, int, str], ...]:
    """Here words are below numbers."""
    if not local:
        return ()
    words = re.split(r"[-_.]", local.lower())
    return tuple((True, int(word), "") if word.isdecimal() else (False, 0, word) for word in words)


_KEYS: Final[Mapping[VersionMatch, VersionKey]] = MappingProxyType(
    {
        VersionMatch.EXACT: str,
        VersionMatch.TRIMMED: _trimmed,
        VersionMatch.MCUBOOT: _mcuboot,
        VersionMatch.SEMVER: _semver,
        VersionMatch.PEP440: _pep440,
    }
)
_UNORDERED: Final = frozenset({VersionMatch.EXACT, VersionMatch.TRIMMED})
