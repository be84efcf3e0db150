"""An upload by sets of blocks, message by message (RFC 9177 sections 4.3 and 7.2)."""

import pytest

from lwm2m_fota.coap.block import Block, pack_block
from lwm2m_fota.coap.endpoint import EndpointLimits, FailureReason, Request
from lwm2m_fota.coap.events import BlockWanted, BodyRestarted, CallFailed, ResponseReceived
from lwm2m_fota.coap.message import Message, decode, encode, sort_options
from lwm2m_fota.coap.missing import ListForm
from lwm2m_fota.coap.params import TransmissionParameters
from lwm2m_fota.coap.qblock import QBlock, QTimers
from lwm2m_fota.coap.qpushing import LATE_BURSTS
from lwm2m_fota.errors import BlockwiseError, UsageError

FIRMWARE = ((11, b"5"), (11, b"0"), (11, b"0"))
BODY = bytes(range(256)) * 2 + b"end"  # 33 blocks of 16, the last one of 3
Q = QBlock(max_payloads=4, ahead_bytes=0)
TAG = "0102030405060708"


class Pusher:
    """An endpoint that pushes, and what it has sent; the answers are made by hand."""

    def __init__(self, coap, *tokens, parameters=None, **limits):
        limits = {"token_bytes": 3, **limits}
        self.endpoint = coap.make(TAG, *(tokens or ("a00000",)), limits=EndpointLimits(**limits), parameters=parameters)
        self.now = 0.0
        self.events = []
        self.acknowledged = []
        self.wanted = []
        self.supplying = True
        self.mid = 1000
        self.messages = []

    def begin(self, q=Q, body=BODY, streamed=True, **fields):
        self.body = body
        how = {"source_bytes": len(body)} if streamed else {"payload": body}
        fields = {"szx": 0, "q_block": q, **how, **fields}
        self.call = self.endpoint.request("peer", Request(3, FIRMWARE, **fields), self.now)
        self.act()
        return self.sent()

    def act(self):
        while events := self.endpoint.take_events():
            for event in events:
                if isinstance(event, BlockWanted):
                    self.wanted.append((event.offset, event.length))
                    self.acknowledged.append(event.acknowledged)
                    if self.supplying:
                        self.supply()
                else:
                    self.events.append(event)

    def supply(self):
        offset, length = self.wanted[-1]
        self.endpoint.supply(self.call, self.body[offset : offset + length], self.now)

    def sent(self):
        messages = [decode(data) for data, _ in self.endpoint.take_datagrams()]
        self.messages += messages
        return messages

    def hear(self, code, *options, payload=b"", token=None, mid=None, kind=1):
        """An answer under the token of the last block, and what it leads to."""
        self.mid += 1
        token = self.messages[-1].token if token is None else token
        message = Message(kind, code, self.mid if mid is None else mid, token, sort_options(options), payload)
        self.endpoint.receive(encode(message), "peer", self.now)
        self.act()
        return self.sent()

    def go_on(self, num=None, **fields):
        return self.hear(0x5F, *(() if num is None else ((19, pack_block(num, True, 0)),)), **fields)

    def miss(self, *numbers, **fields):
        return self.hear(0x88, (12, b"\x01\x10"), payload=bytes(numbers), **fields)

    def pass_time(self, until):
        self.now = until
        self.endpoint.handle_timeout(until)
        self.act()
        return self.sent()

    def deadline(self):
        return self.endpoint.next_deadline()

    def state(self):
        return self.endpoint._messages.peers.get("peer")

    def end(self):
        (event,) = [event for event in self.events if not isinstance(event, BodyRestarted)]
        return event


@pytest.fixture
def pusher(coap):
    return Pusher(coap)


def blocks(messages):
    return [Block.decode(message.first(19)).num for message in messages]


