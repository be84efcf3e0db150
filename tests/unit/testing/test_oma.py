"""The OMA cases find what is wrong with a device, and know what they cannot judge."""

import asyncio
from contextlib import asynccontextmanager

import attrs
import pytest

from lwm2m_fota.errors import ResponseError, TransportError
from lwm2m_fota.model.paths import Path
from lwm2m_fota.server.ports import Publication
from lwm2m_fota.storage.memory import MemoryPackageSource
from lwm2m_fota.testing.oma import (
    CASES,
    CaseFailedError,
    Grade,
    NotApplicableError,
    OmaConformance,
    Packages,
    Subject,
    packages_from,
    run_case,
    run_cases,
)

GOOD, CORRUPT, UNSUPPORTED, OVERSIZED, HUNGRY, DOOMED = (
    MemoryPackageSource(text) for text in (b"good", b"corrupt", b"unsupported", b"oversized", b"hungry", b"doomed")
)
PACKAGES = Packages(
    good=GOOD,
    version="2",
    corrupt=CORRUPT,
    unsupported=UNSUPPORTED,
    oversized=OVERSIZED,
    hungry=HUNGRY,
    doomed=DOOMED,
)
RESULTS = {CORRUPT: 5, UNSUPPORTED: 6, OVERSIZED: 2, HUNGRY: 3}
METHOD_NOT_ALLOWED, BAD_REQUEST, NOT_FOUND, UNAVAILABLE = 0x85, 0x80, 0x84, 0xA3


def refuse(code):
    raise ResponseError("it is refused", response_code=code)


class Handle:
    def cancel(self):
        pass


class Device:
    """A device that does what it should, at once; each method is one thing that it can do wrong."""

    object_id, delivery, protocols = 5, 2, [0, 2]
    boots_as = "2"

    def __init__(self):
        self.state, self.result, self.version, self.package = 0, 0, "1", None
        self.listener = None
        self.published = {}

    # -- the gateway

    async def read(self, endpoint, path):
        if path == Path.of(3, 0, 3):
            return ((path, self.version),)
        values = self.values()
        base = Path.of(self.object_id, 0)
        if path == base:
            return tuple((base / number, value) for number, found in values.items() for value in found)
        if path.ids[2] not in values:
            refuse(NOT_FOUND)
        return tuple((path, value) for value in values[path.ids[2]])

    def values(self):
        shown = {1: [""], 3: [self.state], 5: [self.result], 8: self.protocols, 9: [self.delivery]}
        return shown if self.object_id == 5 else {**shown, 15: [self.version]}

    async def write(self, endpoint, path, value):
        if value == "":
            self.reset()
        elif value.startswith("coap://192.0.2.1"):
            self.shows(0, 4)
        elif value == "coap://":
            self.shows(0, 7)
        else:
            self.takes(self.published[value])

    async def push(self, endpoint, path, source, progress):
        if source is not GOOD and source not in RESULTS and source is not DOOMED:
            self.reset()
            return
        progress(1)
        try:
            await self.sends()
        except asyncio.CancelledError:
            self.shows(0, 4)
            raise
        self.takes(source)

    async def sends(self):
        for _ in range(10):
            await asyncio.sleep(0)

    async def execute(self, endpoint, path, arguments=b""):
        match path.ids[2], self.state:
            case 2, 2:
                self.installs()
            case 10, (1 | 2):
                self.shows(0, 10)
            case _:
                refuse(METHOD_NOT_ALLOWED)

    async def observe(self, endpoint, path, listener):
        self.listener = listener
        return await self.read(endpoint, path), Handle()

    # -- the host

    schemes = ("http", "coap")

    def publish(self, source, scheme, progress, token=None):
        self.published[f"{scheme}://host/{id(source)}"] = source
        return Publication(f"{scheme}://host/{id(source)}", f"{scheme}://host/{id(source)}")

    def withdraw(self, token):
        del self.published[token]

    # -- the device

    def shows(self, state, result):
        self.state, self.result = state, result
        if self.listener is not None:
            self.listener(((Path.of(self.object_id, 0, 3), state),))

    def reset(self):
        self.shows(0, 0)

    def takes(self, source):
        self.package = source
        if source in RESULTS:
            self.shows(0, RESULTS[source])
        else:
            self.shows(2, 0)

    def installs(self):
        if self.package is DOOMED:
            self.shows(2, 8)
        else:
            self.version = self.boots_as
            self.shows(0, 1)


def subject_of(device, **settings):
    given = {"host": device, "packages": PACKAGES, "patience_s": 0.05, "answer_s": 0.02, "poll_s": 0.001, **settings}
    return Subject(gateway=device, endpoint="dev", object_id=device.object_id, **given)


def wrong(name, base=Device, **members):
    return type(name, (base,), members)


PULLS = wrong("Pulls", delivery=0)
PUSHES = wrong("Pushes", delivery=1)
COMPONENT = wrong("Component", object_id=33629)


def judge(number, device, **settings):
    asyncio.run(run_case(number, subject_of(device, **settings)))


