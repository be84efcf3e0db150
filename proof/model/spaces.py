"""Every space that is explored, with its bounds.

Loads all tables: only a child process may, once they are as wanted.
"""

import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar

from lwm2m_fota.machines import events as ev
from lwm2m_fota.machines.component_policies import (
    DEFAULT_ADVANCED_POLICIES,
    AdvancedPolicies,
    DependencyFailureTarget,
)
from lwm2m_fota.machines.component_profile import AdvancedProfile, ComponentSpec
from lwm2m_fota.machines.component_rows import COMPONENT_ROWS
from lwm2m_fota.machines.coordinator_events import On, PackageChecked, PackageContent
from lwm2m_fota.machines.policies import DEFAULT_POLICIES, FailureTarget, FirmwarePolicies, SynchronousUriFailure
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.machines.readings import Version
from lwm2m_fota.machines.rows import ROWS
from lwm2m_fota.machines.update_policy import (
    ComponentPlan,
    DeferralBound,
    DeviceSettings,
    Execution,
    Method,
    NotAutomatic,
    ResetMethod,
    UpdatePlan,
    UpdatePolicy,
    VersionGuard,
    Watch,
)
from lwm2m_fota.machines.update_table import JUNCTIONS, TABLE
from lwm2m_fota.machines.update_versions import VersionMatch
from lwm2m_fota.testing.explore.device import URI, DeviceModel, Surroundings
from lwm2m_fota.testing.explore.laws import Components, Firmware
from lwm2m_fota.testing.explore.rules import name_of
from lwm2m_fota.testing.explore.search import Model, Space, TooManyStatesError
from lwm2m_fota.testing.explore.world import PERIOD_S, World
from proof.model.alone import COMPONENTS, AloneModel
from proof.model.pair import PairModel
from proof.model.report import Finding, Found
from proof.model.server import branch_name, cell_name

S = TypeVar("S", bound=Hashable)

OLD, NEW = "1", "2"
MOST_STATES: Final = 3_000_000
"""A space that is larger ends the run."""

_CANCEL, _URI, _NUL, _WAIT = ResetMethod
_VERSIONS: Final[tuple[Version, ...]] = ("1.0", "1.1", "1.2")


# ---- devices -------------------------------------------------------------------------------------------------------


_OTHERWISE: Final = FirmwarePolicies(
    failure_target=FailureTarget.IDLE, synchronous_uri_failure=SynchronousUriFailure.STAY_IDLE
)
_ADVANCED_OTHERWISE: Final = AdvancedPolicies(dependency_failure_target=DependencyFailureTarget.IDLE)
"""The choices that other rows belong to than those of the defaults."""


def _firmware(version: Version, policies: FirmwarePolicies = DEFAULT_POLICIES, **around: object) -> DeviceModel:
    packages = {0: (PackageChecked(name="fw", version=NEW),)}
    profile = FirmwareProfile(version=version, policies=policies)
    return DeviceModel(Firmware(profile, OLD), Surroundings(packages=packages, **around))  # type: ignore[arg-type]


def _components(
    count: int, *, together: bool, advanced: AdvancedPolicies = DEFAULT_ADVANCED_POLICIES, **around: object
) -> DeviceModel:
    names = COMPONENTS[:count]
    specs = tuple(ComponentSpec(at, name) for at, name in enumerate(names))
    profile = AdvancedProfile(components=specs, advanced=advanced)
    own, whole = (
        PackageChecked(version=NEW),
        PackageChecked(components=tuple(PackageContent(each, NEW) for each in names)),
    )
    packages = dict.fromkeys(range(count), [whole] if together else [own])
    if count > 1 and not together:
        packages[0] = [own, whole]
    return DeviceModel(Components(profile, OLD), Surroundings(packages=packages, **around))  # type: ignore[arg-type]


_PLAIN: Final[dict[str, Any]] = {"settings": False, "defers": False, "uris": (URI,), "failures": False}
_IN_PAIR: Final[dict[str, Any]] = {**_PLAIN, "results": True, "damages": False}


# ---- both ends -----------------------------------------------------------------------------------------------------


def _policy(*resets: ResetMethod, executes: int = 1, **more: object) -> UpdatePolicy:
    limits = {"max_pushes": 1, "max_pulls": 1, "max_executes": executes, "max_busy": 0}
    return UpdatePolicy(reset_methods=resets, cancel_methods=(*resets, _WAIT), **limits, **more)  # type: ignore[arg-type]