def check(messages, body=BODY):
    """Every message is a block as it must be."""
    for message in messages:
        block = Block.decode(message.first(19))
        assert (message.type, message.code, block.szx) == (1, 3, 0)
        assert message.payload == body[block.num * 16 : (block.num + 1) * 16]
        assert block.more == ((block.num + 1) * 16 < len(body))
        assert [number for number, _ in message.options] == [11, 11, 11, 19, 60, 292]
        assert message.uint(60) == len(body)
        assert message.first(292) == bytes.fromhex(TAG)
    return blocks(messages)


# -- what goes out


def test_v13_a_block_as_the_vector_has_it(coap):
    endpoint = coap.make("01", "d0", mid=0x30)
    endpoint.request("peer", Request(3, (*FIRMWARE, (12, b"\x2a")), payload=bytes(40), szx=0, q_block=Q), 0.0)
    first, *_ = coap.sent(endpoint)
    assert first == "51030030d0b13501300130112a7108d11c28d1db01ff" + "00" * 16


def test_a_set_goes_out_at_once_and_the_next_one_when_the_peer_has_it(pusher):
    assert check(pusher.begin()) == [0, 1, 2, 3]
    for begin in range(4, 32, 4):
        assert check(pusher.go_on(begin - 1)) == list(range(begin, begin + 4))
    assert check(pusher.go_on(31)) == [32]
    assert pusher.hear(0x44) == []
    assert isinstance(pusher.end(), ResponseReceived)
    assert pusher.end().message.code == 0x44
    assert pusher.wanted == [*((at, 64) for at in range(0, 512, 64)), (512, 3)]
    assert pusher.acknowledged == list(range(0, 576, 64))
    assert not pusher.state().tokens
    assert pusher.state().asking is None


def test_every_message_has_a_token_of_its_own(pusher):
    pusher.begin()
    pusher.go_on(3)
    assert [message.token for message in pusher.messages] == [bytes((0xA0, 0, at)) for at in range(8)]
    assert [message.mid for message in pusher.messages] == list(range(1, 9))


def test_tokens_of_others_are_left_out(pusher):
    pusher.begin()
    pusher.state().tokens[b"\xa0\x00\x05"] = None
    pusher.go_on(3)
    assert [message.token[2] for message in pusher.messages[4:]] == [4, 6, 7, 8]
    del pusher.state().tokens[b"\xa0\x00\x05"]


def test_a_body_in_hand_is_sent_as_well(pusher):
    assert check(pusher.begin(streamed=False)) == [0, 1, 2, 3]
    assert check(pusher.go_on(3)) == [4, 5, 6, 7]
    assert pusher.wanted == []


def test_continue_without_a_number_is_for_what_was_sent(pusher):
    pusher.begin()
    assert blocks(pusher.go_on()) == [4, 5, 6, 7]


def test_continue_after_the_last_block_leaves_the_answer_to_be_waited_for(pusher):
    pusher.begin(body=BODY[:60])
    pusher.now = 1.0
    assert pusher.go_on(3) == []
    assert pusher.pass_time(4.9) == []
    assert blocks(pusher.pass_time(5.0)) == [3]


def test_a_body_of_one_block_goes_as_any_request_does(pusher):
    (message,) = pusher.begin(body=b"small", streamed=False)
    assert (message.type, message.options, message.payload) == (0, FIRMWARE, b"small")


def test_an_observation_is_no_transfer(pusher):
    with pytest.raises(UsageError):
        pusher.endpoint.request("peer", Request(1, FIRMWARE, observe=True, q_block=Q), 0.0)


def test_with_tokens_that_are_too_short_the_body_goes_with_block1(coap):
    pusher = Pusher(coap, "a1", token_bytes=2)
    (message,) = pusher.begin()
    assert (message.type, message.first(27)) == (0, b"\x08")


def test_a_peer_that_is_known_not_to_understand_sets_gets_none(coap):
    pusher = Pusher(coap)
    pusher.begin()
    pusher.hear(0x82)
    pusher.endpoint.cancel(pusher.call, 0.0)
    (message,) = pusher.begin()
    assert (message.type, message.first(27), message.first(19)) == (0, b"\x08", None)


