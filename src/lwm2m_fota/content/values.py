"""The neutral form between content formats and objects: a flat list of paths with their values."""

from collections.abc import Mapping

from lwm2m_fota.errors import ContentError
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.resources import ResourceDefinition, Value

Entries = list[tuple[Path, Value]]
"""A path ends at a single resource or at a resource instance; no path comes twice."""


def validate(resource: ResourceDefinition, value: Value | Mapping[int, Value]) -> None:
    """Check that a value may be written to a resource: its type and its range.

    Args:
        resource: the definition.
        value: of a single resource or one resource instance; of a multiple resource also all values by instance id.

    Raises:
        ContentError: it does not fit.
    """
    reason = resource.fault(value)
    if reason is not None:
        raise ContentError(reason)
