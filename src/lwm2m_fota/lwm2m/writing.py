"""From values that a server has written to operations on objects."""

from lwm2m_fota.content.values import Entries
from lwm2m_fota.lwm2m.objects import Lwm2mObject
from lwm2m_fota.lwm2m.operations import Operation, Write, WriteBlock, WriteMode
from lwm2m_fota.model.paths import Path


def whole_block(path: Path, value: bytes) -> WriteBlock:
    """The value of a streamed resource that came in one piece."""
    return WriteBlock(path, 0, value, first=True, final=True, size_bytes=len(value))


def write_operation(each: Lwm2mObject, path: Path, entries: Entries, mode: WriteMode) -> Operation:
    """A Write, or the one block of a resource that is streamed."""
    if len(entries) == 1:
        target, value = entries[0]
        if isinstance(value, bytes) and each.streams(target):
            return whole_block(target, value)
    return Write(path, entries, mode)