def _basic(
    version: Version,
    method: Method,
    policy: UpdatePolicy,
    *,
    most: int = 0,
    late: bool = False,
    automatic: bool = False,
) -> PairModel:
    device = _firmware(version, **{**_IN_PAIR, "defers": version != "1.0"})
    settings = DeviceSettings(auto_upgrade=True if automatic else None)
    plan = UpdatePlan(
        method=method, package_bytes=1, expected_version=NEW, schemes=("coap",), policy=policy, settings=settings
    )
    return PairModel(device, plan, tuple(_firsts(device, version)), most=most, late=late)


def _firsts(device: DeviceModel, version: str) -> Iterator[World]:
    """A new device, or one whose user may defer."""
    for world in device.initial():
        yield world if version == "1.0" else device.give(world, On(0, ev.MaxDeferWritten(PERIOD_S))).world


def _advanced(
    count: int, policy: UpdatePolicy, *, together: bool, defers: int = 0, most: int = 0, late: bool = False
) -> PairModel:
    """Several components; the users of so many of them may defer."""
    device = _components(count, together=together, **{**_IN_PAIR, "defers": defers > 0})
    parts = tuple(
        ComponentPlan(name=name, package_bytes=1, package=0 if together else at, expected_version=NEW)
        for at, name in enumerate(COMPONENTS[:count])
    )
    plan = UpdatePlan(method=Method.PUSH, components=parts, policy=policy)
    return PairModel(device, plan, tuple(_deferring(device, defers)), most=most, late=late)


def _deferring(device: DeviceModel, count: int) -> Iterator[World]:
    for world in device.initial():
        made = world
        for instance in range(count):
            made = device.give(made, On(instance, ev.MaxDeferWritten(PERIOD_S))).world
        yield made


# ---- the server with any device ------------------------------------------------------------------------------------


def _alone(which: str) -> AloneModel:
    policies = {
        "push": UpdatePolicy(
            max_pushes=2, max_executes=2, max_busy=1, reset_methods=(_CANCEL,), cancel_methods=(_CANCEL, _WAIT)
        ),
        "pull": UpdatePolicy(
            max_pulls=1,
            max_executes=1,
            max_busy=1,
            reset_methods=(_URI,),
            cancel_methods=(_WAIT,),
            version_match=VersionMatch.SEMVER,
            version_guard=VersionGuard.NEWER_ONLY,
            not_automatic=NotAutomatic.EXECUTE,
            deferral=DeferralBound.LIMIT,
        ),
        "components": UpdatePolicy(
            max_pushes=1,
            max_executes=1,
            max_busy=0,
            reset_methods=(_CANCEL,),
            cancel_methods=(_CANCEL,),
            execution=Execution.EACH,
            watch=Watch.READ_ONLY,
        ),
    }
    policy = policies[which]
    if which == "components":
        parts = tuple(
            ComponentPlan(name=name, package_bytes=2, package=at, expected_version="2.0.0")
            for at, name in enumerate(COMPONENTS[:2])
        )
        return AloneModel(UpdatePlan(method=Method.PUSH, components=parts, policy=policy), instances=(0, 1))
    settings = DeviceSettings(max_defer_s=PERIOD_S) if which == "pull" else DeviceSettings()
    plan = UpdatePlan(
        method=Method(which),
        package_bytes=2,
        expected_version="2.0.0",
        schemes=("coap",),
        policy=policy,
        settings=settings,
    )
    return AloneModel(plan)


# ---- all of them ---------------------------------------------------------------------------------------------------

Made: TypeAlias = DeviceModel | PairModel | AloneModel
_EACH_SORT: Final = 1
COMES_TO_AN_END: Final = "what a device does by itself comes to an end"

SPACES: Final[Mapping[str, Callable[[], Made]]] = {
    **{f"device, 5 {version}": partial(_firmware, version) for version in _VERSIONS},
    "device, 5 1.2, otherwise": partial(_firmware, "1.2", _OTHERWISE),
    "device, 33629, 1 component": partial(_components, 1, together=False),
    "device, 33629, otherwise": partial(
        _components,
        2,
        together=False,
        advanced=_ADVANCED_OTHERWISE,
        repeats=False,
        lists=((1,),),
        damages=False,
        **{**_PLAIN, "failures": True},
    ),
    "device, 33629, 2 components": partial(
        _components, 2, together=False, repeats=False, lists=(None, (), (1,)), **_PLAIN
    ),
    "server, push": partial(_alone, "push"),
    "server, pull": partial(_alone, "pull"),
    "server, components": partial(_alone, "components"),
    "pair, 5 1.0": partial(_basic, "1.0", Method.PULL, _policy(_URI), most=1),
    "pair, 5 1.1": partial(_basic, "1.1", Method.PUSH, _policy(_CANCEL), late=True),
    "pair, 5 1.2": partial(_basic, "1.2", Method.PULL, _policy(_CANCEL), automatic=True),
    "pair, 33629, 2 components": partial(_advanced, 2, _policy(_CANCEL), together=False),
    "pair, 33629, one by one": partial(
        _advanced, 2, _policy(_CANCEL, execution=Execution.EACH), together=False, defers=1
    ),
    "pair, 33629, 3 components": partial(_advanced, 3, _policy(), together=True),
    "pair, 33629, one package": partial(_advanced, 2, _policy(_CANCEL), together=True, most=1),
}
"""What CI explores."""

