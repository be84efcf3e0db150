"""The OMA test cases for firmware update (652, 751 to 779), for Objects 5 and 33629, against any device.

They are written against the server's two doors alone, `DeviceGateway` and `PackageHost`: whatever server reaches the
device, `Lwm2mServer` or one of your own, can run them, and so can whoever has the device on a bench. Numbers and
subjects are those of the LwM2M enabler test specification; how each of them is judged is said beside it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from enum import Enum
from types import MappingProxyType
from typing import Final, TypeAlias, final

import attrs
import pytest

from lwm2m_fota.content.values import Entries
from lwm2m_fota.errors import FotaError
from lwm2m_fota.model.advanced import ADVANCED_OBJECT_ID, AdvancedResource
from lwm2m_fota.model.codes import Code, describe_code
from lwm2m_fota.model.enums import DeliveryMethod, State, UpdateResult
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.resources import Value
from lwm2m_fota.model.update import UpdateResource
from lwm2m_fota.storage.base import PackageSource
from lwm2m_fota.testing.oma_bench import (
    FIRMWARE_VERSION,
    CaseFailedError,
    Hand,
    NotApplicableError,
    Packages,
    Subject,
    fail,
    packages_from,
    words,
)

__all__ = [
    "CASES",
    "Case",
    "CaseFailedError",
    "CaseReport",
    "Grade",
    "NotApplicableError",
    "OmaConformance",
    "Packages",
    "Subject",
    "packages_from",
    "run_case",
    "run_cases",
]

_IDLE, _DOWNLOADED = State.IDLE, State.DOWNLOADED
_R: Final = UpdateResult

_MANDATORY: Final = frozenset(
    each.value
    for each in (
        UpdateResource.PACKAGE_URI,
        UpdateResource.STATE,
        UpdateResource.UPDATE_RESULT,
        UpdateResource.DELIVERY_METHOD,
    )
)
_UNREADABLE: Final = frozenset(
    each.value for each in (UpdateResource.PACKAGE, UpdateResource.UPDATE, UpdateResource.CANCEL)
)


def _given(package: PackageSource | None, what: str) -> PackageSource:
    if package is None:
        raise NotApplicableError(f"there is no {what} package")
    return package


async def _query_version(hand: Hand) -> None:
    version = await hand.value(FIRMWARE_VERSION)
    if not isinstance(version, str) or not version:
        fail(f"the firmware version is {version!r}")


async def _query_resources(hand: Hand) -> None:
    path = Path.of(hand.subject.object_id, hand.subject.instance_id)
    found: dict[int, list[Value]] = {}
    for place, value in await hand.read(path):
        found.setdefault(place.ids[2], []).append(value)
    if missing := sorted(_MANDATORY - found.keys()):
        fail(f"mandatory resources are missing: {missing}")
    if hidden := sorted(_UNREADABLE & found.keys()):
        fail(f"resources that cannot be read are there: {hidden}")
    if hand.subject.object_id == ADVANCED_OBJECT_ID and AdvancedResource.CURRENT_VERSION not in found:
        fail("a component shows no version")
    await hand.shows()
    await hand.delivers()


async def _set_package(hand: Hand) -> None:
    if await hand.delivers() is DeliveryMethod.PULL:
        raise NotApplicableError("the device takes no push")
    code = await hand.push(hand.subject.packages.good)
    if code != Code.CHANGED:
        fail(f"the push is answered {describe_code(code)}")
    await hand.ends(_DOWNLOADED, _R.INITIAL)


async def _set_uri(hand: Hand) -> None:
    schemes = await hand.schemes()
    if not schemes:
        raise NotApplicableError("the device does not pull from here")
    code = await hand.pull(hand.subject.packages.good, schemes[0])
    if code != Code.CHANGED:
        fail(f"the URI is answered {describe_code(code)}")
    await hand.ends(_DOWNLOADED, _R.INITIAL)


async def _observe(hand: Hand) -> None:
    told: list[Value] = []
    arrived = asyncio.Event()

    def hear(entries: Entries) -> None:
        told.extend(value for _, value in entries)
        if _DOWNLOADED in told:
            arrived.set()

    path = hand.place(UpdateResource.STATE)
    present, subscription = await hand.gateway.observe(hand.endpoint, path, hear)
    try:
        if [value for _, value in present] != [int(_IDLE)]:
            fail(f"the observation begins with {present}, the device is Idle")
        await hand.deliver(hand.subject.packages.good)
        await hand.ends(_DOWNLOADED, _R.INITIAL)
        with suppress(TimeoutError):
            await asyncio.wait_for(arrived.wait(), hand.subject.patience_s)
    finally:
        subscription.cancel()
    if not arrived.is_set():
        fail(f"State 2 was never told; the notifications were {told}")


async def _update_over_coap(hand: Hand) -> None:
    schemes = await hand.schemes()
    if "coap" in schemes:
        await hand.pull(hand.subject.packages.good)
    elif await hand.delivers() is not DeliveryMethod.PULL:
        await hand.push(hand.subject.packages.good)
    else:
        raise NotApplicableError("the device takes nothing over CoAP from here")
    await _install(hand)


async def _update_otherwise(hand: Hand) -> None:
    others = [each for each in await hand.schemes() if each != "coap"]
    if others:
        await hand.pull(hand.subject.packages.good, others[0])
    elif await hand.delivers() is DeliveryMethod.BOTH and await hand.schemes():
        await hand.push(hand.subject.packages.good)
    else:
        raise NotApplicableError("the device has one mechanism only")
    await _install(hand)


async def _install(hand: Hand) -> None:
    await hand.ends(_DOWNLOADED, _R.INITIAL)
    code = await hand.execute(UpdateResource.UPDATE)
    if code != Code.CHANGED:
        fail(f"Update is answered {describe_code(code)}")
    await hand.ends(_IDLE, _R.SUCCESS)
    expected = hand.subject.packages.version
    version = await hand.value(hand.version_place)
    if expected is not None and version != expected:
        fail(f"the device runs {version!r}, not {expected!r}")


async def _update_too_early(hand: Hand) -> None:
    before = await hand.shows()
    code = await hand.execute(UpdateResource.UPDATE)
    if code != Code.METHOD_NOT_ALLOWED:
        fail(f"Update without a package is answered {describe_code(code)}, not 4.05")
    after = await hand.shows()
    if after != before:
        fail(f"a refused Update changed what the device shows: {words(before)}, then {words(after)}")


def _refused(what: str, package: Callable[[Packages], PackageSource | None], result: UpdateResult) -> "_Function":
    async def case(hand: Hand) -> None:
        sent = _given(package(hand.subject.packages), what)
        await hand.has_not(result)
        version = await hand.value(hand.version_place)
        await hand.deliver(sent)
        await hand.ends(_IDLE, result)
        if await hand.value(hand.version_place) != version:
            fail("the version has changed")

    return case


async def _lose_connection(hand: Hand) -> None:
    await hand.has_not(_R.CONNECTION_LOST)
    if await hand.delivers() is DeliveryMethod.PULL:
        await hand.write(UpdateResource.PACKAGE_URI, hand.subject.dead_uri)
    else:
        await _break_off(hand)
    await hand.ends(_IDLE, _R.CONNECTION_LOST)


async def _break_off(hand: Hand) -> None:
    """Send the first blocks of a push, and no more."""
    begun = asyncio.Event()
    path, package = hand.place(UpdateResource.PACKAGE), hand.subject.packages.good
    push = asyncio.ensure_future(hand.gateway.push(hand.endpoint, path, package, lambda _: begun.set()))
    waiting = asyncio.ensure_future(begun.wait())
    await asyncio.wait({push, waiting}, timeout=hand.subject.patience_s, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if push.done():
        await asyncio.gather(push, return_exceptions=True)
        raise NotApplicableError("the good package is too short for a push to be broken off")
    push.cancel()
    await asyncio.gather(push, return_exceptions=True)


async def _invalid_uri(hand: Hand) -> None:
    if await hand.delivers() is DeliveryMethod.PUSH:
        raise NotApplicableError("the device does not pull")
    await hand.has_not(_R.INVALID_URI)
    await hand.write(UpdateResource.PACKAGE_URI, hand.subject.invalid_uri)
    await hand.ends(_IDLE, _R.INVALID_URI)


async def _fail_to_install(hand: Hand) -> None:
    await hand.deliver(_given(hand.subject.packages.doomed, "doomed"))
    await hand.ends(_DOWNLOADED, _R.INITIAL)
    await hand.execute(UpdateResource.UPDATE)
    await hand.until(
        lambda state, result: state in {_IDLE, _DOWNLOADED} and result is _R.UPDATE_FAILED,
        "State 0 or 2, and Result 8",
    )


_Function: TypeAlias = Callable[[Hand], Awaitable[None]]


@final
@attrs.frozen
class Case:
    """One case.

    Attributes:
        number: of the enabler test specification.
        title: what it is about.
        judged: what counts as passed.
        run: runs it on a device that is Idle.
    """

    number: int
    title: str
    judged: str
    run: _Function = attrs.field(repr=False)


CASES: Final[Mapping[int, Case]] = MappingProxyType(
    {
        case.number: case
        for case in (
            Case(652, "query the firmware version", "/3/0/3 is a text that is not empty", _query_version),
            Case(
                751,
                "query the readable resources",
                "the mandatory ones are there, with values of their ranges, and none that cannot be read",
                _query_resources,
            ),
            Case(755, "set Package", "2.04 to the last block, then State 2 and Result 0", _set_package),
            Case(756, "set Package URI", "2.04, then State 2 and Result 0", _set_uri),
            Case(760, "observe and notify", "an observer of State is told Idle, and then Downloaded", _observe),
            Case(
                770,
                "successful update over CoAP",
                "State 2 and Result 0; 2.04 to Update; State 0 and Result 1; the version of the package",
                _update_over_coap,
            ),
            Case(
                771,
                "successful update over another mechanism",
                "as 770, over another scheme, or by push where 770 pulled",
                _update_otherwise,
            ),
            Case(772, "package not downloaded", "4.05 to Update, and nothing has changed", _update_too_early),
            Case(
                773,
                "not enough storage",
                "State 0 and Result 2; the version is as before",
                _refused("oversized", lambda packages: packages.oversized, _R.NOT_ENOUGH_STORAGE),
            ),
            Case(
                774,
                "out of memory",
                "State 0 and Result 3; the version is as before",
                _refused("hungry", lambda packages: packages.hungry, _R.OUT_OF_MEMORY),
            ),
            Case(775, "connection lost during the download", "State 0 and Result 4", _lose_connection),
            Case(
                776,
                "integrity check failure",
                "State 0 and Result 5; the version is as before",
                _refused("corrupt", lambda packages: packages.corrupt, _R.INTEGRITY_FAILURE),
            ),
            Case(
                777,
                "unsupported package type",
                "State 0 and Result 6; the version is as before",
                _refused("unsupported", lambda packages: packages.unsupported, _R.UNSUPPORTED_PACKAGE),
            ),
            Case(778, "invalid URI", "State 0 and Result 7", _invalid_uri),
            Case(779, "unsuccessful update", "State 0 or 2, and Result 8", _fail_to_install),
        )
    }
)
"""Every case by its number."""


# ---- running them


@final
class Grade(Enum):
    """How a case came out."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@final
