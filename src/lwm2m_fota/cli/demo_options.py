"""What `lwm2m-fota demo` is asked to show."""

from enum import StrEnum
from pathlib import Path as FilePath
from typing import final

import attrs

from lwm2m_fota.cli.demo_road import HERE
from lwm2m_fota.cli.groups import Listening


@final
class Scene(StrEnum):
    """What a demo shows.

    UPDATE installs what is sent. DEPENDENCY sends the first component alone, which needs the second. CONFLICT sends one
    package for all components, of which the second holds a package of another server. ROLLBACK takes the power from the
    device while it runs the new firmware on trial.
    """

    UPDATE = "update"
    DEPENDENCY = "dependency"
    CONFLICT = "conflict"
    ROLLBACK = "rollback"


@final
@attrs.frozen(kw_only=True)
class DemoOptions:
    """What the command was given.

    Attributes:
        file: the firmware; None makes `size_bytes` random bytes.
        size_bytes: of the random firmware.
        method: push or pull.
        components: how many, of Object 33629; 0 for Object 5.
        kind: mcuboot, suit or plain: the format of the packages. A plain one is known by its digest.
        listening: where the server listens; the device goes to the first of CoAP, a secure one if there is any.
        q_block: where the waits come from if packages go by sets of blocks; None if they go one by one.
        scene: what is shown; a dependency needs two components, a conflict two components and kind suit.
        trace: the file to record the server's update in; what the device does is recorded beside it.
    """

    file: FilePath | None
    size_bytes: int
    method: str
    components: int = 0
    kind: str = "mcuboot"
    listening: Listening = HERE
    q_block: str | None = None
    scene: Scene = Scene.UPDATE
    trace: FilePath | None = None
