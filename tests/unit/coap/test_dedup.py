from lwm2m_fota.coap.dedup import Entry, Recollection, ReplyBudget


def test_same_id_and_bytes_is_a_duplicate():
    recalled = Recollection(ReplyBudget(100), 4)
    entry = recalled.add(7, 111, 247.0, 0.0)
    assert recalled.find(7, 111, 246.9) is entry


def test_same_id_with_other_bytes_is_new():
    recalled = Recollection(ReplyBudget(100), 4)
    recalled.add(7, 111, 247.0, 0.0)
    assert recalled.find(7, 112, 1.0) is None
    assert recalled.find(8, 111, 1.0) is None


def test_a_copy_after_the_lifetime_is_new():
    recalled = Recollection(ReplyBudget(100), 4)
    recalled.add(7, 111, 247.0, 0.0)
    assert recalled.find(7, 111, 247.0) is None


def test_the_oldest_goes_first():
    recalled = Recollection(ReplyBudget(100), 2)
    for mid in (1, 2, 3):
        recalled.add(mid, 0, 247.0, 0.0)
    assert [recalled.find(mid, 0, 1.0) is None for mid in (1, 2, 3)] == [True, False, False]
    assert len(recalled) == 2


def test_expired_entries_make_room_without_a_full_table():
    recalled = Recollection(ReplyBudget(100), 9)
    recalled.add(1, 0, 10.0, 0.0)
    recalled.add(2, 0, 20.0, 5.0)
    recalled.add(3, 0, 30.0, 10.0)
    assert len(recalled) == 2


def test_a_reused_id_replaces_the_older_message():
    budget = ReplyBudget(100)
    recalled = Recollection(budget, 4)
    budget.keep(recalled.add(1, 10, 247.0, 0.0), b"old")
    recalled.add(1, 11, 247.0, 1.0)
    assert recalled.find(1, 10, 2.0) is None
    assert (len(recalled), len(budget), budget.used_bytes) == (1, 0, 0)


def test_the_oldest_reply_goes_first_and_its_entry_stays():
    budget = ReplyBudget(10)
    recalled = Recollection(budget, 4)
    first, second = recalled.add(1, 0, 9.0, 0.0), recalled.add(2, 0, 9.0, 0.0)
    budget.keep(first, b"123456")
    budget.keep(second, b"12345")
    assert (first.reply, second.reply, budget.used_bytes) == (None, b"12345", 5)
    assert recalled.find(1, 0, 1.0) is first


def test_a_reply_larger_than_the_budget_is_not_kept():
    budget = ReplyBudget(3)
    entry = Entry(0, 9.0)
    budget.keep(entry, b"1234")
    assert (entry.reply, budget.used_bytes, len(budget)) == (None, 0, 0)


def test_a_second_reply_replaces_the_first():
    budget = ReplyBudget(10)
    entry = Entry(0, 9.0)
    budget.keep(entry, b"1234")
    budget.keep(entry, b"12")
    assert (entry.reply, budget.used_bytes, len(budget)) == (b"12", 2, 1)


def test_nothing_is_kept_for_a_forgotten_entry():
    budget = ReplyBudget(10)
    recalled = Recollection(budget, 1)
    entry = recalled.add(1, 0, 9.0, 0.0)
    recalled.add(2, 0, 9.0, 0.0)
    budget.keep(entry, b"12")
    assert (entry.reply, budget.used_bytes) == (None, 0)


def test_clearing_gives_the_budget_back():
    budget = ReplyBudget(10)
    recalled = Recollection(budget, 4)
    budget.keep(recalled.add(1, 0, 9.0, 0.0), b"12")
    recalled.clear()
    assert (len(recalled), budget.used_bytes) == (0, 0)
