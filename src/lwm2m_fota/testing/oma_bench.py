"""A device on the bench, what the OMA cases send it, and a tester's hand on its object."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import IntEnum
from typing import Final, NoReturn, TypeAlias, TypeVar, final

import attrs

from lwm2m_fota.content.values import Entries
from lwm2m_fota.errors import FotaError, ResponseError, TransportError
from lwm2m_fota.model.advanced import ADVANCED_OBJECT_ID, AdvancedResource
from lwm2m_fota.model.codes import Code
from lwm2m_fota.model.enums import DeliveryMethod, ProtocolSupport, State, UpdateResult
from lwm2m_fota.model.firmware import FIRMWARE_OBJECT_ID
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.resources import Value
from lwm2m_fota.model.update import UpdateResource
from lwm2m_fota.server.ports import DeviceGateway, PackageHost
from lwm2m_fota.storage.base import PackageSource
from lwm2m_fota.storage.memory import MemoryPackageSource

_EnumT = TypeVar("_EnumT", bound=IntEnum)
Pair: TypeAlias = tuple[State, UpdateResult]

_RESET_RESULTS: Final = frozenset({UpdateResult.INITIAL, UpdateResult.CANCELLED})
_RESET_PACKAGE: Final = MemoryPackageSource(b"\x00")
FIRMWARE_VERSION: Final = Path.of(3, 0, 3)


@final
@attrs.frozen(kw_only=True)
class Packages:
    """What the cases send; a case whose package is None is skipped.

    Attributes:
        good: one that the device takes and installs.
        version: what it runs then; None if it is not to be compared.
        corrupt: one that fails the integrity check (776).
        unsupported: one of a type that the device does not take (777).
        oversized: one that it has no room for (773).
        hungry: one that takes more memory than it has while it downloads (774).
        doomed: one that it takes, and that does not install (779).
    """

    good: PackageSource
    version: str | None = None
    corrupt: PackageSource | None = None
    unsupported: PackageSource | None = None
    oversized: PackageSource | None = None
    hungry: PackageSource | None = None
    doomed: PackageSource | None = None


def packages_from(good: bytes, version: str | None = None, *, oversized_bytes: int | None = None) -> Packages:
    """Make the packages that follow from a good one: with a byte changed, of another type, and too long.

    Args:
        good: a package that the device takes.
        version: what it runs then.
        oversized_bytes: a length for which it has no room.
    """
    middle = len(good) // 2
    corrupt = good[:middle] + bytes([good[middle] ^ 0xFF]) + good[middle + 1 :]
    too_long = None if oversized_bytes is None else MemoryPackageSource(good.ljust(oversized_bytes, b"\0"))
    return Packages(
        good=MemoryPackageSource(good),
        version=version,
        corrupt=MemoryPackageSource(corrupt),
        unsupported=MemoryPackageSource(b"\x7fELF" + bytes(max(1024, len(good)))),
        oversized=too_long,
    )


@final
@attrs.frozen(kw_only=True)
class Subject:
    """A device under test, and what the cases need beside it.

    Attributes:
        gateway: reaches it; it is registered, or about to be.
        endpoint: its endpoint client name.
        packages: what is sent.
        host: serves packages for pulls; None where there are only pushes.
        object_id: 5 or 33629.
        instance_id: of Object 33629, the component that is updated.
        dead_uri: where nobody answers (775, for a device that only pulls); by default an address of RFC 5737.
        invalid_uri: what is no URI, or names no host (778).
        patience_s: how long anything may take, seconds; an installation with its reboot too.
        answer_s: when a read without an answer is begun anew, seconds: the device may have another address by then.
        poll_s: pause between two reads, seconds.
    """

    gateway: DeviceGateway
    endpoint: str
    packages: Packages
    host: PackageHost | None = None
    object_id: int = FIRMWARE_OBJECT_ID
    instance_id: int = 0
    dead_uri: str = "coap://192.0.2.1/nothing"
    invalid_uri: str = "coap://"
    patience_s: float = 120.0
    answer_s: float = 5.0
    poll_s: float = 0.2


class CaseFailedError(AssertionError):
    """The device did not do what the case asks for."""


class NotApplicableError(Exception):
    """The case does not apply to this device, or something for it is not there."""


def fail(message: str) -> NoReturn:
    """Say what the device did."""
    raise CaseFailedError(message)


@final
class Hand:
    """A tester's hand on the object; `close` when the case is over."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.gateway = subject.gateway
        self.endpoint = subject.endpoint
        self._published: list[str] = []

    def close(self) -> None:
        """Serve no package any more."""
        for token in self._published:
            if self.subject.host is not None:
                self.subject.host.withdraw(token)

    def place(self, resource_id: int) -> Path:
        """A resource of the instance."""
        return Path.of(self.subject.object_id, self.subject.instance_id, resource_id)

    @property
    def version_place(self) -> Path:
        """Where the version is shown that an update changes."""
        is_advanced = self.subject.object_id == ADVANCED_OBJECT_ID
        return self.place(AdvancedResource.CURRENT_VERSION) if is_advanced else FIRMWARE_VERSION

    # -- looking

    async def read(self, path: Path) -> Entries:
        """Read, and ask again while the device is away or busy."""
        try:
            async with asyncio.timeout(self.subject.patience_s):
                return await self._patiently(path)
        except TimeoutError:
            fail(f"read {path}: no answer within {self.subject.patience_s:g} s")

    async def value(self, path: Path) -> Value:
        """Read a resource that has one value."""
        entries = await self.read(path)
        if len(entries) != 1:
            fail(f"{path}: one value, not {entries}")
        return entries[0][1]

    async def one_of(self, resource_id: int, kind: type[_EnumT]) -> _EnumT:
        """Read a resource that has one of a few values."""
        value = await self.value(self.place(resource_id))
        if not isinstance(value, int) or value not in set(kind):
            fail(f"{self.place(resource_id)}: {value!r} is no {kind.__name__}")
        return kind(value)

    async def shows(self) -> Pair:
        """Read State and Update Result."""
        state = await self.one_of(UpdateResource.STATE, State)
        return state, await self.one_of(UpdateResource.UPDATE_RESULT, UpdateResult)

    async def until(self, wanted: Callable[[State, UpdateResult], bool], what: str) -> Pair:
        """Wait for a pair of State and Update Result."""
        pair: Pair | None = None
        try:
            async with asyncio.timeout(self.subject.patience_s):
                while pair is None or not wanted(*pair):
                    await asyncio.sleep(0 if pair is None else self.subject.poll_s)
                    pair = await self.shows()
        except TimeoutError:
            fail(f"{what}: not within {self.subject.patience_s:g} s; the device shows {words(pair)}")
        return pair

    async def ends(self, state: State, result: UpdateResult) -> None:
        """Wait for this pair."""
        await self.until(lambda *pair: pair == (state, result), f"State {int(state)} and Result {int(result)}")

    async def _patiently(self, path: Path) -> Entries:
        while True:
            try:
                async with asyncio.timeout(self.subject.answer_s):
                    return await self.gateway.read(self.endpoint, path)
            except (TransportError, TimeoutError):
                await asyncio.sleep(self.subject.poll_s)
            except ResponseError as error:
                if error.response_code != Code.SERVICE_UNAVAILABLE:
                    fail(f"read {path}: {error}")
                await asyncio.sleep(self.subject.poll_s)

    # -- doing

    async def execute(self, resource_id: int) -> int:
        """The code that Execute is answered with."""
        return await _code(self.gateway.execute(self.endpoint, self.place(resource_id)))

    async def write(self, resource_id: int, value: Value) -> int:
        """The code that Write is answered with."""
        return await _code(self.gateway.write(self.endpoint, self.place(resource_id), value))

    async def push(self, package: PackageSource) -> int:
        """The code that the last block, or the one that is refused, is answered with."""
        path = self.place(UpdateResource.PACKAGE)
        return await _code(self.gateway.push(self.endpoint, path, package, lambda _: None))

    async def idle(self) -> None:
        """Bring the device to Idle, as it has to be before a case, and have it forget what the last update came to."""
        pair = await self.shows()
        if pair[0] is State.UPDATING:
            pair = await self.until(lambda state, _: state is not State.UPDATING, "the end of an earlier update")
        resets: tuple[Callable[[], Awaitable[int]], ...] = (
            lambda: self.execute(UpdateResource.CANCEL),
            lambda: self.write(UpdateResource.PACKAGE_URI, ""),
            lambda: self.push(_RESET_PACKAGE),
        )
        for reset in resets:
            if pair[0] is State.IDLE and pair[1] in _RESET_RESULTS:
                return
            with suppress(FotaError):
                await reset()
            await asyncio.sleep(self.subject.poll_s)
            pair = await self.shows()
        if pair[0] is not State.IDLE:
            fail(f"the device cannot be brought to Idle; it shows {words(pair)}")

    async def has_not(self, result: UpdateResult) -> None:
        """Make sure that a result which a case is to bring is not there before."""
        if (await self.shows())[1] is result:
            raise NotApplicableError(f"the device still shows Result {result.value} of an earlier update")

    async def delivers(self) -> DeliveryMethod:
        """How the device takes packages (resource 9)."""
        return await self.one_of(UpdateResource.DELIVERY_METHOD, DeliveryMethod)

    async def schemes(self) -> tuple[str, ...]:
        """The schemes by which the device pulls from our host, CoAP first."""
        if self.subject.host is None or await self.delivers() is DeliveryMethod.PUSH:
            return ()
        path = self.place(UpdateResource.PROTOCOL_SUPPORT)
        with suppress(CaseFailedError):
            listed = {ProtocolSupport(value).scheme for _, value in await self.read(path) if isinstance(value, int)}
            return tuple(each for each in sorted(self.subject.host.schemes, key=len) if each in listed)
        return ("coap",) if "coap" in self.subject.host.schemes else ()  # absent means CoAP (resource 8)

    async def pull(self, package: PackageSource, scheme: str = "coap") -> int:
        """Have the device fetch a package; the code that the URI is answered with. It stays published for the case."""
        if self.subject.host is None:
            raise NotApplicableError("nobody serves packages")
        publication = self.subject.host.publish(package, scheme, lambda _: None)
        self._published.append(publication.token)
        return await self.write(UpdateResource.PACKAGE_URI, publication.uri)

    async def deliver(self, package: PackageSource) -> None:
        """Send a package in the way that the device prefers; what it answers does not count, what it shows does."""
        schemes = await self.schemes()
        if schemes:
            await self.pull(package, schemes[0])
        elif await self.delivers() is not DeliveryMethod.PULL:
            await self.push(package)
        else:
            raise NotApplicableError("the device only pulls, and nobody serves packages that it can fetch")


async def _code(request: Awaitable[object]) -> int:
    try:
        await request
    except ResponseError as error:
        return error.response_code
    return Code.CHANGED


def words(pair: Pair | None) -> str:
    """A pair as a report says it."""
    return "nothing" if pair is None else f"State {pair[0].value}, Result {pair[1].value}"