FULL: Final[Mapping[str, Callable[[], Made]]] = {
    **SPACES,
    "device, 33629, 3 components": partial(
        _components, 3, together=False, repeats=False, lists=(None, (1, 2)), damages=False, **_PLAIN
    ),
    "pair, 5 1.0": partial(_basic, "1.0", Method.PULL, _policy(_URI, _NUL, executes=2), most=1),
    "pair, 5 1.0, push": partial(_basic, "1.0", Method.PUSH, _policy(_URI, executes=2), most=1, late=True),
    "pair, 5 1.1": partial(_basic, "1.1", Method.PUSH, _policy(_CANCEL, _URI, executes=2), most=1),
    "pair, 5 1.2": partial(_basic, "1.2", Method.PULL, _policy(_CANCEL, executes=2), late=True, automatic=True),
    "pair, 33629, 2 components": partial(_advanced, 2, _policy(_CANCEL, executes=2), together=False),
    "pair, 33629, 1 component": partial(_advanced, 1, _policy(_CANCEL), together=False, defers=1, most=1, late=True),
    "pair, 33629, one by one": partial(
        _advanced, 2, _policy(_CANCEL, execution=Execution.EACH), together=False, defers=1, most=1
    ),
    "pair, 33629, one package": partial(_advanced, 2, _policy(_CANCEL), together=True, most=1, late=True),
}
"""Larger bounds, for hours rather than minutes."""


def explored(name: str, *, full: bool = False, stop: bool = False) -> Found:
    """Explore one space.

    Args:
        name: which.
        full: with the larger bounds.
        stop: at the first thing that does not hold.
    """
    begun = time.process_time()
    model = (FULL if full else SPACES)[name]()
    if isinstance(model, AloneModel):
        found = _walked(model)
    elif isinstance(model, PairModel):
        found = _searched(model, stop=stop, ends_by_itself=False)
        rows = (
            *(f"device: {each}" for each in model.devices.fired),
            *(f"server: {each}" for each in model.server.fired),
        )
        found = found._replace(rows=tuple(sorted(rows)), ends=tuple(sorted(each.value for each in model.kinds)))
    else:
        found = _searched(model, stop=stop, ends_by_itself=True)
    return found._replace(seconds=time.process_time() - begun)


def is_by_itself(kind: str) -> bool:
    """Nobody asks, no power fails, and nobody looks at a clock."""
    return not kind.startswith(("server", "power", "clock", "late"))


def _searched(model: Model[S], *, stop: bool, ends_by_itself: bool) -> Found:
    space = Space(model)
    try:
        space.search(MOST_STATES, stop_at_finding=stop)
    except TooManyStatesError as error:
        return Found(len(space.states), space.transitions, (), (Finding("there are so many states", str(error), ()),))
    if not (stop and space.findings):
        space.check_ends()
        if ends_by_itself:
            space.check_no_circle(COMES_TO_AN_END, is_by_itself)
    findings = tuple(Finding(each.rule, each.words, each.trace) for each in space.findings)
    return Found(
        len(space.states), space.transitions, tuple(f"device: {each}" for each in sorted(space.fired)), findings
    )


def _walked(model: AloneModel) -> Found:
    moves, findings = 0, dict[str, Finding]()
    for way, made in model.walk(_EACH_SORT):
        moves += 1
        for each in made.broken:
            findings.setdefault(each.rule, Finding(each.rule, each.words, way))
    rows = tuple(f"server: {each}" for each in sorted(model.server.fired))
    return Found(len(model.server.machines), moves, rows, tuple(findings.values()))


def every_row() -> set[str]:
    """All rows of the tables, in words."""
    device = set(map(name_of, (*ROWS, *COMPONENT_ROWS)))
    cells = {cell_name(*cell) for cell in TABLE}
    branches = {branch_name(junction, at) for junction, ways in JUNCTIONS.items() for at in range(len(ways))}
    return {*(f"device: {each}" for each in device), *(f"server: {each}" for each in cells | branches)}
