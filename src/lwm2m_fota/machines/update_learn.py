"""What is learnt before an update: which components there are, how the package goes, what stands against it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, final

import attrs

from lwm2m_fota.machines.update_judge import integer, text_of
from lwm2m_fota.machines.update_places import has_automatic_upgrade, has_cancel, place
from lwm2m_fota.machines.update_policy import Method, UpdatePlan, VersionGuard
from lwm2m_fota.machines.update_state import Control
from lwm2m_fota.machines.update_words import Cue
from lwm2m_fota.model.advanced import ADVANCED_OBJECT_ID, AdvancedResource
from lwm2m_fota.model.enums import DeliveryMethod, ProtocolSupport
from lwm2m_fota.model.firmware import AUTOMATIC_UPGRADE, FIRMWARE_OBJECT_ID
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.update import UpdateResource

_NAME_PARTS: Final = 3

Values = Mapping[Path, object]
Setting = tuple[int, int | bool]


# ---- objects and instances


def choose_object(plan: UpdatePlan, object_versions: Mapping[int, str]) -> int:
    """The object that serves the plan: with components 33629, else the first of the policy that is offered.

    Where none is offered it is the best one, for the diagnosis.
    """
    objects = (ADVANCED_OBJECT_ID,) if plan.components else plan.policy.objects
    return next((each for each in objects if each in object_versions), objects[0])


def first_targets(plan: UpdatePlan, object_id: int, instances: tuple[int, ...]) -> tuple[int, ...]:
    """The instances of the parts where no name has to be read: Object 5 has one, the main component is the first."""
    if object_id == FIRMWARE_OBJECT_ID:
        return (0,)
    return () if plan.components else (min(instances, default=0),)


def find_components(plan: UpdatePlan, instances: tuple[int, ...], values: Values) -> tuple[int, ...] | None:
    """The instances of the components of a plan: by name, or by number where that is nobody's name.

    Returns:
        None if one is not there, or two are the same.
    """
    names = {path.ids[1]: text_of(value) for path, value in values.items() if _is_name(path)}
    known = sorted({*instances, *(path.ids[1] for path in values if len(path.ids) > 1)})
    found = [_find(part.name, names, known) for part in plan.parts]
    targets = tuple(each for each in found if each is not None)
    return targets if len(set(targets)) == len(found) else None


def _is_name(path: Path) -> bool:
    return len(path.ids) == _NAME_PARTS and path.ids[::2] == (ADVANCED_OBJECT_ID, AdvancedResource.COMPONENT_NAME)


def _find(name: str, names: Mapping[int, str | None], known: Sequence[int]) -> int | None:
    by_name = next((instance for instance, text in sorted(names.items()) if text == name), None)
    if by_name is not None:
        return by_name
    return next((instance for instance in known if str(instance) == name), None)


def order_parts(plan: UpdatePlan, targets: Sequence[int]) -> tuple[int, ...]:
    """The order of delivery: each part after those that it needs, else as in the plan.

    Where parts need each other in a circle, their order is that of the plan: only together can they be installed.
    """
    ids = [{part.name, str(target)} for part, target in zip(plan.parts, targets, strict=True)]
    needs = [{at for at, names in enumerate(ids) if names & set(part.needs)} for part in plan.parts]
    order: list[int] = []
    left = list(range(len(needs)))
    while left:
        ready = (index for index in left if not (needs[index] - {index}).intersection(left))
        following = next(ready, left[0])
        left.remove(following)
        order.append(following)
    return tuple(order)


# ---- settings


def settings_of(plan: UpdatePlan, control: Control) -> tuple[Setting, ...]:
    """What of the settings of the plan this object has."""
    wanted = plan.settings
    found: list[Setting] = []
    if has_cancel(control) and wanted.severity is not None:
        found.append((UpdateResource.SEVERITY, int(wanted.severity)))
    if has_cancel(control) and wanted.max_defer_s is not None:
        found.append((UpdateResource.MAXIMUM_DEFER_PERIOD, wanted.max_defer_s))
    if has_automatic_upgrade(control) and wanted.auto_upgrade is not None:
        found.append((AUTOMATIC_UPGRADE, wanted.auto_upgrade))
    return tuple(found)


def settings_differ(plan: UpdatePlan, control: Control, values: Values) -> bool:
    """The device does not show what the plan sets, once that was sent or where there is no place for it."""
    wanted = plan.settings
    count = sum(each is not None for each in (wanted.severity, wanted.max_defer_s, wanted.auto_upgrade))
    settings = settings_of(plan, control)
    if len(settings) < count:
        return True
    return control.configured and any(
        values.get(place(control, index, each)) != value
        for index in range(len(control.targets))
        for each, value in settings
    )


# ---- the way of the package


@final
@attrs.frozen(kw_only=True)
class Choice:
    """How the package goes: the method, the scheme of a pull, what stands against it, and the codes of what was odd."""

    method: Method | None = None
    scheme: str = ""
    obstacle: Cue | None = None
    odd: tuple[str, ...] = ()


def choose(plan: UpdatePlan, control: Control, values: Values) -> Choice:
    """Choose how the package goes, from what the device says it can (resources 8 and 9)."""
    delivery = integer(values.get(place(control, 0, UpdateResource.DELIVERY_METHOD)))
    pulls, pushes = delivery != DeliveryMethod.PUSH, delivery != DeliveryMethod.PULL
    odd = () if delivery in DeliveryMethod.__members__.values() else ("prepare.delivery-unread",)
    if _method(plan, pulls=pulls, pushes=pushes) is Method.PUSH:
        return Choice(method=Method.PUSH, obstacle=None if pushes else Cue.NO_PUSH, odd=odd)
    if not pulls:
        return Choice(method=Method.PULL, obstacle=Cue.NO_PULL, odd=odd)
    schemes, odd_schemes = _schemes(plan, place(control, 0, UpdateResource.PROTOCOL_SUPPORT), values)
    common = next((scheme for scheme in plan.schemes if scheme in schemes), None)
    if common is not None:
        return Choice(method=Method.PULL, scheme=common, odd=odd + odd_schemes)
    if plan.method is Method.AUTO and pushes:
        return Choice(method=Method.PUSH, odd=(*odd, *odd_schemes, "prepare.pushed-instead"))
    return Choice(method=Method.PULL, obstacle=Cue.NO_PROTOCOL, odd=odd + odd_schemes)


def _method(plan: UpdatePlan, *, pulls: bool, pushes: bool) -> Method:
    if plan.method is not Method.AUTO:
        return plan.method
    if pulls and pushes:
        return plan.policy.both
    return Method.PULL if pulls else Method.PUSH


def _schemes(plan: UpdatePlan, protocols: Path, values: Values) -> tuple[set[str], tuple[str, ...]]:
    """The schemes that the device supports; unlisted protocols are ignored (Object 5, resource 8)."""
    listed = list(_protocols(protocols, values))
    if listed:
        return {scheme for number in listed if (scheme := ProtocolSupport(number).scheme)}, ()
    present = any(protocols.contains(path) for path in values)
    return set(plan.policy.default_schemes), ("prepare.protocols-empty",) if present else ()


def _protocols(protocols: Path, values: Values) -> Iterator[int]:
    for path, value in values.items():
        if protocols.contains(path):
            yield from (number for item in _items(value) if (number := integer(item)) is not None)


def _items(value: object) -> Sequence[object]:
    if isinstance(value, Mapping):
        return tuple(value.values())
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return value
    return (value,)


# ---- versions


def is_guarded(plan: UpdatePlan, before: Sequence[str | None]) -> bool:
    """A version that the plan expects is refused by its guard, beside what runs now."""
    guard, match = plan.policy.version_guard, plan.policy.version_match
    for part, running in zip(plan.parts, before, strict=True):
        expected = part.expected_version
        if guard is VersionGuard.NONE or expected is None or running is None:
            continue
        if match.is_older(expected, running) or (guard is VersionGuard.NEWER_ONLY and match.same(expected, running)):
            return True
    return False


def is_there(plan: UpdatePlan, before: Sequence[str | None]) -> bool:
    """A part runs already what the plan expects of it."""
    same = plan.policy.version_match.same
    return any(
        part.expected_version is not None and running is not None and same(running, part.expected_version)
        for part, running in zip(plan.parts, before, strict=True)
    )