@pytest.mark.parametrize("kind", [Device, PULLS, PUSHES, COMPONENT])
@pytest.mark.parametrize("number", [652, 751, 760, 770, 772, 773, 774, 775, 776, 777, 779])
def test_a_right_device_passes(number, kind):
    device = kind()
    judge(number, device)
    assert device.published == {}


@pytest.mark.parametrize(("number", "kind"), [(755, PUSHES), (756, PULLS), (771, Device), (778, PULLS)])
def test_a_right_device_passes_what_applies_to_it(number, kind):
    judge(number, kind())


def test_the_cases_are_those_of_the_test_specification():
    assert list(CASES) == [652, 751, 755, 756, 760, 770, 771, 772, 773, 774, 775, 776, 777, 778, 779]


def test_the_documentation_has_each_case(root):
    page = (root / "docs" / "howto" / "run-oma-cases.md").read_text(encoding="utf-8")
    for case in CASES.values():
        assert f"| {case.number} | {case.title} | {case.judged} |" in page


def without(*numbers):
    def values(self):
        return {number: value for number, value in Device.values(self).items() if number not in numbers}

    return values


def shows(**changed):
    def values(self):
        return {**Device.values(self), **{int(name[1:]): value for name, value in changed.items()}}

    return values


async def refuses(self, endpoint, path, *rest):
    refuse(BAD_REQUEST)


async def deaf(self, endpoint, path, *rest):
    raise TransportError("no answer")


async def mute(self, endpoint, path, listener):
    return await self.read(endpoint, path), Handle()


async def begins_elsewhere(self, endpoint, path, listener):
    return ((path, 1),), Handle()


async def obeys(self, endpoint, path, arguments=b""):
    """Execute is accepted in any state."""


async def moves_though_it_refuses(self, endpoint, path, arguments=b""):
    self.shows(0, 8)
    refuse(METHOD_NOT_ALLOWED)


def ignores(self, source):
    pass


def takes_all(self, source):
    self.shows(2, 0)


def is_damaged(self, source):
    self.version = "0"
    Device.takes(self, source)


def fails(self):
    self.shows(2, 8)


def succeeds(self):
    self.shows(0, 1)


async def downloads_nothing(self, endpoint, path, value):
    if value == "":
        self.reset()


@pytest.mark.parametrize(
    ("number", "base", "members", "words"),
    [
        (652, Device, {"__init__": lambda self: (Device.__init__(self), setattr(self, "version", ""))[1]}, "version"),
        (751, Device, {"values": without(1)}, r"mandatory resources are missing: \[1\]"),
        (751, Device, {"values": shows(_0=[b""])}, r"cannot be read are there: \[0\]"),
        (751, Device, {"values": shows(_9=[7])}, "/5/0/9: 7 is no DeliveryMethod"),
        (751, Device, {"values": shows(_5=["0"])}, "/5/0/5: '0' is no UpdateResult"),
        (751, Device, {"values": shows(_3=[0, 1])}, "/5/0/3: one value"),
        (751, COMPONENT, {"values": without(15)}, "/33629/0/15|a component shows no version"),
        (755, PUSHES, {"push": refuses}, "the push is answered 4.00"),
        (
            755,
            PUSHES,
            {"takes": ignores},
            "State 2 and Result 0: not within 0.05 s; the device shows State 0, Result 0",
        ),
        (756, PULLS, {"write": refuses}, "the URI is answered 4.00"),
        (760, Device, {"observe": begins_elsewhere}, "the observation begins with"),
        (760, Device, {"observe": mute}, "State 2 was never told"),
        (770, Device, {"execute": refuses}, "Update is answered 4.00"),
        (770, Device, {"execute": deaf}, "no answer"),
        (770, Device, {"installs": fails}, "State 0 and Result 1: not within"),
        (770, Device, {"boots_as": "1"}, "the device runs '1', not '2'"),
        (772, Device, {"execute": obeys}, "Update without a package is answered 2.04"),
        (772, Device, {"execute": moves_though_it_refuses}, "a refused Update changed"),
        (773, Device, {"takes": takes_all}, "State 0 and Result 2: not within 0.05 s; the device shows State 2"),
        (776, Device, {"takes": takes_all}, "State 0 and Result 5"),
        (777, Device, {"takes": is_damaged}, "the version has changed"),
        (778, PULLS, {"write": downloads_nothing}, "State 0 and Result 7"),
        (779, Device, {"installs": succeeds}, "State 0 or 2, and Result 8"),
        (755, Device, {"read": deaf}, "read /5/0/3: no answer within 0.05 s"),
        (755, Device, {"read": refuses}, "read /5/0/3: .*4.00"),
    ],
)
def test_a_wrong_device_fails(number, base, members, words):
    with pytest.raises(CaseFailedError, match=words):
        judge(number, wrong("Wrong", base, **members)())


