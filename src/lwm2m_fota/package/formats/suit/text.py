"""Text for people, by language (draft-ietf-suit-manifest-37 section 8.4.4)."""

from collections.abc import Mapping
from typing import Final, TypeAlias, final

import attrs

from lwm2m_fota.package.formats.suit.codes import ComponentText
from lwm2m_fota.package.formats.suit.reading import ComponentId, component_id, load_map, malformed

Numbered: TypeAlias = Mapping[int, str]

_MAX_LANGUAGES: Final = 16
_INTS: Final = frozenset({int})
_STRINGS: Final = frozenset({str})


@final
@attrs.frozen
class Texts:
    """Text in one language.

    Attributes:
        language: its tag (BCP 47).
        of_manifest: by `ManifestText`; negative numbers are those of applications.
        of_components: by the component, and by `ComponentText`.
    """

    language: str
    of_manifest: Numbered
    of_components: Mapping[ComponentId, Numbered]


def read_text(data: object) -> tuple[Texts, ...]:
    """Read the text of a manifest.

    Raises:
        IntegrityError: it breaks the rules.
    """
    found = load_map(data, "the text")
    if not 0 < len(found) <= _MAX_LANGUAGES:
        raise malformed(f"the text has {len(found)} languages, not 1 to {_MAX_LANGUAGES}")
    return tuple(_language(language, texts) for language, texts in found.items())


def version_of(texts: tuple[Texts, ...], component: ComponentId) -> str | None:
    """The version of a component as the text has it, in the first language that does."""
    for each in texts:
        version = each.of_components.get(component, {}).get(ComponentText.VERSION)
        if version is not None:
            return version
    return None


def _language(language: object, texts: object) -> Texts:
    if type(language) is not str or type(texts) is not dict:
        raise malformed("the text is not by language")
    of_components = {key: value for key, value in texts.items() if isinstance(key, tuple)}
    of_manifest = {key: value for key, value in texts.items() if not isinstance(key, tuple)}
    return Texts(
        language,
        _numbered(of_manifest),
        {component_id(key): _numbered(value) for key, value in of_components.items()},
    )


def _numbered(texts: object) -> Numbered:
    if type(texts) is dict and _INTS.issuperset(map(type, texts)) and _STRINGS.issuperset(map(type, texts.values())):
        return texts
    raise malformed("a text is not text by its number")
