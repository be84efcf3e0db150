"""What the coordinator makes of each event: which components move, and by which event of their table."""

from collections.abc import Collection

from lwm2m_fota.errors import UsageError
from lwm2m_fota.machines import events
from lwm2m_fota.machines.component_events import (
    BatchJoined,
    BatchUnsatisfied,
    ComponentEvent,
    ComponentKind,
    PackageShared,
    SiblingsBusy,
    UpdateResolved,
)
from lwm2m_fota.machines.component_policies import ConflictScope
from lwm2m_fota.machines.coordinator_events import (
    BatchFailed,
    BatchSucceeded,
    GroupFound,
    PackageChecked,
    PackageContent,
    UpdateRequested,
)
from lwm2m_fota.machines.coordinator_gates import refusal
from lwm2m_fota.machines.coordinator_links import conflicts, is_ready, linked
from lwm2m_fota.machines.coordinator_work import Work
from lwm2m_fota.machines.events import Event, EventKind, Found, StagedImage
from lwm2m_fota.machines.firmware import Step, kind_of
from lwm2m_fota.model.enums import State, UpdateResult


def take_alone(work: Work, instance: int, event: Event) -> None:
    """An event that concerns one component, unless others stand against it."""
    kind, is_legal = _cell(work, instance, event)
    if is_legal:
        work.answer = refusal(work.group, instance, kind, event, work.profile.advanced)
    if work.answer is None:
        work.answer = work.move(instance, event).answer


def _cell(work: Work, instance: int, event: Event | ComponentEvent) -> tuple[EventKind | ComponentKind, bool]:
    """Of which kind an event is for a component as it is, and whether its table has a row for that."""
    machine, firmware = work.group.component(instance).machine, work.profile.firmware
    kind = kind_of(machine, event, firmware, work.wall)
    return kind, (machine.state, kind) in firmware.table.rows


# ---- packages ------------------------------------------------------------------------------------------------------


def take_package(work: Work, instance: int, event: PackageChecked) -> None:
    """A package that passed every check: for this instance, for several, or not for this device."""
    if not _cell(work, instance, events.PackageVerified(transfer=event.transfer))[1]:
        return
    parts = _parts(work, instance, event)
    busy = () if parts is None else _busy(work, instance, parts)
    if parts is None:
        failed = events.TransferFailed(UpdateResult.UNSUPPORTED_PACKAGE, "for other components", event.transfer)
        work.answer = work.move(instance, failed).answer
    elif busy:
        work.answer = work.move(instance, SiblingsBusy(event.transfer)).answer
        work.blame(instance, busy)
    else:
        _share(work, instance, event, parts)


def _parts(work: Work, instance: int, event: PackageChecked) -> dict[int, PackageContent] | None:
    """What the package holds by instance; None if it is not for this instance, or not for this device."""
    if not event.components:
        return {instance: PackageContent(event.name, event.version)}
    parts: dict[int, PackageContent] = {}
    for part in event.components:
        target = work.profile.instance_of(part.name)
        if target is None or target in parts:
            return None
        parts[target] = part
    return parts if instance in parts else None


def _busy(work: Work, instance: int, parts: Collection[int]) -> tuple[int, ...]:
    if len(parts) == 1:
        return ()
    everyone = work.profile.advanced.conflict_scope is ConflictScope.ALL
    return tuple(
        each.instance
        for each in work.group.components
        if each.instance != instance and (everyone or each.instance in parts) and each.machine.state is not State.IDLE
    )


def _share(work: Work, instance: int, event: PackageChecked, parts: dict[int, PackageContent]) -> None:
    stage = work.group.component(instance).stage
    for target, part in sorted(parts.items()):
        name, version = event.name or part.name, part.version or event.version
        if target == instance:
            work.answer = work.move(target, events.PackageVerified(name, version, transfer=event.transfer)).answer
        else:
            work.move(target, PackageShared(name, version))
        work.put(work.group.component(target)._replace(stage=stage, requirements=event.requirements))


# ---- Update --------------------------------------------------------------------------------------------------------


