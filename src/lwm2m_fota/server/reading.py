"""Reading several resources of a device in any way that it knows: an instance at once, or one by one."""

from typing import Final

from lwm2m_fota.errors import FotaError, ResponseError, TransportError
from lwm2m_fota.model.codes import Code
from lwm2m_fota.model.paths import Path
from lwm2m_fota.server.ports import DeviceGateway

Values = dict[Path, object]

_BUSY: Final = frozenset({Code.SERVICE_UNAVAILABLE, Code.TOO_MANY_REQUESTS})


async def read_values(gateway: DeviceGateway, endpoint: str, paths: tuple[Path, ...]) -> Values:
    """Read resources; those that cannot be read are missing.

    Several resources of an instance are read with the instance. Where the device refuses that, or answers with
    something that cannot be understood, they are read one by one. A busy device (5.03, 4.29) is not asked on.

    Raises:
        TransportError: an answer did not come: what was read before counts for nothing, for it may be old by now.
        FotaError: nothing could be read; what the last answer was.
    """
    values: Values = {}
    failure: FotaError | None = None
    for group in _grouped(paths):
        failure = await _read_group(gateway, endpoint, group, values) or failure
    if failure is not None and not values:
        raise failure
    return values


def _grouped(paths: tuple[Path, ...]) -> list[tuple[Path, ...]]:
    groups: dict[tuple[int, ...], list[Path]] = {}
    for path in paths:
        groups.setdefault(path.ids[:2], []).append(path)
    return [tuple(group) for group in groups.values()]


async def _read_group(
    gateway: DeviceGateway, endpoint: str, group: tuple[Path, ...], values: Values
) -> FotaError | None:
    """Read resources of one instance into `values`; the last failure, if there was one."""
    if len(group) > 1:
        instance = Path(group[0].ids[:2])
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
