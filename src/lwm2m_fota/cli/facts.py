"""What commands find, as JSON has it, and as people read it; and files that appear whole or not at all."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path as FilePath
from typing import Final

from lwm2m_fota.errors import StorageError

_CHUNK_BYTES: Final = 1 << 18

Facts = dict[str, object]
"""What a command found, by name: one JSON object, or words for people."""


def why(error: OSError) -> str:
    """What the system says."""
    return error.strerror or str(error)


def chunks(path: FilePath) -> Iterator[bytes]:
    """A file in pieces.

    Raises:
        StorageError: it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            while piece := stream.read(_CHUNK_BYTES):
                yield piece
    except OSError as error:
        raise StorageError(f"cannot read {path}: {why(error)}") from error


def whole(path: FilePath) -> bytes:
    """A file that fits memory.

    Raises:
        StorageError: it cannot be read.
    """
    return b"".join(chunks(path))


def beginning(path: FilePath, max_bytes: int) -> bytes:
    """The first bytes of a file; all of it, if it has no more.

    Raises:
        StorageError: it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return stream.read(max_bytes)
    except OSError as error:
        raise StorageError(f"cannot read {path}: {why(error)}") from error


def size_of(path: FilePath) -> int:
    """The length of a file.

    Raises:
        StorageError: it cannot be read.
    """
    try:
        return path.stat().st_size
    except OSError as error:
        raise StorageError(f"cannot read {path}: {why(error)}") from error


def replace_file(path: FilePath, parts: Iterable[bytes | memoryview]) -> int:
    """Write a file, which appears whole or not at all; one that was there is replaced. Its length.

    Raises:
        StorageError: it cannot be written.
    """
    unfinished = path.with_name(f"{path.name}.tmp")
    try:
        with unfinished.open("wb") as stream:
            written = sum(stream.write(part) for part in parts)
        unfinished.replace(path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {why(error)}") from error
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
    return written


def tree(title: str, facts: Mapping[str, object]) -> str:
    """Facts within facts, for people."""
    return "\n".join((title, *_branches(list(facts.items()), "")))


def _branches(items: list[tuple[str, object]], indent: str) -> Iterator[str]:
    for index, (name, value) in enumerate(items):
        is_last = index == len(items) - 1
        inner = list(_inner(value))
        shown = "" if inner else f": {_plain(value)}"
        yield f"{indent}{'└── ' if is_last else '├── '}{_name(name)}{shown}"
        yield from _branches(inner, indent + ("    " if is_last else "│   "))


def _inner(value: object) -> Iterator[tuple[str, object]]:
    """What is below: the items of a mapping, or the entries of a list by their names."""
    if isinstance(value, Mapping):
        yield from ((str(name), each) for name, each in value.items())
    elif isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
        for each in value:
            name, *rest = each.items()
            words = ", ".join(_words(*item) for item in rest if item[1] is not False)
            is_flat = not any(isinstance(item[1], Mapping | list) for item in rest)
            yield str(name[1]), words if is_flat else dict(rest)


def _name(name: str) -> str:
    """The names of facts are ours; those of records are not."""
    return name.replace("_", " ") if name.islower() else name


def _words(name: str, value: object) -> str:
    shown = _name(name)
    return shown if value is True else f"{value} bytes" if name == "bytes" else f"{shown} {_plain(value)}"


def _plain(value: object) -> str:
    match value:
        case None:
            return "none"
        case True:
            return "yes"
        case False:
            return "no"
        case Mapping():
            return "none"  # one with something in it is a branch
        case list():
            return " ".join(map(_plain, value)) or "none"
        case _:
            return str(value)
