from lwm2m_fota.transport.patience import LOAN_PAUSE_S, LONG_LOAN_S, VAIN_LOOKS, Patience


class Processor:
    """Counts its loans; each takes `loan_s`."""

    def __init__(self):
        self.now = 100.0
        self.loan_s = 0.0
        self.loans = 0

    def lend(self):
        self.loans += 1
        self.now += self.loan_s

    def patience(self):
        return Patience(self.lend, lambda: self.now)


def test_every_look_lends_the_processor_first():
    processor = Processor()
    patience = processor.patience()
    assert all(patience.looks_again(heard) for heard in range(1, 65))
    assert processor.loans == 64


def test_looks_in_vain_become_rare_and_a_find_makes_them_frequent_again():
    processor = Processor()
    patience = processor.patience()
    for _ in range(VAIN_LOOKS):
        assert patience.looks_again(1)
        patience.vain()
    looks = [patience.looks_again(1) for _ in range(4 * VAIN_LOOKS)]
    assert looks.count(True) == 4
    assert processor.loans == VAIN_LOOKS + 4
    assert patience.looks_again(2)  # behind the first one there was another
    assert all(patience.looks_again(1) for _ in range(VAIN_LOOKS))


def test_a_second_look_lends_once_more_until_looks_are_in_vain():
    processor = Processor()
    patience = processor.patience()
    for _ in range(VAIN_LOOKS):
        assert patience.looks_twice()
        patience.vain()
    assert processor.loans == VAIN_LOOKS
    assert not patience.looks_twice()
    assert processor.loans == VAIN_LOOKS
    assert patience.looks_again(2)
    assert patience.looks_twice()


def test_a_long_loan_is_not_repeated_for_a_while():
    processor = Processor()
    patience = processor.patience()
    processor.loan_s = LONG_LOAN_S * 1.1
    assert patience.looks_again(1)
    assert patience.looks_again(2)
    assert processor.loans == 1
    processor.now += LOAN_PAUSE_S
    processor.loan_s = LONG_LOAN_S * 0.9
    assert patience.looks_again(1)
    assert patience.looks_again(2)
    assert processor.loans == 3


def test_the_real_processor_can_be_lent():
    assert Patience().looks_again(1)
