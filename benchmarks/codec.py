"""A block message read and written: ours against the codec of aiocoap, in a tight loop.

The message is a request of a push (PUT with Uri-Path, Content-Format and Block1) with a block of 1024 bytes. `decode`
gives a message from its bytes. `encode` makes the message from its parts and gives its bytes, as a sender does for each
block. `template` is what the hot path does instead: the same bytes from what does not change.
"""

import argparse
import time
from collections.abc import Callable
from importlib.metadata import version
from statistics import median
from typing import Final

import aiocoap
from aiocoap.numbers import optionnumbers

from benchmarks.harness import Figure, alternate, at_least
from lwm2m_fota.coap.block import pack_block
from lwm2m_fota.coap.message import Message, decode, encode
from lwm2m_fota.coap.template import BlockTemplate, head_of

PACKAGES: Final = ("lwm2m-fota", "aiocoap")
GOALS: Final = {"decode": 5.0, "encode": 6.0}
LOOPS: Final = 20_000
_US: Final = 1e6
_PAYLOAD: Final = bytes(range(256)) * 4
_OPTIONS: Final = ((11, b"5"), (11, b"0"), (11, b"0"), (12, b"\x2a"))
_TOKEN: Final = b"\xa1\xa2\xa3\xa4"
_BLOCK1: Final = 27
_NUM: Final = 5000
_SZX: Final = 6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--loops", type=int, default=LOOPS, metavar="N", help=f"calls a round (default: {LOOPS})")


def _ours() -> bytes:
    options = (*_OPTIONS, (_BLOCK1, pack_block(_NUM, True, _SZX)))  # noqa: FBT003 - more
    return encode(Message(0, 3, 4711, _TOKEN, options, _PAYLOAD))


def _theirs() -> bytes:
    message = aiocoap.Message(code=aiocoap.PUT, payload=_PAYLOAD, mid=4711, mtype=aiocoap.CON, token=_TOKEN)
    message.opt.uri_path = ("5", "0", "0")
    message.opt.content_format = 42
    message.opt.block1 = optionnumbers.OptionNumber.BLOCK1.create_option(value=(_NUM, True, _SZX)).value
    data: bytes = message.encode()
    return data


_TEMPLATE: Final = BlockTemplate(_OPTIONS, _BLOCK1, payload=True)
_HEAD: Final = head_of(0, 3, 4)


def _template() -> bytes:
    value = _NUM << 4 | 8 | _SZX
    return b"".join((_HEAD, (4711).to_bytes(2, "big"), _TOKEN, _TEMPLATE.encode(value), _PAYLOAD))


def _timed(call: Callable[[], object], loops: int) -> Callable[[], float]:
    def run() -> float:
        begun = time.perf_counter()
        for _ in range(loops):
            call()
        return (time.perf_counter() - begun) / loops

    return run


def run(options: argparse.Namespace) -> list[Figure]:
    """Measure."""
    data = _ours()
    if not data == _theirs() == _template():
        raise RuntimeError("the contestants do not write the same bytes")
    calls: dict[str, Callable[[], object]] = {
        "decode": lambda: decode(data),
        "decode.aiocoap": lambda: aiocoap.Message.decode(data),
        "encode": _ours,
        "encode.aiocoap": _theirs,
        "template": _template,
    }
    field = {name: _timed(call, options.loops) for name, call in calls.items()}
    measured = {name: median(times) for name, times in alternate(field, options.rounds).items()}
    figures = [Figure(name=f"codec.{name}", value=time_s * _US, unit="us") for name, time_s in measured.items()]
    for name, goal in GOALS.items():
        ratio = measured[f"{name}.aiocoap"] / measured[name]
        figure = Figure(name=f"codec.{name}.over_aiocoap", value=ratio, unit="times")
        figures.append(at_least(figure, f"aiocoap {version('aiocoap')}", ratio, goal))
    return figures
