"""CBOR as SUIT has it: shortest forms, known lengths, keys in canonical order.

(draft-ietf-suit-manifest-37 section 8.1.)
"""

from collections.abc import Mapping
from typing import Final, TypeAlias

from lwm2m_fota import cbor
from lwm2m_fota.errors import CborError, PackageError, UsageError
from lwm2m_fota.package.verdicts import Refusal, refusal_error

ComponentId: TypeAlias = tuple[bytes, ...]
"""What a manifest calls a component: a path of byte strings."""

_MAX_DEPTH: Final = 6  # of one byte string; what is nested deeper is in a byte string of its own
_MAX_ITEMS: Final = 4096
_BYTES: Final = frozenset({bytes})


def malformed(detail: str) -> PackageError:
    """Something breaks the rules of the format."""
    return refusal_error(Refusal.MALFORMED, detail)


def unsupported(detail: str) -> PackageError:
    """Something is not understood here."""
    return refusal_error(Refusal.UNSUPPORTED_ALGORITHM, detail)


def too_much(what: str, size: int, name: str, most: int) -> PackageError:
    """Something is past a limit.

    Args:
        what: what there is too much of.
        size: how much of it.
        name: that of the limit.
        most: the limit.
    """
    return refusal_error(Refusal.VERIFIER_MEMORY, f"{what}: {size}, at most {most} ({name})")


def load(data: bytes, what: str) -> object:
    """Read one data item.

    Args:
        data: the item.
        what: what it is, for people.

    Raises:
        IntegrityError: it is not well-formed, or not in canonical form.
    """
    try:
        return cbor.loads(
            data,
            max_depth=_MAX_DEPTH,
            max_items=_MAX_ITEMS,
            max_bytes=len(data),
            canonical_ints=True,
            canonical_maps=True,
            allow_indefinite=False,
        )
    except CborError as error:
        raise malformed(f"{what}: {error}") from error


def load_map(data: object, what: str) -> Mapping[object, object]:
    """Read a map that lies in a byte string.

    Raises:
        IntegrityError: it is none.
    """
    if type(data) is bytes:
        found = load(data, what)
        if type(found) is dict:
            return found
    raise malformed(f"{what} is not a map in a byte string")


def load_array(data: object, what: str) -> list[object]:
    """Read an array that lies in a byte string.

    Raises:
        IntegrityError: it is none.
    """
    if type(data) is bytes:
        found = load(data, what)
        if type(found) is list:
            return found
    raise malformed(f"{what} is not an array in a byte string")


def component_id(item: object) -> ComponentId:
    """Read what a component is called.

    Raises:
        IntegrityError: it is not an array of byte strings.
        UnsupportedPackageError: it is empty, so that nothing could be told by its name.
    """
    if isinstance(item, (list, tuple)) and _BYTES.issuperset(map(type, item)):
        if item:
            return tuple(item)
        raise unsupported("a component whose id is empty: it has no name")
    raise malformed("the id of a component is not an array of byte strings")


def id_prefix(item: object) -> ComponentId:
    """Read what goes before the ids of components, which may be nothing.

    Raises:
        IntegrityError: it is not an array of byte strings.
    """
    return () if item == [] else component_id(item)


def id_text(component: ComponentId) -> str:
    """What a component is called, for people and as a name: its parts as text where they are some, else in hex."""
    return "/".join(map(_part_text, component))


def parse_id(text: str) -> ComponentId:
    """What `id_text` gave.

    Raises:
        UsageError: hex digits that are none.
    """
    return tuple(map(_part, text.split("/")))


def _part(text: str) -> bytes:
    if not text.startswith("0x"):
        return text.encode()
    try:
        return bytes.fromhex(text[2:])
    except ValueError as error:
        raise UsageError(f"{text!r} is not the hex digits of a component") from error


def _part_text(part: bytes) -> str:
    text = part.decode("ascii", "replace")
    is_text = text.isascii() and text.isprintable() and text and "/" not in text and not text.startswith("0x")
    return text if is_text else f"0x{part.hex()}"
