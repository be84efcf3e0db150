"""The code points of SUIT, in one place: they are expected to stay, and no registry has them yet.

Keys, conditions, directives and parameters have numbers of their own: 18, 20 and 23 mean something in each of them.
(draft-ietf-suit-manifest-37 section 11, draft-ietf-suit-trust-domains-11, draft-ietf-suit-firmware-encryption-24.)
"""

from enum import IntEnum
from typing import Final, final

ENVELOPE_TAG: Final = 107
PEN_TAG: Final = 112
"""Of an id that is a Private Enterprise Number."""

MANIFEST_VERSION: Final = 1


@final
class Key(IntEnum):
    """Keys of an envelope and of a manifest; a severed member has the same one in both."""

    AUTHENTICATION = 2
    MANIFEST = 3
    VALIDATE = 7
    LOAD = 8
    INVOKE = 9
    DEPENDENCY_RESOLUTION = 15
    PAYLOAD_FETCH = 16
    CANDIDATE_VERIFICATION = 18
    INSTALL = 20
    TEXT = 23
    UNINSTALL = 24


@final
class ManifestKey(IntEnum):
    """Keys that only a manifest has; those of its command sequences are in `Key`."""

    VERSION = 1
    SEQUENCE_NUMBER = 2
    COMMON = 3
    REFERENCE_URI = 4
    COMPONENT_ID = 5


@final
class CommonKey(IntEnum):
    """Keys of the common part of a manifest."""

    DEPENDENCIES = 1
    COMPONENTS = 2
    SHARED_SEQUENCE = 4


DEPENDENCY_PREFIX: Final = 1
"""The one key of what is said of a dependency."""

SEVERABLE: Final = frozenset(
    {Key.DEPENDENCY_RESOLUTION, Key.PAYLOAD_FETCH, Key.CANDIDATE_VERIFICATION, Key.INSTALL, Key.TEXT}
)
"""What may lie in the envelope, with its digest in the manifest."""

SEQUENCES: Final = frozenset(Key) - {Key.AUTHENTICATION, Key.MANIFEST, Key.TEXT}
"""The command sequences."""

UPDATE: Final = (
    Key.DEPENDENCY_RESOLUTION,
    Key.PAYLOAD_FETCH,
    Key.CANDIDATE_VERIFICATION,
    Key.INSTALL,
    Key.VALIDATE,
)
"""The update procedure: these command sequences, in this order."""


@final
class Condition(IntEnum):
    """What is checked."""

    VENDOR_ID = 1
    CLASS_ID = 2
    IMAGE_MATCH = 3
    COMPONENT_SLOT = 5
    CHECK_CONTENT = 6
    DEPENDENCY_INTEGRITY = 7
    IS_DEPENDENCY = 8
    ABORT = 14
    DEVICE_ID = 24


@final
class Directive(IntEnum):
    """What is done."""

    PROCESS_DEPENDENCY = 11
    SET_COMPONENT_INDEX = 12
    TRY_EACH = 15
    WRITE = 18
    SET_PARAMETERS = 19
    OVERRIDE_PARAMETERS = 20
    FETCH = 21
    COPY = 22
    INVOKE = 23
    SWAP = 31
    RUN_SEQUENCE = 32
    UNLINK = 33


@final
class Parameter(IntEnum):
    """What commands read: of a component, but for STRICT_ORDER and SOFT_FAILURE."""

    VENDOR_ID = 1
    CLASS_ID = 2
    IMAGE_DIGEST = 3
    COMPONENT_SLOT = 5
    STRICT_ORDER = 12
    SOFT_FAILURE = 13
    IMAGE_SIZE = 14
    CONTENT = 18
    ENCRYPTION_INFO = 19
    URI = 21
    SOURCE_COMPONENT = 22
    INVOKE_ARGS = 23
    DEVICE_ID = 24
    FETCH_ARGUMENTS = 25


@final
class ComponentText(IntEnum):
    """Texts of one component."""

    VENDOR_NAME = 1
    MODEL_NAME = 2
    VENDOR_DOMAIN = 3
    MODEL_INFO = 4
    DESCRIPTION = 5
    VERSION = 6


@final
class ManifestText(IntEnum):
    """Texts of the whole."""

    DESCRIPTION = 1
    UPDATE_DESCRIPTION = 2
    JSON_SOURCE = 3
    YAML_SOURCE = 4


@final
class Reporting(IntEnum):
    """Bits of a reporting policy: what the author would like to be recorded of a command. Nothing is recorded here."""

    RECORD_SUCCESS = 1
    RECORD_FAILURE = 2
    SYSINFO_SUCCESS = 4
    SYSINFO_FAILURE = 8


ALL_REPORTING: Final = 15