def test_without_free_message_ids_it_is_as_if_the_set_were_lost(pusher, monkeypatch):
    pusher.begin()
    with monkeypatch.context() as patch:
        patch.setattr(type(pusher.state().ids), "take_run", lambda *_: None)
        assert pusher.go_on(3) == []
    assert blocks(pusher.pass_time(2.5)) == [8, 9, 10, 11]
    assert blocks(pusher.miss(4, 5, 6, 7)) == [4, 5, 6, 7]


def test_the_final_answer_may_have_a_body(pusher):
    pusher.begin(body=BODY[:20])
    pusher.hear(0x44, payload=b"thanks")
    assert pusher.end().message.payload == b"thanks"


def test_several_sets_are_read_at_a_time_where_the_peer_takes_them_fast(pusher):
    pusher.begin(QBlock(max_payloads=4, ahead_bytes=256))
    for num in range(3, 33, 4):
        pusher.go_on(num)
    assert pusher.wanted == [(0, 64), (64, 128), (192, 256), (448, 67)]
    assert pusher.acknowledged == [0, 64, 192, 448]
    assert check(pusher.miss(1)) == [1]
    assert pusher.wanted[4:] == [(16, 16)]


# -- the pause between two sets


def test_the_next_set_follows_after_a_pause_a_few_times(pusher):
    pusher.begin(QBlock(max_payloads=4, unheard_sets=2))
    assert pusher.deadline() == 2.5  # 2 s times 1.25, the middle of 1 to 1.5
    assert pusher.pass_time(2.4) == []
    assert blocks(pusher.pass_time(2.5)) == [4, 5, 6, 7]
    assert blocks(pusher.pass_time(5.0)) == [8, 9, 10, 11]
    assert pusher.pass_time(7.5) == []
    assert blocks(pusher.pass_time(9.0)) == [11]  # NON_RECEIVE_TIMEOUT: does anybody hear?
    assert blocks(pusher.go_on(11)) == [12, 13, 14, 15]
    assert blocks(pusher.pass_time(11.5)) == [16, 17, 18, 19]


def test_measured_pauses_follow_the_peer(pusher):
    pusher.begin(QBlock(max_payloads=4, timers=QTimers.MEASURED))
    pusher.now = 0.1
    pusher.go_on(3)  # 0.1 s, and four times a deviation of half of it, times 1.25
    assert pusher.deadline() == pytest.approx(0.1 + 0.375)
    assert blocks(pusher.pass_time(0.5)) == [8, 9, 10, 11]
    pusher.now = 2.4
    assert blocks(pusher.go_on(11)) == [12, 13, 14, 15]
    assert pusher.pass_time(2.5) == []  # when the first pause would have ended


@pytest.mark.parametrize("answer", [Message(2, 0x44, 0, b""), Message(2, 0, 0, b"")], ids=["answer", "empty"])
@pytest.mark.parametrize(("again_at", "pause_s"), [(None, 0.375), (2.5, 2.5)], ids=["once", "repeated"])
def test_measured_pauses_begin_with_what_was_measured_before(pusher, answer, again_at, pause_s):
    """By a confirmable message; but which of two copies was acknowledged is not known."""
    pusher.endpoint.request("peer", Request(3, FIRMWARE), 0.0)
    (asked,) = pusher.sent()
    if again_at is not None:
        assert len(pusher.pass_time(again_at)) == 1
    pusher.now = begin = (again_at or 0.0) + 0.1
    token = asked.token if answer.code else b""
    pusher.endpoint.receive(encode(answer._replace(mid=asked.mid, token=token)), "peer", begin)
    pusher.endpoint.take_events()
    assert blocks(pusher.begin(QBlock(max_payloads=4, timers=QTimers.MEASURED))) == [0, 1, 2, 3]
    assert pusher.pass_time(begin + pause_s - 0.01) == []
    assert blocks(pusher.pass_time(begin + pause_s + 0.01)) == [4, 5, 6, 7]


