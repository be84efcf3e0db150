"""Operations and answers are values."""

import attrs
import pytest

from lwm2m_fota.lwm2m.operations import CHANGED, Answer, Execute, Read, Write, WriteBlock, WriteMode
from lwm2m_fota.model.paths import Path

STATE = Path.of(5, 0, 3)


def test_defaults():
    assert Write(STATE, []).mode is WriteMode.REPLACE
    assert Execute(STATE).arguments == b""
    assert WriteBlock(STATE, 0, b"", first=True, final=False).size_bytes is None
    assert (CHANGED.code, CHANGED.entries, CHANGED.diagnostic, CHANGED.size_limit_bytes) == (0x44, None, "", None)


@pytest.mark.parametrize("value", [Read(STATE), Write(STATE, []), Execute(STATE), Answer(0x45)])
def test_they_compare_and_do_not_change(value):
    assert value == attrs.evolve(value)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        value.path = None
