"""A connection with messages in a stream: what both ends say of it, byte by byte (RFC 8323 sections 3 to 5)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_fota.coap.stream import StreamConnection, StreamLimits
from lwm2m_fota.coap.stream_frames import Rooms
from lwm2m_fota.coap.stream_signals import Capabilities
from lwm2m_fota.errors import UsageError

OURS = "50e123010200" + "20"  # 7.01: Max-Message-Size 66048 = 0x010200, Block-Wise-Transfer
THEIRS = "40e122090020"  # 7.01: 2304 bytes, block-wise
SMALL = "30e122090" + "0"  # 7.01: 2304 bytes
GET = "210142b135"  # 0.01, token 42, Uri-Path 5: length 2
GET_DATAGRAM = "5101000042b135"


def connection(initiator=False, **limits):
    return StreamConnection(StreamLimits(**limits), initiator=initiator, now=0.0)


def said(end):
    return b"".join(end.take_output()).hex()


def feed(end, *hexes, now=1.0):
    return [message.hex() for data in hexes for message in end.feed(bytes.fromhex(data), now)]


def ready(**limits):
    end = connection(**limits)
    assert feed(end, THEIRS, now=0.0) == []
    assert said(end) == OURS
    return end


# -- greeting


def test_the_initiator_speaks_first_and_waits_for_nobody():
    end = connection(initiator=True)
    assert said(end) == OURS
    end.send(bytes.fromhex(GET_DATAGRAM))
    assert said(end) == GET
    assert feed(end, THEIRS) == []
    assert said(end) == ""
    assert end.is_ready


def test_the_acceptor_answers_the_first_bytes():
    end = connection()
    assert said(end) == ""
    feed(end, THEIRS[:2])
    assert (said(end), end.is_ready) == (OURS, False)
    feed(end, THEIRS[2:])
    assert (said(end), end.is_ready) == ("", True)


def test_an_end_can_take_what_it_says_and_before_that_the_least():
    end = connection()
    assert end.capabilities == Capabilities(1152, block_wise=False)
    feed(end, SMALL)
    assert end.capabilities == Capabilities(2304, block_wise=False)
    feed(end, "00e1")  # nothing new
    assert end.capabilities == Capabilities(2304, block_wise=False)
    feed(end, "10e140")
    assert end.capabilities == Capabilities(2304, block_wise=True)
    feed(end, "30e1220480")  # 1152 again: no BERT any more
    assert (end.capabilities, end.capabilities.units) == (Capabilities(1152, block_wise=True), 1)


@pytest.mark.parametrize(
    ("size", "block_wise", "units"),
    [
        (1152, True, 1),
        (1153, True, 1),
        (2303, True, 1),
        (2304, True, 2),
        (2304, False, 1),
        (8 * 1024 + 256, True, 8),
        (66048, True, 64),
        (512 * 1024 + 255, True, 511),
        (512 * 1024 + 256, True, 512),
        (1 << 31, True, 512),
        (0, True, 1),
    ],
)
def test_how_many_units_a_message_may_carry(size, block_wise, units):
    assert Capabilities(size, block_wise).units == units


@pytest.mark.parametrize(("csm", "takes"), [("20e1213f", False), ("20e12140", True), ("10e120", False)])
def test_an_end_that_takes_next_to_nothing_is_not_spoken_to(csm, takes):
    end = connection()
    feed(end, csm)  # Max-Message-Size 63, 64 and 0
    assert end.has_ended() is not takes
    assert takes or "Max-Message-Size is at least 64 here" in end.over


@pytest.mark.parametrize("first", [GET, "0000", "01e242", "00e3", "00e4", "00e5", "00e6", "00ff"])
def test_what_comes_before_the_csm_ends_the_connection(first):
    end = connection()
    assert feed(end, first) == []
    assert "CSM" in end.over
    assert said(end).startswith(OURS + "d0")  # an Abort with its reason
    assert bytes.fromhex(said(end)) == b""
    assert feed(end, THEIRS) == []


def test_an_option_of_the_csm_that_has_to_be_understood_ends_the_connection_and_is_named():
    end = connection()
    feed(end, "10e130")  # option 3
    assert end.over is not None
    assert "e5" in said(end)[len(OURS) :][:8]
    end = connection()
    feed(end, "10e130")
    assert bytes.fromhex("2103") in bytes.fromhex(said(end))  # Bad-CSM-Option: 3


def test_options_of_the_csm_that_need_not_be_understood_are_ignored():
    end = connection()
    feed(end, "10e160")  # option 6
    assert (end.over, end.is_ready) == (None, True)


@pytest.mark.parametrize("csm", ["60e1250000000001", "20e12f" + "00", "10e1f0"])
def test_a_csm_that_cannot_be_read_ends_the_connection(csm):
    end = connection()
    feed(end, csm)
    assert end.over is not None
    assert not end.is_ready


# -- messages


def test_messages_go_up_and_signals_do_not():
    end = ready()
    assert feed(end, GET + "01e242" + GET, "0000", GET) == [GET_DATAGRAM] * 3
    assert said(end) == "01e342"  # the Pong, with the token of the Ping


@pytest.mark.parametrize("cut", range(len(bytes.fromhex(THEIRS + GET + "01e242" + GET))))
def test_a_stream_that_is_cut_at_any_byte_loses_nothing(cut):
    stream = bytes.fromhex(THEIRS + GET + "01e242" + GET)
    end = connection()
    found = [*end.feed(stream[:cut], 1.0), *end.feed(stream[cut:], 2.0)]
    assert [message.hex() for message in found] == [GET_DATAGRAM] * 2
    assert said(end) == OURS + "01e342"


def test_what_came_before_the_end_goes_up():
    end = ready()
    assert feed(end, GET + "00e4" + GET) == [GET_DATAGRAM]
    assert end.over == "the other end has released the connection"
    assert feed(end, GET) == []


@pytest.mark.parametrize(
    ("signal", "words"),
    [
        ("00e4", "released"),
        ("40e4" + "ff" + b"bye".hex(), "released"),
        ("00e5", "does not say why"),
        ("40e5" + "ff" + b"bye".hex(), "aborted the connection: bye"),
        ("20e5" + "ff" + "80", "aborted the connection: \ufffd"),
    ],
)
def test_the_other_end_may_end_it(signal, words):
    end = ready()
    feed(end, signal)
    assert words in end.over
    assert said(end) == ""


@pytest.mark.parametrize("signal", ["10e230", "10e310", "10e4d0", "10e510"])
def test_an_option_of_a_signal_that_has_to_be_understood_ends_it(signal):
    end = ready()
    feed(end, signal)
    assert end.over is not None
    assert "e5" in said(end)


@pytest.mark.parametrize("signal", ["00e0", "00e6", "00ff", "10e220", "00e3"])
def test_other_signals_are_ignored_or_answered(signal):
    end = ready()
    assert feed(end, signal) == []
    assert end.over is None


@pytest.mark.parametrize("broken", ["0f", "f0ffffffff"])
def test_what_is_no_frame_ends_it_with_a_reason(broken):
    end = ready()
    assert feed(end, GET + broken) == [] or end.over
    assert "broken the protocol" in end.over
    assert "e5" in said(end)


def test_we_may_end_it():
    end = ready()
    end.release()
    assert (said(end), end.over) == ("00e4", "it was released")
    end = ready()
    end.abort("not you")
    assert said(end) == "80e5" + "ff" + b"not you".hex()
    end = ready()
    end.abort("x" * 1000)
    assert len(b"".join(end.take_output())) < 300


# -- time


def test_an_end_that_does_not_greet_is_given_up():
    end = connection(initiator=True)
    said(end)
    assert end.due() == 30.0
    end.handle_timeout(29.9)
    assert end.over is None
    end.handle_timeout(30.0)
    assert "CSM" in end.over
    assert "e5" in said(end)


def test_an_end_that_is_silent_is_pinged_and_then_given_up():
    end = ready()
    assert end.due() == 300.0
    end.handle_timeout(300.0)
    assert (said(end), end.due()) == ("00e2", 330.0)
    feed(end, "00e3", now=310.0)
    assert end.due() == 610.0
    end.handle_timeout(610.0)
    assert said(end) == "00e2"
    end.handle_timeout(639.0)
    assert end.over is None
    end.handle_timeout(640.0)
    assert end.over == "the other end does not answer any more"


def test_any_message_shows_that_the_other_end_is_there():
    end = ready()
    end.handle_timeout(300.0)
    feed(end, GET, now=301.0)
    assert end.due() == 601.0


@pytest.mark.parametrize("limits", [{"message_bytes": 1151}, {"csm_s": 0.0}, {"ping_s": -1.0}, {"pong_s": 0.0}])
def test_limits(limits):
    with pytest.raises(UsageError):
        StreamLimits(**limits)


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_any_bytes_are_taken_or_end_it(pieces):
    for greeted in (True, False):
        end = ready() if greeted else connection()
        for piece in pieces:
            for message in end.feed(piece, 1.0):
                assert message[1] >> 5 != 7
        end.take_output()
        end.handle_timeout(1e6)


# -- large messages

CSM_2 = "50e123020400" + "20"  # Max-Message-Size 132096 = 0x020400
CSM_4 = "50e123040800" + "20"  # 264192


def large(size):
    """A frame of so many bytes, above 65805 + 6: a response with token 42."""
    head = bytes.fromhex("f1") + (size - 7 - 65805).to_bytes(4, "big") + bytes.fromhex("4542ff")
    return head + bytes(size - len(head))


def read(end, stream, times):
    """Give an end a stream in as many pieces as there are times."""
    step = -(-len(stream) // len(times))
    found = []
    for number, now in enumerate(times):
        piece = stream[number * step :][:step]
        room = end.room
        if room is not None:
            room[: len(piece)] = piece
            found += end.filled(len(piece), now)
        else:
            found += end.feed(piece, now)
    return found


def test_an_end_that_gets_large_messages_quickly_takes_larger_ones():
    end = ready()
    (message,) = read(end, large(66048), (1.0, 1.1, 1.25))
    assert (message[1], len(message.payload)) == (0x45, 66048 - 8)
    assert said(end) == CSM_2
    assert len(read(end, large(66048), (2.0, 2.0))) == 1
    assert said(end) == ""  # no more than half of what is taken
    assert len(read(end, large(66052), (2.0, 2.0))) == 1
    assert said(end) == CSM_4
    assert end.room is None


def test_an_end_that_gets_them_slowly_does_not():
    end = ready()
    for times in ((1.0, 1.26), (1.0, 9.0, 20.0), (30.0, 30.2, 30.4)):
        assert len(read(end, large(66048), times)) == 1
    assert said(end) == ""
    assert len(read(end, large(66048), (50.0, 50.25))) == 1
    assert said(end) == CSM_2


def test_what_an_end_takes_grows_up_to_its_limit():
    end = ready(message_bytes=100_000)
    assert read(end, large(66048), (1.0,)) != []
    assert said(end) == "50e1230186a020"  # 100000
    assert read(end, large(100_000), (1.0, 1.0)) != []
    assert (said(end), end.over) == ("", None)
    assert read(end, large(100_001), (1.0,)) == []
    assert "a message of 100001 bytes, at most 100000" in end.over


def test_a_message_that_is_larger_than_was_told_ends_it():
    end = ready()
    assert read(end, large(66049), (1.0, 1.0)) == []
    assert "a message of 66049 bytes, at most 66048" in end.over


def test_memory_of_a_message_that_never_becomes_whole_is_given_back():
    rooms = Rooms(1 << 20)
    end = StreamConnection(StreamLimits(), initiator=False, now=0.0, rooms=rooms)
    feed(end, THEIRS)
    read(end, large(66048)[:60000], (1.0, 1.0))
    assert rooms.held_bytes > 0
    end.close()
    assert (rooms.held_bytes, end.room) == (0, None)


def test_an_end_that_is_over_reads_no_more_into_its_room():
    end = ready()
    read(end, large(66048)[:60000], (1.0, 1.0))
    end.release()
    assert end.filled(10, 2.0) == []
    assert end.over == "it was released"
