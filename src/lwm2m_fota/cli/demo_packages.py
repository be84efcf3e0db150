"""The packages of a demo, signed with a fresh key."""

import os
from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import Final, final

import attrs

from lwm2m_fota.cli.demo_options import DemoOptions, Scene
from lwm2m_fota.cli.facts import replace_file, size_of
from lwm2m_fota.cli.package import dependency, make
from lwm2m_fota.cli.package_suit_make import DEFAULT_COMPONENT, Source, make_suit
from lwm2m_fota.package.cose.key import CoseKey
from lwm2m_fota.package.crypto import PrivateKey
from lwm2m_fota.package.formats.mcuboot_make import ImageOptions
from lwm2m_fota.package.formats.suit.make import SuitOptions

VERSION_BETWEEN: Final = "1.0.5"
"""Of the package that makes a component busy."""
VERSION_AFTER: Final = "1.1.0"
NAMES: Final = ("app", "modem", "sensor")
"""Of the first components; the others have numbers."""

_CHUNK_BYTES: Final = 1 << 20
_HELD_BYTES: Final = 1 << 12


@final
@attrs.frozen
class Package:
    """What is sent.

    Attributes:
        name: of the component that it is written to; empty with Object 5.
        path: its file.
        size_bytes: of the file.
        version: of the firmware.
        image: what is installed of it; None for the file as it is.
    """

    name: str
    path: FilePath
    size_bytes: int
    version: str = VERSION_AFTER
    image: FilePath | None = None


@final
@attrs.frozen
class Packages:
    """All packages of a demo.

    Attributes:
        sent: those of the update.
        held: what a component holds before, from another server.
    """

    sent: Sequence[Package]
    held: Package | None = None

    @property
    def all(self) -> Sequence[Package]:
        """In the order in which the device gets them."""
        return [*([] if self.held is None else [self.held]), *self.sent]


def names_of(components: int) -> Sequence[str]:
    """Of so many components; one empty name for Object 5, which is asked for with 0."""
    return [*NAMES, *map(str, range(len(NAMES), components))][:components] or [""]


def make_packages(options: DemoOptions, folder: FilePath, key: PrivateKey) -> Packages:
    """Make what a scene needs.

    Args:
        options: the scene, the components, the format, the firmware.
        folder: for the files.
        key: who signs.

    Raises:
        UsageError: the firmware is empty.
        StorageError: a file cannot be read or written.
    """
    names = names_of(options.components)
    match options.scene:
        case Scene.CONFLICT:
            return Packages([_for_all(options, folder, key, names)], _held(folder, key, names[1]))
        case Scene.DEPENDENCY:
            return Packages([_package(options, folder, key, names[0])])
        case Scene.UPDATE | Scene.ROLLBACK:
            return Packages([_package(options, folder, key, each) for each in names])


def _firmware(options: DemoOptions, folder: FilePath, name: str) -> FilePath:
    if options.file is not None:
        return options.file
    path = folder / f"firmware{name}.bin"
    left = options.size_bytes
    with path.open("wb") as stream:
        while left:
            left -= stream.write(os.urandom(min(left, _CHUNK_BYTES)))
    return path


def _package(options: DemoOptions, folder: FilePath, key: PrivateKey, name: str) -> Package:
    """The package of a component; of MCUboot images, the first one needs the second, so that both go together."""
    firmware = _firmware(options, folder, name)
    if options.kind == "plain":
        return Package(name, firmware, size_of(firmware))
    path = folder / f"firmware{name}.signed.bin"
    if options.kind == "suit":
        size = _envelope([Source(name or DEFAULT_COMPONENT, VERSION_AFTER, firmware)], path, key)
        return Package(name, path, size, image=firmware)
    needs_next = name == NAMES[0] and options.components > 1
    image = ImageOptions(dependencies=(dependency(f"1={VERSION_AFTER}"),) if needs_next else ())
    return Package(name, path, make(firmware, path, VERSION_AFTER, key, image))


def _for_all(options: DemoOptions, folder: FilePath, key: PrivateKey, names: Sequence[str]) -> Package:
    """One package for all components, which is written to the first."""
    path = folder / "firmware.suit"
    sources = [Source(each, VERSION_AFTER, _firmware(options, folder, each)) for each in names]
    return Package(names[0], path, _envelope(sources, path, key))


def _held(folder: FilePath, key: PrivateKey, name: str) -> Package:
    """A small package for one component."""
    firmware, path = folder / "held.bin", folder / "held.suit"
    firmware.write_bytes(os.urandom(_HELD_BYTES))
    return Package(name, path, _envelope([Source(name, VERSION_BETWEEN, firmware)], path, key), VERSION_BETWEEN)


def _envelope(sources: Sequence[Source], path: FilePath, key: PrivateKey) -> int:
    """Write a SUIT envelope; its length."""
    return replace_file(path, [make_suit(sources, SuitOptions(sequence_number=1), CoseKey(key=key))])
