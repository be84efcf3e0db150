"""Makes SUIT envelopes: manifests that fetch, decrypt and compare one component or several, and who signs them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias, final

import attrs

from lwm2m_fota import cbor
from lwm2m_fota.errors import UsageError
from lwm2m_fota.package.cose.create import CoseSigner, DirectKey, Encryption, mac0, sign1
from lwm2m_fota.package.cose.rules import CoseRules
from lwm2m_fota.package.cose.structure import bytes_head
from lwm2m_fota.package.formats.suit.codes import (
    ALL_REPORTING,
    DEPENDENCY_PREFIX,
    ENVELOPE_TAG,
    MANIFEST_VERSION,
    CommonKey,
    ComponentText,
    Condition,
    Directive,
    Key,
    ManifestKey,
    Parameter,
    Reporting,
)
from lwm2m_fota.package.formats.suit.content import is_integrated
from lwm2m_fota.package.formats.suit.digests import SuitDigest
from lwm2m_fota.package.formats.suit.members import Opened, open_envelope
from lwm2m_fota.package.formats.suit.reading import ComponentId, id_text, load_array
from lwm2m_fota.package.keyring import Authentication

SuitSigner: TypeAlias = CoseSigner | DirectKey
"""Who signs, or a secret that makes a code."""

_STAGING: Final = b"encrypted"
"""The last part of the id of the place where an encrypted payload is fetched to."""
_LANGUAGE: Final = "en"
_MOST_DEPENDENCIES: Final = 10
_ON_FAILURE: Final = int(Reporting.RECORD_FAILURE)


@final
@attrs.frozen(kw_only=True)
class SuitComponent:
    """One component of an update.

    Attributes:
        id: what the device calls it.
        image: what it is to hold.
        version: of the image, for people and for the device to tell.
        uri: where its payload will be; None to put it into the envelope.
        encryption: how it is encrypted, `SuitProfile.encryption` for one; None for not at all.

    Raises:
        UsageError: an empty image or id, or a URI that begins with "#".
    """

    id: ComponentId
    image: bytes = attrs.field(repr=False)
    version: str | None = None
    uri: str | None = None
    encryption: Encryption | None = attrs.field(default=None, repr=False)

    def __attrs_post_init__(self) -> None:
        if not self.image or not self.id:
            raise UsageError("a component has an id, and an image that is not empty")
        if self.uri is not None and is_integrated(self.uri):
            raise UsageError("a URI that begins with # is that of a payload in the envelope")

    @property
    def payload_uri(self) -> str:
        """Where its payload is."""
        return f"#{id_text(self.id)}" if self.uri is None else self.uri

    @property
    def payload(self) -> bytes:
        """What is fetched: the image, encrypted if need be."""
        return self.image if self.encryption is None else self.encryption.cipher.encrypt(self.image)


@final
@attrs.frozen(kw_only=True)
class SuitDependency:
    """An envelope that is installed together with another one, which depends on it.

    Attributes:
        envelope: the envelope, as its own maker has signed it.
        prefix: what goes before the ids of its components.

    Raises:
        IntegrityError: it is broken.
    """

    envelope: bytes = attrs.field(repr=False)
    prefix: ComponentId = ()
    digest: SuitDigest = attrs.field(init=False)

    @digest.default
    def _digest_of_manifest(self) -> SuitDigest:
        opened, _ = open_envelope(self.envelope, lambda _: Authentication(), rules=CoseRules.UNSAFE_PERMISSIVE)
        return SuitDigest.of_member(opened.members[Key.MANIFEST].data)


@final
@attrs.frozen(kw_only=True)
class SuitOptions:
    """What an update says beside its components.

    Attributes:
        sequence_number: no device takes a lower one than that of what it has.
        manifest_id: what the manifest itself is called.
        vendor_id: for devices of this vendor alone.
        class_id: for devices of this class alone.
        is_text_severed: whether the text may be taken away from the envelope.
    """

    sequence_number: int
    manifest_id: ComponentId | None = None
    vendor_id: bytes | None = None
    class_id: bytes | None = None
    is_text_severed: bool = True


@final
@attrs.frozen
class MadeEnvelope:
    """An envelope, and what does not lie in it.

    Attributes:
        data: the envelope.
        detached: payloads that are to be found at their URIs, in the order in which a device fetches them.
    """

    data: bytes = attrs.field(repr=False)
    detached: Mapping[str, bytes] = attrs.field(repr=False)

    @property
    def whole(self) -> bytes:
        """The envelope with all payloads behind it, as a device stores it."""
        return self.data + b"".join(self.detached.values())


def create_suit(
    components: Sequence[SuitComponent],
    *,
    options: SuitOptions,
    signers: Sequence[SuitSigner] = (),
    dependencies: Sequence[SuitDependency] = (),
) -> MadeEnvelope:
    """Make an envelope.

    Args:
        components: at least one, of different ids.
        options: what else it says.
        signers: each adds a block of its own; none for an envelope that only policies without signatures take.
        dependencies: envelopes that are installed before the components; they lie in this one.

    Raises:
        UsageError: no components, two with one id or one URI, or a negative sequence number.
    """
    _check(components, options, len(dependencies))
    layout = _Layout(tuple(components), options, tuple(dependencies))
    text = layout.text()
    manifest = layout.manifest(text)
    members: dict[object, object] = {Key.AUTHENTICATION: _wrapper(SuitDigest.of_member(manifest), signers)}
    members[Key.MANIFEST] = manifest
    if text is not None and options.is_text_severed:
        members[Key.TEXT] = text
    payloads = {each.payload_uri: each.payload for each in components}
    members |= {uri: payload for uri, payload in payloads.items() if is_integrated(uri)}
    members |= {_dependency_uri(number): each.envelope for number, each in enumerate(dependencies)}
    envelope = cbor.dumps(cbor.Tag(ENVELOPE_TAG, members), canonical=True)
    return MadeEnvelope(envelope, {uri: payload for uri, payload in payloads.items() if not is_integrated(uri)})


def _check(components: Sequence[SuitComponent], options: SuitOptions, dependencies: int) -> None:
    if not components:
        raise UsageError("an update has at least one component")
    if len({id_text(each.id) for each in components}) < len(components):
        raise UsageError("components have different ids")
    if len({each.payload_uri for each in components}) < len(components):
        raise UsageError("payloads have different URIs")
    if dependencies > _MOST_DEPENDENCIES:
        raise UsageError(f"an envelope has at most {_MOST_DEPENDENCIES} dependencies")
    # a payload must not come before the manifests that tell what it is, and the keys of an envelope ascend
    if dependencies and any(len(each.payload_uri) <= len(_dependency_uri(0)) for each in components):
        raise UsageError("with dependencies, names of components have at least two characters")
    if options.sequence_number < 0:
        raise UsageError("a sequence number is not negative")


def signed_again(data: bytes, opened: Opened, signer: SuitSigner) -> bytes:
    """An envelope with one more block of authentication.

    Args:
        data: the envelope, as it was opened.
        opened: what it says.
        signer: who signs.
    """
    old = opened.members[Key.AUTHENTICATION]
    blocks = load_array(old.data, "the authentication wrapper")
    new = cbor.dumps([*blocks, _block(opened.wrapper.signed, signer)])
    begin = old.offset_bytes - len(bytes_head(len(old.data)))
    return data[:begin] + bytes_head(len(new)) + new + data[old.offset_bytes + len(old.data) :]


def _wrapper(digest: SuitDigest, signers: Sequence[SuitSigner]) -> bytes:
    signed = cbor.dumps(digest.to_item())
    return cbor.dumps([signed, *(_block(signed, each) for each in signers)])


def _block(signed: bytes, signer: SuitSigner) -> bytes:
    if isinstance(signer, DirectKey):
        return mac0(signed, signer, is_detached=True)
    return sign1(signed, signer, is_detached=True)


def _packed(value: object) -> bytes:
    return cbor.dumps(value, canonical=True)


def _dependency_uri(number: int) -> str:
    return f"#{number}"


@final
@attrs.frozen
class _Layout:
    """Where everything stands: the components first, then the places for encrypted payloads, then dependencies."""

    components: tuple[SuitComponent, ...]
    options: SuitOptions
    dependencies: tuple[SuitDependency, ...]

    def manifest(self, text: bytes | None) -> bytes:
        options = self.options
        common: dict[int, object] = {CommonKey.COMPONENTS: self._ids()}
        common[CommonKey.SHARED_SEQUENCE] = _packed(self._shared())
        if self.dependencies:
            common[CommonKey.DEPENDENCIES] = {
                index: {DEPENDENCY_PREFIX: list(each.prefix)} if each.prefix else {} for index, each in self._numbered()
            }
        found: dict[int, object] = {
            ManifestKey.VERSION: MANIFEST_VERSION,
            ManifestKey.SEQUENCE_NUMBER: options.sequence_number,
            ManifestKey.COMMON: _packed(common),
            Key.VALIDATE: _packed([*self._process(), *self._select_all(), *_check_now(Condition.IMAGE_MATCH)]),
            Key.INSTALL: _packed(self._install()),
        }
        if self.dependencies:
            found[Key.DEPENDENCY_RESOLUTION] = _packed(self._resolve())
        if options.manifest_id is not None:
            found[ManifestKey.COMPONENT_ID] = list(options.manifest_id)
        if text is not None:
            found[Key.TEXT] = SuitDigest.of_member(text).to_item() if options.is_text_severed else text
        return _packed(found)

    def text(self) -> bytes | None:
        versions = {each.id: {ComponentText.VERSION: each.version} for each in self.components if each.version}
        return _packed({_LANGUAGE: versions}) if versions else None

    def _staged(self) -> list[SuitComponent]:
        return [each for each in self.components if each.encryption is not None]

    def _ids(self) -> list[object]:
        return [*(list(each.id) for each in self.components), *([*each.id, _STAGING] for each in self._staged())]

    def _select(self, *indices: int) -> Iterator[object]:
        """Nothing, where there is only one component."""
        if len(self._ids()) + len(self.dependencies) > 1:
            yield Directive.SET_COMPONENT_INDEX
            yield indices[0] if len(indices) == 1 else list(indices)

    def _select_all(self) -> Iterator[object]:
        return self._select(*range(len(self.components)))

    def _shared(self) -> list[object]:
        """Digests and sizes of images, and for whom they are."""
        options, found = self.options, list[object]()
        ids = {Parameter.VENDOR_ID: options.vendor_id, Parameter.CLASS_ID: options.class_id}
        wanted = {key: value for key, value in ids.items() if value is not None}
        for index, each in enumerate(self.components):
            digest = _packed(SuitDigest.of(each.image).to_item())
            image = {Parameter.IMAGE_DIGEST: digest, Parameter.IMAGE_SIZE: len(each.image)}
            found += [*self._select(index), *_set({**wanted, **image})]
        if wanted:
            found += self._select_all()
            found += [] if options.vendor_id is None else _check_now(Condition.VENDOR_ID)
            found += [] if options.class_id is None else _check_now(Condition.CLASS_ID)
        return found

    def _numbered(self) -> Iterator[tuple[int, SuitDependency]]:
        return enumerate(self.dependencies, len(self._ids()))

    def _resolve(self) -> list[object]:
        """Fetch and compare the manifests that this one depends on."""
        found = list[object]()
        for number, (index, each) in enumerate(self._numbered()):
            digest = _packed(each.digest.to_item())
            size, uri = len(each.envelope), _dependency_uri(number)
            wanted = {Parameter.IMAGE_DIGEST: digest, Parameter.IMAGE_SIZE: size, Parameter.URI: uri}
            found += [*self._select(index), *_set(wanted), *_do(Directive.FETCH)]
            found += [*_check_now(Condition.DEPENDENCY_INTEGRITY), *_do(Directive.PROCESS_DEPENDENCY)]
        return found

    def _process(self) -> list[object]:
        found = list[object]()
        for index, _ in self._numbered():
            found += [*self._select(index), *_do(Directive.PROCESS_DEPENDENCY)]
        return found

    def _install(self) -> list[object]:
        found, place = self._process(), len(self.components)
        for index, each in enumerate(self.components):
            if each.encryption is None:
                found += [*self._select(index), *_set({Parameter.URI: each.payload_uri}), *_do(Directive.FETCH)]
            else:
                size = len(each.payload)
                found += [*self._select(place), *_set({Parameter.URI: each.payload_uri, Parameter.IMAGE_SIZE: size})]
                info = each.encryption.message(None)
                source = {Parameter.ENCRYPTION_INFO: info, Parameter.SOURCE_COMPONENT: place}
                found += [*_do(Directive.FETCH), *self._select(index), *_set(source), *_do(Directive.COPY)]
                place += 1
            found += _check_now(Condition.IMAGE_MATCH)
        return found


def _set(parameters: Mapping[Parameter, object]) -> list[object]:
    return [Directive.OVERRIDE_PARAMETERS, dict(parameters)]


def _do(directive: Directive) -> list[object]:
    return [directive, _ON_FAILURE]


def _check_now(condition: Condition) -> list[object]:
    return [condition, ALL_REPORTING]
