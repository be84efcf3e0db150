"""Randomness, real and repeatable."""

import pytest

from lwm2m_fota.runtime.entropy import SeededEntropy, SystemEntropy


@pytest.mark.parametrize("entropy", [SystemEntropy(), SeededEntropy(1)])
def test_tokens_have_their_size_and_differ(entropy):
    assert [len(entropy.token(size)) for size in (0, 1, 4, 8)] == [0, 1, 4, 8]
    assert len({entropy.token(8) for _ in range(100)}) == 100


@pytest.mark.parametrize("entropy", [SystemEntropy(), SeededEntropy(1)])
def test_numbers_fill_their_range(entropy):
    drawn = [entropy.uniform(2.0, 3.0) for _ in range(200)]
    assert 2.0 <= min(drawn) < 2.2
    assert 2.8 < max(drawn) <= 3.0


def test_a_seed_gives_the_same_sequence_again():
    def sequence(seed):
        entropy = SeededEntropy(seed)
        return [entropy.token(4), entropy.uniform(0, 1), entropy.token(8)]

    assert sequence(7) == sequence(7)
    assert sequence(7) != sequence(8)


def test_two_system_sources_share_nothing():
    assert SystemEntropy().token(16) != SystemEntropy().token(16)