@attrs.frozen
class CaseReport:
    """How a case came out, and why."""

    case: Case
    grade: Grade
    why: str = ""


async def run_case(number: int, subject: Subject) -> None:
    """Run one case; the device is brought to Idle first.

    Raises:
        CaseFailedError: the device did not pass.
        NotApplicableError: the case cannot be run on it.
    """
    hand = Hand(subject)
    try:
        await hand.read(hand.place(UpdateResource.STATE))  # it may be about to register
        await hand.idle()
        await CASES[number].run(hand)
    except FotaError as error:
        raise CaseFailedError(str(error)) from error
    finally:
        hand.close()


async def run_cases(subject: Subject, numbers: Iterable[int] = CASES) -> tuple[CaseReport, ...]:
    """Run cases one after the other on one device.

    Args:
        subject: the device.
        numbers: which cases; all of them by default.
    """
    reports: list[CaseReport] = []
    for number in numbers:
        try:
            await run_case(number, subject)
        except CaseFailedError as error:
            reports.append(CaseReport(CASES[number], Grade.FAILED, str(error)))
        except NotApplicableError as error:
            reports.append(CaseReport(CASES[number], Grade.SKIPPED, str(error)))
        else:
            reports.append(CaseReport(CASES[number], Grade.PASSED))
    return tuple(reports)


class OmaConformance:
    """The cases as tests: subclass it under a name that pytest collects, and implement `subject`."""

    def subject(self, number: int) -> AbstractAsyncContextManager[Subject]:
        """A device for this case, as long as the context lasts; it may be the same one for all."""
        raise NotImplementedError

    @pytest.mark.parametrize("number", CASES)
    def test_case(self, number: int) -> None:
        """One case on a device of its own."""
        try:
            asyncio.run(self._run(number))
        except NotApplicableError as error:
            pytest.skip(str(error))

    async def _run(self, number: int) -> None:
        async with self.subject(number) as subject:
            await run_case(number, subject)