def test_it_is_brought_to_idle_by_what_it_understands():
    async def refuses_cancel(self, endpoint, path, arguments=b""):
        if path.ids[2] == 10:
            refuse(METHOD_NOT_ALLOWED)
        await Device.execute(self, endpoint, path)

    class NulOnly(Device):
        execute = refuses_cancel

        async def write(self, endpoint, path, value):
            refuse(BAD_REQUEST)

    for kind in (Device, wrong("NoCancel", execute=refuses_cancel), NulOnly):
        device = kind()
        device.takes(GOOD)
        judge(772, device)
        device.shows(0, 5)  # what the last update came to does not count for the next
        judge(772, device)
        assert device.result == 0


def test_a_device_that_stays_where_it_is_fails():
    device = wrong("Stuck", reset=lambda self: None, execute=refuses)()
    device.takes(GOOD)
    with pytest.raises(CaseFailedError, match="cannot be brought to Idle; it shows State 2, Result 0"):
        judge(772, device)


def test_an_update_that_is_running_is_waited_for():
    class Installing(Device):
        reads = 0

        async def read(self, endpoint, path):
            self.reads += 1
            if self.reads == 6:
                self.shows(0, 1)
            return await Device.read(self, endpoint, path)

    device = Installing()
    device.shows(3, 0)
    judge(772, device)
    device.reads = 6
    device.shows(3, 0)
    with pytest.raises(CaseFailedError, match="the end of an earlier update: not within"):
        judge(772, device)


def test_a_busy_device_is_asked_again():
    class Busy(Device):
        answers = 0

        async def read(self, endpoint, path):
            self.answers += 1
            if self.answers == 1:
                refuse(UNAVAILABLE)
            if self.answers == 2:
                await asyncio.Event().wait()  # it has another address by now
            if self.answers == 3:
                raise TransportError("it is away")
            return await Device.read(self, endpoint, path)

    judge(652, Busy())


def test_what_was_there_before_is_not_taken_for_an_outcome():
    class Forgetless(Device):
        def reset(self):
            self.shows(0, self.result)

    for number, result in ((776, 5), (775, 4), (778, 7)):
        device = Forgetless()
        device.result = result
        with pytest.raises(NotApplicableError, match=f"still shows Result {result}"):
            judge(number, device)


@pytest.mark.parametrize(
    ("number", "kind", "settings", "why"),
    [
        (755, PULLS, {}, "takes no push"),
        (756, PUSHES, {}, "does not pull"),
        (756, Device, {"host": None}, "does not pull from here"),
        (760, PULLS, {"host": None}, "only pulls"),
        (770, PULLS, {"host": None}, "nothing over CoAP"),
        (771, PUSHES, {}, "one mechanism only"),
        (773, Device, {"packages": Packages(good=GOOD)}, "no oversized package"),
        (775, wrong("Quick", PUSHES, push=lambda *_: asyncio.sleep(0)), {}, "too short"),
        (778, PUSHES, {}, "does not pull"),
    ],
)
def test_a_case_that_does_not_apply_says_why(number, kind, settings, why):
    with pytest.raises(NotApplicableError, match=why):
        judge(number, kind(), **settings)


def test_the_second_mechanism_is_push_where_there_is_one_scheme():
    judge(771, wrong("OneScheme", schemes=("coap",))())
    judge(771, wrong("Unlisted", schemes=("coap",), values=without(8))())


def test_a_device_that_lists_no_protocol_pulls_by_coap():
    judge(770, wrong("Unlisted", PULLS, values=without(8))())
    with pytest.raises(NotApplicableError, match="nothing over CoAP"):
        judge(770, wrong("Unlisted", PULLS, values=without(8), schemes=("http",))())


def test_a_run_reports_every_case():
    packages = attrs.evolve(PACKAGES, hungry=None)
    device = wrong("Wrong", takes=takes_all)()
    reports = asyncio.run(run_cases(subject_of(device, packages=packages), (652, 773, 774)))
    assert [(report.case.number, report.grade) for report in reports] == [
        (652, Grade.PASSED),
        (773, Grade.FAILED),
        (774, Grade.SKIPPED),
    ]
    assert reports[1].why.startswith("State 0 and Result 2: not within")
    assert reports[2].why == "there is no hungry package"


def test_packages_follow_from_a_good_one():
    made = packages_from(bytes(range(100)), "2", oversized_bytes=200)

    def bytes_of(source):
        return source.read_at(0, source.size_bytes)

    assert bytes_of(made.good) == bytes(range(100))
    assert bytes_of(made.corrupt) == bytes([*range(50), 50 ^ 0xFF, *range(51, 100)])
    assert bytes_of(made.oversized) == bytes(range(100)) + bytes(100)
    assert bytes_of(made.unsupported)[:4] == b"\x7fELF"
    assert (made.version, made.hungry, made.doomed) == ("2", None, None)
    assert packages_from(b"good").oversized is None


class TestSuite:
    class Suite(OmaConformance):
        def subject(self, number):
            @asynccontextmanager
            async def bench():
                yield subject_of(PULLS())

            return bench()

    def test_it_skips_what_does_not_apply(self):
        self.Suite().test_case(652)
        with pytest.raises(pytest.skip.Exception, match="takes no push"):
            self.Suite().test_case(755)

    def test_it_needs_a_device(self):
        with pytest.raises(NotImplementedError):
            OmaConformance().test_case(652)
