"""The LwM2M operations on a device, as values (LwM2M Core 6; mapping to CoAP: Transport 6.4, `SPEC` section 6).

An operation is what an object is asked to do; an answer is what it says. Neither knows CoAP messages, so an object can
live in any LwM2M client.
"""

from enum import Enum
from typing import final

import attrs

from lwm2m_fota.content.values import Entries
from lwm2m_fota.model.codes import Code
from lwm2m_fota.model.paths import Path


@final
class WriteMode(Enum):
    """Replace (PUT) or partial update (POST)."""

    REPLACE = "replace"
    UPDATE = "update"


@final
@attrs.frozen
class Read:
    """Read an object, an instance or a resource.

    Attributes:
        path: one to four ids.
    """

    path: Path


@final
@attrs.frozen
class Write:
    """Write values that came in one piece and were decoded by the object's definition.

    Attributes:
        path: the target, an instance or a resource.
        entries: (path, value) pairs at or below the target.
        mode: replace or partial update.
    """

    path: Path
    entries: Entries
    mode: WriteMode = WriteMode.REPLACE


@final
@attrs.frozen
class WriteBlock:
    """Bytes of an opaque resource that is streamed, such as `/5/0/0`: one block, or several that came fast.

    They come in order, without gaps.

    Attributes:
        path: the resource.
        offset: of these bytes in the body.
        payload: the bytes; none only in an empty body.
        first: they open a new body; what was begun before is void.
        final: the body ends with them.
        size_bytes: the whole size, if the peer told it (Size1).
    """

    path: Path
    offset: int
    payload: bytes
    first: bool
    final: bool
    size_bytes: int | None = None


@final
@attrs.frozen
class Execute:
    """Execute a resource.

    Attributes:
        path: the resource.
        arguments: the payload as it came (`SPEC` section 4.2); objects that take arguments parse it.
    """

    path: Path
    arguments: bytes = b""


Operation = Read | Write | WriteBlock | Execute


@final
@attrs.frozen
class Answer:
    """What an object answers.

    Attributes:
        code: a CoAP response code.
        entries: the values of a Read; None for other operations.
        diagnostic: a line for people, sent as the payload of an error.
        size_limit_bytes: with 4.13: the largest body that would be taken (Size1).
    """

    code: int
    entries: Entries | None = None
    diagnostic: str = ""
    size_limit_bytes: int | None = None


CHANGED = Answer(Code.CHANGED)
"""2.04"""