def test_the_pause_is_no_reason_to_ask_a_caller_at_work_again(pusher):
    pusher.supplying = False
    assert pusher.begin() == []
    assert pusher.pass_time(3.0) == []
    assert pusher.go_on(token=b"\xa0\x00\x00") == []  # there is no such token yet
    pusher.supply()
    assert blocks(pusher.sent()) == [0, 1, 2, 3]
    assert pusher.go_on(3) == []
    assert pusher.miss(1) == []  # it is not forgotten
    assert pusher.pass_time(5.5) == []
    pusher.supply()
    assert blocks(pusher.sent()) == [4, 5, 6, 7]
    assert pusher.wanted == [(0, 64), (64, 64)]
    pusher.supplying = True
    assert blocks(pusher.miss(1)) == [1]


# -- what is missing


def test_v15_blocks_that_the_peer_misses_go_out_again(coap):
    pusher = Pusher(coap, "d0")
    pusher.begin(QBlock(max_payloads=10))
    assert pusher.messages[-1].token == b"\xd9"
    pusher.endpoint.receive(bytes.fromhex("51880031d9c20110ff020507"), "peer", 0.0)
    pusher.act()
    assert check(pusher.sent()) == [2, 5, 7]
    assert pusher.wanted == [(0, 160)]  # they are still at hand


def test_blocks_that_are_not_at_hand_are_read_again(pusher):
    pusher.begin(QBlock(max_payloads=10))
    pusher.go_on(9)
    assert check(pusher.miss(2, 3, 4, 9)) == [2, 3, 4, 9]
    assert pusher.wanted[2:] == [(32, 48), (144, 16)]


def test_a_list_puts_the_next_set_off(pusher):
    pusher.begin()
    pusher.now = 2.0
    assert blocks(pusher.miss(1)) == [1]
    assert pusher.pass_time(4.4) == []
    assert blocks(pusher.pass_time(4.5)) == [4, 5, 6, 7]


def test_no_more_than_a_set_goes_out_again_at_a_time(pusher):
    pusher.begin()
    pusher.go_on(3)
    pusher.go_on(7)
    assert blocks(pusher.miss(*range(12))) == [0, 1, 2, 3]


def test_the_same_list_once_more_is_no_sign_of_progress(pusher):
    pusher.begin(body=BODY[:64])
    assert blocks(pusher.miss(1)) == [1]
    assert pusher.deadline() == 4.0
    pusher.now = 3.0
    assert blocks(pusher.miss(1)) == [1]
    assert blocks(pusher.pass_time(7.0)) == [3]


def test_blocks_that_were_not_sent_yet_are_not_missing(pusher):
    pusher.begin()
    assert blocks(pusher.miss(4, 5, 6, 7)) == [4, 5, 6, 7]  # it has everything before them: that is "Continue"
    assert blocks(pusher.miss(7, 8)) == [7]


def test_a_list_that_is_none_is_dropped(pusher):
    pusher.begin()
    assert pusher.miss() == []
    assert pusher.miss(3, 2) == []
    assert blocks(pusher.go_on(3)) == [4, 5, 6, 7]


@pytest.mark.parametrize(("form", "again"), [(ListForm.LENIENT, [1]), (ListForm.STRICT, [])])
def test_a_list_that_other_libraries_write_is_read_by_policy(pusher, form, again):
    pusher.begin(QBlock(max_payloads=4, lists=form))
    assert blocks(pusher.miss(1, 0x1A, 1, 0, 0)) == again  # 65536 with three bytes behind its head, where four belong


def test_a_copy_of_an_answer_is_heard_once(pusher):
    pusher.begin()
    token = pusher.messages[-1].token
    assert blocks(pusher.miss(1, mid=5, token=token)) == [1]
    assert pusher.miss(1, mid=5, token=token) == []