def take_update(work: Work, instance: int, event: UpdateRequested) -> None:
    """Update was executed: alone, with those that are linked, or with a list."""
    kind, is_legal = _cell(work, instance, UpdateResolved(work.group.attempt + 1))
    if is_legal:
        work.answer = refusal(work.group, instance, kind, event, work.profile.advanced)
    if is_legal and work.answer is None:
        work.answer = _update(work, instance, event.others, defer=event.defer).answer
    elif work.answer is None:
        work.answer = work.move(instance, UpdateResolved(work.group.attempt + 1)).answer


def take_deferral_end(work: Work, instance: int, event: events.DeferralEnded) -> None:
    """The user agrees. While another batch runs the wait goes on: one outcome of the installer tells of one batch."""
    if not work.group.batch and _cell(work, instance, event)[0] is EventKind.DEFERRAL_ENDED:
        _update(work, instance, work.group.component(instance).asked)


def take_clock(work: Work, event: events.ClockRead) -> None:
    """Deferrals that are over; of two at the same time the second waits for the end of the first one's batch."""
    for instance in work.profile.instances:
        kind, is_legal = _cell(work, instance, event)
        if is_legal:
            work.move(instance, event)
        elif kind is EventKind.DEFERRAL_EXPIRED and not work.group.batch:
            _update(work, instance, work.group.component(instance).asked)


def _update(work: Work, instance: int, others: tuple[int, ...] | None, *, defer: bool = False) -> Step:
    """Update a Downloaded instance with those asked for, or with its linked ones if none were."""
    group, attempt = work.group, work.group.attempt + 1
    batch = {instance, *(linked(group, instance, work.profile) if others is None else others)}
    ready = {each for each in batch if is_ready(group.component(each))}
    culprits = sorted((batch - ready).union(conflicts(group, ready, work.profile)))
    taken = work.move(instance, UpdateResolved(attempt, bool(culprits), defer))
    match work.rows[-1][1].kind:
        case ComponentKind.UPDATE_CONFLICTS:
            work.blame(instance, tuple(culprits))
        case ComponentKind.BATCH_STARTED:
            for other in sorted(batch - {instance}):
                work.move(other, BatchJoined(attempt))
            work.begin_batch(attempt, tuple(sorted(batch)))
        case _:  # deferred
            work.put(work.group.component(instance)._replace(asked=others))
    return taken


# ---- the end of a batch --------------------------------------------------------------------------------------------


def take_success(work: Work, event: BatchSucceeded) -> None:
    """All of the batch run what they were given."""
    for instance in work.group.batch:
        version = work.group.component(instance).machine.package_version
        if work.move(instance, events.InstallSucceeded(event.attempt)).accepted and version:
            work.put(work.group.component(instance)._replace(version=version))


def take_failure(work: Work, event: BatchFailed) -> None:
    """All of the batch run what they ran before; each shows its part in the failure."""
    blamed = {work.group.component(each).stage for each in event.culprits}
    for component in [each for each in work.group.components if each.machine.state is State.UPDATING]:
        is_blamed = not blamed or component.stage in blamed
        taken = work.move(component.instance, _failure(event, is_blamed=is_blamed))
        if taken.accepted and event.result is UpdateResult.DEPENDENCY_ERROR:
            work.blame(component.instance, event.culprits)


def _failure(event: BatchFailed, *, is_blamed: bool) -> Event | ComponentEvent:
    if event.result is UpdateResult.DEPENDENCY_ERROR:
        return BatchUnsatisfied(event.images_kept, event.attempt)
    result = event.result if is_blamed else UpdateResult.UPDATE_FAILED
    return events.InstallFailed(result, event.images_kept, event.attempt)


def take_restart(work: Work, found: GroupFound) -> None:
    """Each component judges what it finds; of the batch there is one outcome for all.

    Raises:
        UsageError: not one version for each component.
    """
    if len(found.versions) != len(work.group.components):
        raise UsageError(f"{len(work.group.components)} components, {len(found.versions)} versions")
    stages = dict(found.stages)
    work.find(stages)
    for component, version in zip(work.group.components, found.versions, strict=True):
        image = StagedImage.MISSING if component.stage is None else stages.get(component.stage, StagedImage.MISSING)
        restarted = events.Restarted(Found(image=image, boot=found.boot, attempt=found.attempt))
        work.move(component.instance, restarted)
        work.put(work.group.component(component.instance)._replace(version=version))
