"""Writes in blocks through the dispatcher: order, gaps, repeats, bounds, and peers apart (RFC 7959; SPEC 9.1)."""

import pytest

from lwm2m_fota.coap.block1 import Block1Receiver
from lwm2m_fota.coap.endpoint import Response
from lwm2m_fota.errors import IntegrityError, StorageFullError
from lwm2m_fota.lwm2m.places import TransferLimits
from lwm2m_fota.lwm2m.transfers import Transfer, TransferTable
from lwm2m_fota.machines.events import PackageReceived
from lwm2m_fota.model.paths import Path

TEXT, OPAQUE, TLV = 0, 42, 11542
CHANGED, CONTINUE = 0x44, 0x5F
BAD_REQUEST, NOT_ALLOWED, INCOMPLETE, TOO_LARGE, UNSUPPORTED = 0x80, 0x85, 0x88, 0x8D, 0x8F
IMAGE = bytes(range(256)) * 3  # 768 bytes


def options_of(response):
    return dict(response.options)


# -- streamed


@pytest.mark.parametrize("szx", range(7))
def test_a_package_in_blocks_of_every_size(device, szx):
    codes = device.blocks("/5/0/0", IMAGE, szx, content_format=OPAQUE)
    assert codes == [CONTINUE] * (len(codes) - 1) + [CHANGED]
    assert len(codes) == -(-768 // (16 << szx))
    assert (device.host.staged, device.get("/5/0/3").payload) == (IMAGE, b"2")


def test_the_state_is_downloading_from_the_first_block_on(device):
    device.put("/5/0/0", bytes(64), block1=0x0A)
    assert (device.get("/5/0/3").payload, device.get("/5/0/5").payload) == (b"1", b"0")


def test_the_announced_size_reaches_the_stage(device):
    device.put("/5/0/0", bytes(64), block1=0x0A, size1=200)
    assert [each.size_bytes for each in device.host.effects if hasattr(each, "size_bytes")] == [200]


def test_post_is_tolerated_in_blocks(device):
    assert device.blocks("/5/0/0", IMAGE[:100], 2, code=2) == [CONTINUE, CHANGED]
    assert device.host.staged == IMAGE[:100]


def test_the_device_asks_for_smaller_blocks_and_gets_them(make_device):
    device = make_device(max_szx=2)
    assert options_of(device.put("/5/0/0", IMAGE[:256], block1=0x0C))[27] == b"\x0a"
    codes = device.blocks("/5/0/0", IMAGE, 2, start=4)  # from offset 256 on, in blocks of 64
    assert codes[-1] == CHANGED
    assert device.host.staged == IMAGE


def test_a_gap_is_incomplete_and_the_peer_may_go_on_with_the_right_block(device):
    device.put("/5/0/0", IMAGE[:64], block1=0x0A)
    assert device.put("/5/0/0", IMAGE[128:192], block1=0x2A).code == INCOMPLETE
    assert device.host.staged == IMAGE[:64]
    assert device.blocks("/5/0/0", IMAGE[:256], 2, start=1) == [CONTINUE, CONTINUE, CHANGED]
    assert device.host.staged == IMAGE[:256]


def test_a_peer_may_begin_anew_after_a_gap(device):
    device.put("/5/0/0", IMAGE[:64], block1=0x0A)
    device.put("/5/0/0", IMAGE[128:192], block1=0x2A)
    assert device.blocks("/5/0/0", IMAGE[:100], 2) == [CONTINUE, CHANGED]
    assert device.host.staged == IMAGE[:100]


def test_a_block_of_no_body_is_incomplete(device):
    answer = device.put("/5/0/0", IMAGE[:64], block1=0x3A)
    assert (answer.code, 27 in options_of(answer), device.host.effects) == (INCOMPLETE, False, [])


def test_a_block_that_is_not_full_is_a_bad_request(device):
    assert device.put("/5/0/0", IMAGE[:63], block1=0x0A).code == BAD_REQUEST
    assert device.host.effects == []


def test_a_block_again_is_answered_again_and_stored_once(device):
    device.put("/5/0/0", IMAGE[:64], block1=0x0A)
    first = device.put("/5/0/0", IMAGE[64:128], block1=0x1A)
    assert device.put("/5/0/0", IMAGE[64:128], block1=0x1A) == first
    assert (first.code, options_of(first)) == (CONTINUE, {27: b"\x1a"})
    assert device.host.staged == IMAGE[:128]


def test_the_first_block_again_begins_anew(device):
    device.put("/5/0/0", IMAGE[:64], block1=0x0A)
    assert device.put("/5/0/0", IMAGE[:64], block1=0x0A).code == CONTINUE
    assert device.blocks("/5/0/0", IMAGE[:200], 2, start=1)[-1] == CHANGED
    assert device.host.staged == IMAGE[:200]


def test_the_final_block_again_gets_its_answer_and_nothing_is_done_twice(device):
    device.blocks("/5/0/0", IMAGE[:200], 2)
    effects = list(device.host.effects)
    again = device.put("/5/0/0", IMAGE[192:200], block1=0x32)
    assert (again.code, options_of(again)) == (CHANGED, {27: b"\x32"})
    assert device.host.effects == effects


def test_a_final_block_that_failed_gets_its_error_again(device):
    """4.08 would have the peer send the whole package once more."""
    device.put("/5/0/0", IMAGE[:64], block1=0x0A)
    device.host.failure = IntegrityError("the digest does not hold")
    first = device.put("/5/0/0", IMAGE[64:100], block1=0x12)
    assert (first.code, first.options, first.payload) == (BAD_REQUEST, (), b"the digest does not hold")
    assert device.put("/5/0/0", IMAGE[64:100], block1=0x12) == first


def test_another_final_block_is_no_repeat(device):
    device.blocks("/5/0/0", IMAGE[:200], 2)
    assert device.put("/5/0/0", b"else", block1=0x32).code == INCOMPLETE


def test_a_body_of_one_block(device):
    answer = device.put("/5/0/0", b"image", block1=0x06)
    assert (answer.code, options_of(answer), device.host.staged) == (CHANGED, {27: b"\x06"}, b"image")


def test_a_block_that_cannot_be_stored_ends_the_transfer(device):
    device.put("/5/0/0", IMAGE[:64], block1=0x0A)
    device.host.failure = StorageFullError("no room")
    answer = device.put("/5/0/0", IMAGE[64:128], block1=0x1A)
    assert (answer.code, answer.options) == (TOO_LARGE, ())
    assert device.put("/5/0/0", IMAGE[128:192], block1=0x2A).code == INCOMPLETE


def test_a_state_that_does_not_allow_it_refuses_the_first_block(device):
    device.put("/5/0/0", b"image")
    machine = device.host.firmware.machine
    assert device.put("/5/0/0", IMAGE[:64], block1=0x0A).code == NOT_ALLOWED
    assert device.put("/5/0/0", IMAGE[64:128], block1=0x1A).code == INCOMPLETE
    assert (device.host.firmware.machine, device.host.staged) == (machine, b"image")


@pytest.mark.parametrize("end", ["reset by uri", "reset by package", "cancel"])
def test_blocks_after_the_end_of_a_push_belong_to_nothing(device, end):
    device.put("/5/0/0", IMAGE[:64], block1=0x0A)
    answers = {
        "reset by uri": lambda: device.put("/5/0/1", b""),
        "reset by package": lambda: device.put("/5/0/0", b"\x00"),
        "cancel": lambda: device.post("/5/0/10"),
    }
    assert answers[end]().code == CHANGED
    assert device.put("/5/0/0", IMAGE[64:128], block1=0x1A).code == INCOMPLETE
    assert (device.host.staged, device.get("/5/0/3").payload) == (b"", b"0")


def test_blocks_after_the_package_is_complete_belong_to_nothing(device):
    device.put("/5/0/0", IMAGE[:64], block1=0x0A)
    device.host.report(PackageReceived())
    assert device.put("/5/0/0", IMAGE[64:128], block1=0x1A).code == INCOMPLETE


def test_too_large_by_announcement_and_by_its_blocks(make_device):
    device = make_device(max_streamed_bytes=100)
    answer = device.put("/5/0/0", IMAGE[:64], block1=0x0A, size1=101)
    assert (answer.code, options_of(answer), device.host.effects) == (TOO_LARGE, {60: b"\x64"}, [])
    assert device.blocks("/5/0/0", IMAGE[:128], 2) == [CONTINUE, TOO_LARGE]
    assert device.host.staged == IMAGE[:64]


# -- gathered


def test_a_value_is_gathered_and_written_once(device):
    uri = b"coap://host/" + b"x" * 100
    assert device.blocks("/5/0/1", uri, 1, content_format=TEXT) == [CONTINUE] * 3 + [CHANGED]
    assert device.get("/5/0/1").payload == uri
    assert device.put("/5/0/1", uri[96:], block1=0x31, content_format=TEXT).code == CHANGED
    assert [type(each).__name__ for each in device.host.effects].count("StartPull") == 1


def test_nothing_is_written_before_the_last_block(device):
    assert device.put("/5/0/1", b"coap://host/1234", block1=0x08).code == CONTINUE
    assert (device.host.effects, device.get("/5/0/3").payload) == ([], b"0")


def test_the_first_block_again_does_not_double_what_is_gathered(device):
    uri = b"coap://host/" + b"x" * 30
    device.put("/5/0/1", uri[:32], block1=0x09)
    device.put("/5/0/1", uri[:32], block1=0x09)
    assert device.put("/5/0/1", uri[32:], block1=0x11).code == CHANGED
    assert device.get("/5/0/1").payload == uri


def test_a_body_in_one_piece_takes_the_place_of_one_in_blocks(device):
    uri = b"coap://host/" + b"x" * 30
    device.put("/5/0/1", uri[:32], block1=0x09)
    device.put("/5/0/1", b"")
    assert device.put("/5/0/1", uri[32:], block1=0x11).code == INCOMPLETE
    assert device.get("/5/0/3").payload == b"0"


def test_an_instance_in_blocks_is_taken_whole_or_not_at_all(device):
    good = bytes.fromhex("c10b00" * 1 + "c40d00015180")
    assert device.blocks("/5/0", good * 1, 0, code=2, content_format=TLV) == [CHANGED]
    machine = device.host.firmware.machine
    bad = bytes.fromhex("c10b02") + bytes.fromhex("c80110") + b"coap://host/fw/x" + bytes.fromhex("c10300")
    assert device.blocks("/5/0", bad, 0, code=2, content_format=TLV) == [CONTINUE, NOT_ALLOWED]
    assert device.host.firmware.machine == machine


def test_a_gathered_body_that_cannot_be_read_gets_its_error_again(device):
    assert device.blocks("/1/0/1", b"9" * 20, 0) == [CONTINUE, BAD_REQUEST]
    assert device.put("/1/0/1", b"9999", block1=0x10).code == BAD_REQUEST
    assert device.lifetime == 60


def test_a_gathered_body_has_a_bound(make_device):
    device = make_device(max_body_bytes=40)
    answer = device.put("/5/0/1", b"x" * 16, block1=0x08, size1=41)
    assert (answer.code, options_of(answer)) == (TOO_LARGE, {60: b"\x28"})
    assert device.blocks("/5/0/1", b"x" * 48, 0) == [CONTINUE, CONTINUE, TOO_LARGE]
    assert len(device.dispatcher._transfers) == 1


def test_what_cannot_be_written_is_refused_at_the_first_block(device):
    assert device.put("/5/0/6", b"x" * 16, block1=0x08).code == NOT_ALLOWED
    assert len(device.dispatcher._transfers) == 0


@pytest.mark.parametrize(
    "second", [{"content_format": TLV}, {"content_format": OPAQUE}, {"code": 2}, {"content_format": TEXT}]
)
def test_a_block_of_another_kind_belongs_to_another_body(device, second):
    path = "/5/0/0"
    device.ask(3, path, bytes(16), block1=0x08)
    more = {"code": 3, "path": path, "payload": bytes(16), "block1": 0x18} | second
    assert device.ask(more.pop("code"), more.pop("path"), more.pop("payload"), **more).code == INCOMPLETE
    assert device.put(path, bytes(16), block1=0x18).code == CONTINUE
    assert device.host.staged == bytes(32)


def test_a_package_in_text_is_gathered(device):
    body = b"AAEC" * 8
    assert device.blocks("/5/0/0", body, 0, content_format=TEXT) == [CONTINUE, CHANGED]
    assert device.host.staged == b"\x00\x01\x02" * 8


# -- several peers


def test_values_of_two_peers_do_not_mix(device):
    device.put("/1/0/7", b"a" * 16, block1=0x08, peer="one")
    device.put("/1/0/7", b"b" * 16, block1=0x08, peer="two")
    seen = []
    device.account.writers[7] = seen.append
    device.put("/1/0/7", b"a", block1=0x10, peer="one")
    device.put("/1/0/7", b"b", block1=0x10, peer="two")
    assert seen == ["a" * 17, "b" * 17]


def test_a_push_that_another_peer_begins_anew_gets_no_blocks_of_the_first(device):
    device.put("/5/0/0", IMAGE[:64], block1=0x0A, peer="one")
    device.put("/1/0/1", b"1" * 16, block1=0x08, peer="one")
    assert device.put("/5/0/0", bytes(64), block1=0x0A, peer="two").code == CONTINUE
    assert device.put("/5/0/0", IMAGE[64:128], block1=0x1A, peer="one").code == INCOMPLETE
    assert device.put("/5/0/0", bytes(64), block1=0x1A, peer="two").code == CONTINUE
    assert device.host.staged == bytes(128)
    assert device.put("/1/0/1", b"1" * 16, block1=0x18, peer="one").code == CONTINUE


def test_a_push_that_is_refused_leaves_that_of_another_peer(make_device):
    device = make_device(max_streamed_bytes=1000)
    device.put("/5/0/0", IMAGE[:64], block1=0x0A, peer="one")
    assert device.put("/5/0/0", bytes(64), block1=0x0A, size1=1001, peer="two").code == TOO_LARGE
    assert device.put("/5/0/0", bytes(64), block1=0x1A, peer="two").code == INCOMPLETE
    assert device.put("/5/0/0", IMAGE[64:128], block1=0x1A, peer="one").code == CONTINUE
    assert device.host.staged == IMAGE[:128]


UNAVAILABLE = 0xA3
MAX_AGE = 14


def begin(device, path, peer):
    return device.put(path, b"1" * 16, block1=0x08, peer=peer)


def test_transfers_are_bounded_and_one_more_is_told_when_to_come_back(make_device):
    device = make_device(transfers=TransferLimits(in_all=2, idle_s=30.0))
    assert begin(device, "/1/0/7", "one").code == CONTINUE
    device.now = 10.5
    assert begin(device, "/1/0/7", "two").code == CONTINUE
    answer = begin(device, "/1/0/7", "three")
    assert (answer.code, options_of(answer)) == (UNAVAILABLE, {MAX_AGE: b"\x14"})  # 30 - 10.5, in whole seconds
    device.now = 20.0
    assert device.put("/1/0/7", b"1" * 16, block1=0x18, peer="one").code == CONTINUE  # those that run go on
    device.now = 40.5
    assert begin(device, "/1/0/7", "three").code == CONTINUE  # in place of that of "two", of whom nothing was heard
    assert device.put("/1/0/7", b"1", block1=0x10, peer="two").code == INCOMPLETE
    assert begin(device, "/1/0/7", "two").code == UNAVAILABLE
    assert device.put("/1/0/7", b"1", block1=0x20, peer="one").code == CHANGED
    assert begin(device, "/1/0/7", "two").code == CONTINUE  # in place of one that has ended


def test_transfers_of_one_peer_are_bounded(make_device):
    device = make_device(transfers=TransferLimits(in_all=8, per_peer=1))
    assert begin(device, "/1/0/7", "one").code == CONTINUE
    assert begin(device, "/1/0/1", "one").code == UNAVAILABLE
    assert begin(device, "/1/0/1", "two").code == CONTINUE
    assert begin(device, "/1/0/7", "one").code == CONTINUE  # it may begin anew


def test_a_streamed_body_is_refused_before_a_byte_of_it_is_stored(make_device):
    device = make_device(transfers=TransferLimits(in_all=1))
    assert begin(device, "/1/0/7", "one").code == CONTINUE
    assert device.put("/5/0/0", bytes(64), block1=0x0A, peer="two").code == UNAVAILABLE
    assert (device.host.staged, device.get("/5/0/3").payload) == (b"", b"0")


def test_what_is_gathered_in_all_is_bounded(make_device):
    device = make_device(gathered_bytes=40)
    assert begin(device, "/1/0/7", "one").code == CONTINUE
    assert begin(device, "/1/0/7", "two").code == CONTINUE
    answer = device.put("/1/0/7", b"1" * 16, block1=0x18, peer="two")
    assert (answer.code, options_of(answer)) == (UNAVAILABLE, {MAX_AGE: b"\x01"})
    assert device.put("/1/0/7", b"1" * 16, block1=0x18, peer="two").code == INCOMPLETE  # it has to begin anew
    assert device.put("/1/0/7", b"1" * 16, block1=0x18, peer="one").code == CONTINUE
    assert device.put("/1/0/7", b"1", block1=0x20, peer="one").code == CHANGED
    assert begin(device, "/1/0/7", "two").code == CONTINUE  # there is room again


# -- the table by itself

A, B = Path.of(1, 0, 1), Path.of(1, 0, 7)


def transfer():
    return Transfer(Block1Receiver(100), (3, None), streamed=False)


def test_an_ended_transfer_gives_way_first():
    table = TransferTable(TransferLimits(in_all=2), 100)
    running, ended, new = transfer(), transfer(), transfer()
    table.heard("p", A, running, 0.0)
    table.heard("q", A, ended, 0.0)
    table.gather(ended, b"body")
    table.end("q", A, ended, Response(CHANGED))
    assert (table.get("q", A), bytes(ended.body), ended.answer) == (ended, b"", Response(CHANGED))
    table.heard("r", A, new, 0.0)
    assert (table.get("p", A), table.get("q", A), table.get("r", A)) == (running, None, new)


def test_a_transfer_in_place_of_its_own_pushes_no_other_out():
    table = TransferTable(TransferLimits(in_all=2), 100)
    other, first, second = transfer(), transfer(), transfer()
    table.heard("p", A, other, 0.0)
    table.heard("q", A, first, 0.0)
    table.heard("q", A, second, 0.0)
    assert (table.get("p", A), table.get("q", A), len(table)) == (other, second, 2)


def test_drop():
    table = TransferTable(TransferLimits(in_all=4), 100)
    for peer, path in (("p", A), ("q", A), ("p", B)):
        table.heard(peer, path, transfer(), 0.0)
    table.drop_others("p", A)
    assert [table.get(*key) is None for key in (("p", A), ("q", A), ("p", B))] == [False, True, False]
    table.drop("p", B)
    table.drop("p", B)
    assert len(table) == 1