def test_answers_under_the_token_of_any_block_count_unless_newer_ones_came(pusher):
    pusher.begin()
    first = pusher.messages[0].token
    assert blocks(pusher.go_on(3, token=first)) == [4, 5, 6, 7]
    assert blocks(pusher.miss(5, token=first)) == [5]
    assert blocks(pusher.miss(6)) == [6]
    assert pusher.miss(7, token=first) == []


def test_only_so_many_tokens_are_remembered(coap):
    pusher = Pusher(coap)
    pusher.begin(QBlock(max_payloads=1), body=bytes(16 * 40))
    first = pusher.messages[0].token
    for num in range(LATE_BURSTS):
        assert len(pusher.go_on(num, token=first)) == 1
    assert len(pusher.state().tokens) == 32
    assert pusher.go_on(32, token=first) == []
    assert len(pusher.go_on(32)) == 1


# -- silence


def test_when_all_is_sent_and_nothing_is_heard_the_last_block_goes_out_again(pusher):
    pusher.begin(body=BODY[:60])
    at = 0.0
    for wait_s in (4.0, 8.0, 16.0, 32.0):
        assert pusher.pass_time(at + wait_s - 0.1) == []
        at += wait_s
        assert check(pusher.pass_time(at), BODY[:60]) == [3]
    assert pusher.pass_time(123.9) == []
    assert pusher.pass_time(124.0) == []
    end = pusher.end()
    assert (type(end), end.reason) == (CallFailed, FailureReason.TIMEOUT)
    assert not pusher.state().tokens


def test_after_a_sign_the_wait_begins_anew(pusher):
    pusher.begin(body=BODY[:60])
    pusher.pass_time(4.0)
    pusher.now = 5.0
    assert blocks(pusher.miss(0)) == [0]
    assert pusher.pass_time(8.9) == []
    assert blocks(pusher.pass_time(9.0)) == [3]


def test_a_peer_that_answered_nothing_is_left_in_peace_by_probing_rate(coap):
    parameters = TransmissionParameters(probing_rate_bytes_per_s=10.0)
    pusher = Pusher(coap, parameters=parameters)
    sent = pusher.begin(body=BODY[:60])
    for at in (4.0, 12.0, 28.0, 60.0):
        sent += pusher.pass_time(at)
    pusher.pass_time(124.0)
    quiet_s = sum(len(encode(message)) for message in sent) / 10
    pusher.now = 124.0 + quiet_s - 0.1
    (message,) = pusher.begin(body=BODY[:60])
    assert (message.type, message.first(27)) == (0, b"\x08")  # Block1, which waits for each answer
    pusher.now = 124.0 + quiet_s
    assert {message.type for message in pusher.begin(body=BODY[:60])} == {1}


def test_the_wait_for_the_next_body_is_bounded_by_non_probing_wait(pusher):
    pusher.begin()
    for at in (2.5, 5.0, 7.5, 11.5, 19.5, 35.5, 67.5, 131.5, 200.0):
        pusher.pass_time(at)
    assert isinstance(pusher.end(), CallFailed)
    assert pusher.state().probing_until == 131.5 + 247.5  # 2 * 15 * 1.5 + 200 + 2.5


def test_a_peer_that_was_heard_may_be_sent_to_at_once(pusher):
    pusher.begin(body=BODY[:60])
    pusher.miss(1)
    for at in (4.0, 12.0, 28.0, 60.0, 124.0):
        pusher.pass_time(at)
    assert isinstance(pusher.end(), CallFailed)
    assert pusher.state().probing_until == 0.0


# -- other answers


def test_the_whole_cannot_be_taken_before_it_was_sent(pusher):
    pusher.begin()
    pusher.hear(0x44)
    assert (pusher.end().reason, pusher.end().call) == (FailureReason.PROTOCOL, pusher.call)


def test_continue_for_what_is_no_block_ends_the_call(pusher):
    pusher.begin()
    pusher.hear(0x5F, (19, bytes(4)))
    assert pusher.end().reason is FailureReason.PROTOCOL
    assert isinstance(pusher.end().error, BlockwiseError)


