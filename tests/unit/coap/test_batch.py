from lwm2m_fota.coap.batch import Batch, Pace


def test_a_pace_begins_with_one_block_and_doubles_while_it_is_quick():
    pace = Pace(max_bytes=300, batch_s=0.25)
    assert pace.target_bytes == 0
    sizes = []
    for _ in range(5):
        pace.begin(10.0)
        pace.end(max(pace.target_bytes, 64), 10.1)
        sizes.append(pace.target_bytes)
    assert sizes == [128, 256, 300, 300, 300]
    pace.begin(20.0)
    pace.end(300, 20.25)
    assert pace.target_bytes == 0


def test_a_pace_that_was_never_begun_is_not_quick():
    pace = Pace(max_bytes=300, batch_s=0.25)
    pace.end(64, 0.0)
    assert pace.target_bytes == 0


def test_without_room_each_block_goes_by_itself():
    pace = Pace(max_bytes=0, batch_s=0.25)
    pace.begin(0.0)
    pace.end(64, 0.0)
    assert pace.target_bytes == 0


def test_a_batch_is_due_by_size():
    batch = Batch(1024, 0.25)
    batch.clear(4096)
    assert not batch.is_due(0.0)
    assert batch.add(b"a" * 64, 0.0)
    assert batch.is_due(0.0)
    assert (batch.offset, batch.size_bytes, batch.take(0.0)) == (4096, 64, b"a" * 64)
    batch.begin(1.0)
    assert batch.add(b"b" * 64, 1.0)
    assert batch.take(1.0) == b"b" * 64
    batch.begin(1.0)
    assert not batch.add(b"c" * 64, 1.0)
    assert not batch.is_due(1.0)
    assert batch.add(b"d" * 64, 1.0)
    assert (batch.offset, batch.take(1.0)) == (4096 + 128, b"c" * 64 + b"d" * 64)
    assert (batch.offset, batch.size_bytes) == (4096 + 256, 0)


def test_a_batch_is_due_by_time():
    batch = Batch(1024, 0.25)
    batch.begin(0.0)
    batch.add(bytes(64), 0.0)
    batch.take(0.0)
    batch.begin(0.0)
    assert not batch.add(bytes(64), 0.2)
    assert batch.is_due(0.25)
    assert batch.add(bytes(64), 0.25)
    batch.take(0.25)
    batch.begin(0.25)
    assert batch.add(bytes(64), 0.25)  # the one before was slow: one block again


def test_what_is_void_is_dropped():
    batch = Batch(1024, 0.25)
    batch.add(bytes(64), 0.0)
    batch.clear(0)
    assert (batch.offset, batch.size_bytes) == (0, 0)
    batch.add(b"x", 0.0)
    assert batch.take(0.0) == b"x"
