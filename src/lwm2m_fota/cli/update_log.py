"""What `lwm2m-fota update` tells while it works: the notes of the update, the registry and the package server."""

import asyncio
from typing import Final, final

from lwm2m_fota.cli.events import authority
from lwm2m_fota.cli.output import Output
from lwm2m_fota.lwm2m.registry import Registered, RegistryEvent, Removed
from lwm2m_fota.machines.update_effects import CameLate, Finished, Note, Progressed, Shown, StepChanged, Warned
from lwm2m_fota.machines.update_steps import UpdateStage, UpdateStep
from lwm2m_fota.server.publications import BlockServed
from lwm2m_fota.server.reach import Reached, reached
from lwm2m_fota.server.updater import RunningUpdate
from lwm2m_fota.transport.base import Peer

_STAGES: Final = tuple(UpdateStage)
_DELIVERS: Final = frozenset({UpdateStep.PUSH, UpdateStep.WRITE_URI})
_WAIT_S: Final = 3.0
"""A wait of this length is worth a word."""


@final
class UpdateLog:
    """Turns what happens into events.

    Args:
        endpoint: the device.
        say: tells them.

    Attributes:
        peer: where the device was last reached; None before it has registered.
    """

    def __init__(self, endpoint: str, say: Output) -> None:
        self._endpoint = endpoint
        self._say = say
        self._stage: UpdateStage | None = None
        self._delivered = ""
        self._delivery_at = 0.0
        self._fetchers: set[Peer] = set()
        self._reminder: asyncio.TimerHandle | None = None
        self._running: RunningUpdate | None = None
        self.peer: Peer | None = None

    def follow(self, running: RunningUpdate) -> None:
        """Explain the waits of this update."""
        self._running = running
        self._remind()

    def note(self, note: Note) -> None:
        """A note of the update."""
        match note:
            case StepChanged(stage, step, component):
                self._step(stage, step, component)
                self._remind()
            case Progressed(done, total, component):
                elapsed = asyncio.get_running_loop().time() - self._delivery_at
                speed = round(done / elapsed) if elapsed > 0 else None
                self._say("progress", bytes=done, total=total, bytes_per_s=speed, component=component or None)
                self._remind()
            case Shown(state, result, version, component):
                if state is not None and result is not None:
                    values = {"state": int(state), "result": int(result), "version": version}
                    self._say("shown", **values, component=component or None)
            case Warned(diagnosis):
                self._say("warning", code=diagnosis.code, message=diagnosis.text)
            case Finished() | CameLate():
                self.close()

    def _step(self, stage: UpdateStage, step: UpdateStep, component: str) -> None:
        begins = step in _DELIVERS and (self._stage is not stage or component != self._delivered)
        leaves = self._stage is UpdateStage.TRANSFERRING and (begins or stage is UpdateStage.EXECUTING)
        if leaves:
            self._transferred()
        if begins:
            self._delivered, self._delivery_at = component, asyncio.get_running_loop().time()
        if stage is not self._stage:
            self._stage = stage
            self._say("stage", stage=stage.value, number=_STAGES.index(stage) + 1)
        self._say("step", step=step.value, component=component or None)

    def _transferred(self) -> None:
        if self._running is None:
            return
        sizes = {each.name: each.package_bytes for each in self._running.plan.parts}
        size, seconds = sizes[self._delivered], asyncio.get_running_loop().time() - self._delivery_at
        speed = round(size / max(seconds, 1e-6))
        values = {"bytes": size, "seconds": round(seconds, 3), "bytes_per_s": speed}
        self._say("transferred", **values, component=self._delivered or None)

    def _remind(self) -> None:
        self.close()
        self._reminder = asyncio.get_running_loop().call_later(_WAIT_S, self._waiting)

    def _waiting(self) -> None:
        why = None if self._running is None else self._running.why()
        if why is not None and why.left_s is not None:
            self._say("waiting", step=why.step.value, awaits=why.awaits, limit_s=round(why.left_s), then=why.next)

    def close(self) -> None:
        """No reminder any more."""
        if self._reminder is not None:
            self._reminder.cancel()
            self._reminder = None

    def registry(self, event: RegistryEvent) -> None:
        """A device came, or went."""
        registration = event.registration
        if isinstance(event, Registered):
            if registration.endpoint == self._endpoint:
                self.peer = registration.peer
            peer, lwm2m = peer_name(reached(registration.peer).address), registration.lwm2m_version
            self._say("registered", endpoint=registration.endpoint, peer=peer, lwm2m=lwm2m)
        elif isinstance(event, Removed):
            self._say("gone", endpoint=registration.endpoint, expired=event.expired)

    def block(self, served: BlockServed) -> None:
        """Only the first block of each requester is news: it shows whether a download began, or went on."""
        if served.peer not in self._fetchers:
            self._fetchers.add(served.peer)
            address = served.peer.address if isinstance(served.peer, Reached) else served.peer
            self._say("first-block", peer=peer_name(address), num=served.num, offset=served.offset)


def peer_name(address: Peer) -> str:
    """A socket address, for people; an IPv4 address that an IPv6 socket saw is shown as such."""
    if isinstance(address, tuple):
        return authority(str(address[0]).removeprefix("::ffff:"), address[1])
    return str(address)
