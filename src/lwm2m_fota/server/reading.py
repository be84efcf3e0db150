"""Reading several resources of a device in any way that it knows: all at once, an instance at once, or one by one."""

from typing import Final

from lwm2m_fota.errors import FotaError, ResponseError, TransportError
from lwm2m_fota.machines.update_policy import ReadBy
from lwm2m_fota.model.codes import Code
from lwm2m_fota.model.paths import Path
from lwm2m_fota.server.ports import CompositeGateway, DeviceGateway

Values = dict[Path, object]

_BUSY: Final = frozenset({Code.SERVICE_UNAVAILABLE, Code.TOO_MANY_REQUESTS})
_INSTANCE_IDS: Final = 2


async def read_values(
    gateway: DeviceGateway, endpoint: str, paths: tuple[Path, ...], by: ReadBy = ReadBy.COMPOSITE
) -> Values:
    """Read resources; those that cannot be read are missing.

    Where the device refuses a way of reading, or answers with something that cannot be understood, the next one is
    tried. A busy device (5.03, 4.29) is not asked on.

    Args:
        gateway: reaches the device; for Read-Composite it is a `CompositeGateway`.
        endpoint: the device.
        paths: of the resources.
        by: the way that is tried first.

    Raises:
        TransportError: an answer did not come: what was read before counts for nothing, for it may be old by now.
        FotaError: nothing could be read; what the last answer was.
    """
    if by is ReadBy.COMPOSITE and len(paths) > 1 and isinstance(gateway, CompositeGateway):
        values = await _read_composite(gateway, endpoint, paths)
        if values:
            return values
    values = {}
    failure: FotaError | None = None
    for group in _grouped(paths):
        failure = await _read_group(gateway, endpoint, group, values, whole=by is not ReadBy.RESOURCE) or failure
    if failure is not None and not values:
        raise failure
    return values


async def _read_composite(gateway: CompositeGateway, endpoint: str, paths: tuple[Path, ...]) -> Values:
    """Whatever Read-Composite brings; nothing if it is refused."""
    try:
        return dict(await gateway.read_composite(endpoint, paths))
    except TransportError:
        raise
    except FotaError as error:
        if isinstance(error, ResponseError) and error.response_code in _BUSY:
            raise
        return {}


def _grouped(paths: tuple[Path, ...]) -> list[tuple[Path, ...]]:
    groups: dict[tuple[int, ...], list[Path]] = {}
    for path in paths:
        groups.setdefault(path.ids[:_INSTANCE_IDS], []).append(path)
    return [tuple(group) for group in groups.values()]


async def _read_group(
    gateway: DeviceGateway, endpoint: str, group: tuple[Path, ...], values: Values, *, whole: bool
) -> FotaError | None:
    """Read resources of one instance into `values`; the last failure, if there was one."""
    if whole and len(group) > 1:
        instance = Path(group[0].ids[:_INSTANCE_IDS])
        found: Values = {}
        if await _read(gateway, endpoint, instance, found) is None:
            values.update({path: value for path, value in found.items() if Path(path.ids[:3]) in group})
            return None
    failure: FotaError | None = None
    for path in group:
        failure = await _read(gateway, endpoint, path, values) or failure
    return failure


async def _read(gateway: DeviceGateway, endpoint: str, path: Path, values: Values) -> FotaError | None:
    try:
        values.update(await gateway.read(endpoint, path))
    except TransportError:
        raise
    except ResponseError as error:
        if error.response_code in _BUSY:
            raise
        return error
    except FotaError as error:
        return error
    return None
