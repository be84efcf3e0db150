"""The catalogue of diagnoses: every stable code that an update may end or warn with."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from lwm2m_fota.machines.update_outcome import Diagnosis
from lwm2m_fota.model.enums import UpdateResult

_STUCK_HINT: Final = "Restart the device, or cancel on the device itself; then start the update again."
_AGAIN_HINT: Final = "Look at the link and start the update again."
_STATE_HINT: Final = "Read State, Update Result and version of the device before another update is started."
_LIMIT_HINT: Final = "If the device was still at work, start again with a longer limit."

_TEXTS: Final[dict[str, tuple[str, str]]] = {
    "prepare.not-registered": ("The device did not register in time.", "Look whether the device is switched on."),
    "prepare.no-object": (
        "The device does not offer the object that this update needs.",
        "Its data model has no Firmware Update object (5, or 33629 for components): it cannot be updated this way.",
    ),
    "prepare.no-component": (
        "The device has no component of a name in the plan.",
        "Look at resource 14 of its instances of Object 33629.",
    ),
    "prepare.version-guarded": (
        "The device runs this version already, or a later one.",
        "Choose a later version, or take the guard away.",
    ),
    "prepare.settings-differ": (
        "The device does not show what the plan sets on it before the update.",
        "Its object may lack the resource, or this server the right to write it.",
    ),
    "prepare.unreadable": (
        "State and Update Result could not be read.",
        "Look at the access rights of this server for Object 5 or 33629 and at the link.",
    ),
    "prepare.pull-unsupported": ("Pull was asked for, but the device offers push only.", "Choose push or automatic."),
    "prepare.push-unsupported": ("Push was asked for, but the device offers pull only.", "Choose pull or automatic."),
    "prepare.no-common-protocol": (
        "The device and the package server have no protocol in common (resource 8).",
        "Offer one of the device's protocols, or push.",
    ),
    "prepare.protocols-empty": (
        "The device reports an empty list of protocols.",
        "The default (CoAP) was taken; the device should list what it supports, or leave the resource out.",
    ),
    "prepare.delivery-unread": (
        "The device does not say how it takes packages (resource 9).",
        "Both ways were assumed.",
    ),
    "prepare.pushed-instead": ("No protocol in common: the package is pushed instead of pulled.", "Nothing to do."),
    "prepare.already-there": ("The device already runs the expected version.", "The result cannot be told by version."),
    "prepare.device-updating": ("An installation that was running before did not end.", _STUCK_HINT),
    "prepare.stuck-downloading": (
        "The device stays in State Downloading, and no way to reset it had an effect.",
        f"Some devices count States from 1 and never leave it. {_STUCK_HINT}",
    ),
    "prepare.stuck-downloaded": ("The device keeps an old package, and no way to reset it had an effect.", _STUCK_HINT),
    "prepare.device-busy": ("The device went on answering 5.03.", "It may still be taking another transfer: wait."),
    "prepare.stage-limit": ("Preparing update took too long.", _LIMIT_HINT),
    "observe.failed": ("The device could not be observed.", "It is watched by reading."),
    "transfer.object-gone": ("The device registered anew without the object.", _STATE_HINT),
    "transfer.uri-refused": (
        "The device refused the Package URI and gave no Update Result.",
        "Look at the access rights and at the length of the URI (255 bytes).",
    ),
    "transfer.no-package": (
        "The package could not be read or published on the server's side.",
        "Look at the package file and at the limits of the package server.",
    ),
    "transfer.no-answer": ("There is no sign whether the device received the request.", _AGAIN_HINT),
    "transfer.not-started": (
        "The device took the Package URI but never began the download.",
        "The URI may have been ignored, or its host is not reachable from the device.",
    ),
    "transfer.no-progress": ("The transfer made no progress.", _AGAIN_HINT),
    "transfer.push-refused": ("The device refused the push and gave no Update Result.", "Try pull, if offered."),
    "transfer.broken": ("The transfer broke each time, and the device gave no Update Result.", _AGAIN_HINT),
    "transfer.device-busy": ("The device went on answering 5.03.", "It may still be taking another transfer: wait."),
    "transfer.stage-limit": ("Transferring package took too long.", _LIMIT_HINT),
    "execute.refused": (
        "The device refused Update and gave no Update Result.",
        "Look at the access rights, and whether the device may update now.",
    ),
    "execute.no-answer": ("There is no sign whether Update arrived, and the device cannot be read.", _STATE_HINT),
    "execute.package-lost": ("The device dropped the package before Update could be executed.", _AGAIN_HINT),
    "execute.unanswered": ("There is no sign whether Update arrived; the device shows Downloaded.", _STATE_HINT),
    "execute.device-busy": ("The device went on answering 5.03 to Update.", "Wait until it is idle and start again."),
    "execute.not-automatic": (
        "The device did not update by itself although Automatic Upgrade is on.",
        "Switch Automatic Upgrade off, or let the policy execute Update even so.",
    ),
    "execute.deferred": ("The user of the device deferred the update for too long.", "Set Maximum Defer Period."),
    "execute.not-installed": ("Update was accepted, but the device still shows Downloaded.", _STATE_HINT),
    "execute.no-evidence": (
        "The device is Idle without a result, and its version does not tell.",
        f"It may have lost its state in a restart. {_STATE_HINT}",
    ),
    "execute.no-return": (
        "The device did not come back after Update.",
        "It may still be installing, or be without a link: look at the device.",
    ),
    "execute.no-end": ("The installation did not end.", _LIMIT_HINT),
    "execute.stage-limit": ("Executing update took too long.", _LIMIT_HINT),
    "execute.result-lost": (
        "The device had lost its Update Result; its new version tells of the success.",
        "The device should keep its result over a restart.",
    ),
    "execute.version-mismatch": (
        "The device reports success, but not the expected version.",
        "Look whether the expected version was given right.",
    ),
    "execute.version-unread": ("The version after the update could not be read.", "Read /3/0/3 later."),
    "cancel.too-late": ("A cancellation came too late: the installation had begun.", "Nothing to do."),
    "cancel.partly": (
        "Some components had been updated before the update was cancelled.",
        "The outcome names them; the others keep what they ran.",
    ),
    "cleanup.not-idle": ("The device is not known to be Idle after the end of the update.", "Reset it later."),
    "total.limit": ("The update took longer than allowed as a whole.", _LIMIT_HINT),
    "device.not-enough-storage": ("The device has not enough storage for the package.", "Free some, or shrink it."),
    "device.out-of-memory": ("The device ran out of memory during the download.", "Use smaller blocks, or restart it."),
    "device.connection-lost": ("The device lost the connection during the download.", _AGAIN_HINT),
    "device.integrity-failure": (
        "The package failed the device's integrity check.",
        "Look whether it is signed for this device.",
    ),
    "device.unsupported-package": ("The device does not support this type of package.", "Choose one made for it."),
    "device.invalid-uri": ("The device calls the Package URI invalid.", "Look whether its host can be resolved there."),
    "device.update-failed": ("The device reports that the installation failed.", "Read the log of the device."),
    "device.unsupported-protocol": ("The device does not support the URI's protocol.", "Choose another, or push."),
    "device.cancelled": ("The update was cancelled on the device or by another server.", "Start it again if wanted."),
    "device.deferred": ("The device deferred the update and then dropped it.", "Start it again if wanted."),
    "device.conflicting-state": ("Another component of the device was busy.", "Start the update again."),
    "device.dependency-error": ("A package that this one needs is missing.", "Update all components together."),
    "device.unknown-result": ("The device reports an Update Result that no specification lists.", _STATE_HINT),
}

_RESULT_CODES: Final[Mapping[int, str]] = MappingProxyType(
    {
        2: "device.not-enough-storage",
        3: "device.out-of-memory",
        4: "device.connection-lost",
        5: "device.integrity-failure",
        6: "device.unsupported-package",
        7: "device.invalid-uri",
        8: "device.update-failed",
        9: "device.unsupported-protocol",
        10: "device.cancelled",
        11: "device.deferred",
        12: "device.conflicting-state",
        13: "device.dependency-error",
    }
)

DIAGNOSES: Final[Mapping[str, Diagnosis]] = MappingProxyType(
    {code: Diagnosis(code, text, hint) for code, (text, hint) in _TEXTS.items()}
)
"""Every diagnosis by its code."""


def code_of_result(result: UpdateResult) -> str:
    """The code that says in our words what the device reports with this Update Result."""
    return _RESULT_CODES.get(result.value, "device.unknown-result")