@pytest.mark.parametrize("num", [0, 2, 9])
def test_continue_for_blocks_behind_or_ahead(pusher, num):
    pusher.begin()
    pusher.go_on(3)
    assert pusher.go_on(num) == []


def test_a_refusal_is_the_answer(pusher):
    pusher.begin()
    assert pusher.hear(0x84) == []
    assert pusher.end().message.code == 0x84


def test_an_incomplete_body_without_a_list_begins_anew_under_another_tag(coap):
    pusher = Pusher(coap, "a00000", "0807060504030201", "b00000")
    pusher.begin()
    pusher.go_on(3)
    again = pusher.hear(0x88, payload=b"what body?")
    assert [event.reason for event in pusher.events] == ["the peer lost the beginning"]
    assert blocks(again) == [0, 1, 2, 3]
    assert {message.first(292).hex() for message in again} == {"0807060504030201"}
    assert {message.token[0] for message in again} == {0xB0}


def test_a_body_that_is_lost_again_and_again_ends_the_call(coap):
    pusher = Pusher(coap, "a00000", *(["08"] * 20), body_restarts=2, token_bytes=3)
    pusher.begin(streamed=False)
    pusher.hear(0x88)
    pusher.hear(0x88)
    assert pusher.events == []
    pusher.hear(0x88)
    assert pusher.end().message.code == 0x88


def test_a_peer_that_asks_for_smaller_blocks_gets_them_from_the_beginning(pusher):
    pusher.begin(szx=1)
    again = pusher.hear(0x8D, (19, pack_block(0, True, 0)))
    assert [event.reason for event in pusher.events] == ["the peer asks for smaller blocks"]
    assert blocks(again) == [0, 1, 2, 3]
    assert {len(message.payload) for message in again} == {16}


# -- the way back


def test_a_peer_that_refuses_the_option_gets_the_body_with_block1(pusher):
    pusher.begin()
    pusher.go_on(3)
    (message,) = pusher.hear(0x82)
    assert (message.type, message.first(27), message.first(19), message.first(292)) == (0, b"\x08", None, None)
    assert message.payload == BODY[:16]
    assert [event.reason for event in pusher.events] == ["the peer does not know Q-Block1"]
    assert pusher.endpoint.knows_q_block("peer") is False


def test_a_peer_that_resets_a_block_gets_the_body_with_block1(pusher, coap):
    first, *_ = pusher.begin()
    coap.feed(pusher.endpoint, "7000" + (first.mid - 1).to_bytes(2, "big").hex())
    assert pusher.sent() == []
    for message in pusher.messages[:4]:  # it resets each of them
        pusher.endpoint.receive(b"\x70\x00" + message.mid.to_bytes(2, "big"), "peer", 0.0)
        pusher.act()
    (message,) = pusher.sent()
    assert (message.type, message.first(27)) == (0, b"\x08")


def test_a_call_that_is_cancelled_sends_nothing_more(pusher):
    pusher.begin()
    pusher.endpoint.cancel(pusher.call, 0.0)
    assert pusher.go_on(3) == []
    for at in (2.5, 5.0, 100.0):
        assert pusher.pass_time(at) == []
    assert not pusher.state().tokens


def test_an_unreachable_peer_ends_the_call_if_the_limits_say_so(coap):
    pusher = Pusher(coap, fail_on_unreachable=True)
    pusher.begin()
    pusher.endpoint.unreachable("peer", 0.0)
    pusher.act()
    assert pusher.end().reason is FailureReason.UNREACHABLE


def test_an_acknowledgement_of_nothing_is_nothing(pusher, coap):
    first, *_ = pusher.begin()
    assert coap.feed(pusher.endpoint, "6000" + first.mid.to_bytes(2, "big").hex()) == []
    assert blocks(pusher.go_on(3)) == [4, 5, 6, 7]
