"""Callbacks of users: what one of them raises is shown, and changes nothing."""

import asyncio
from collections.abc import Callable
from typing import TypeVarTuple

_Ts = TypeVarTuple("_Ts")


def show_fault(what: str, error: Exception) -> None:
    """Hand an exception of code that is not ours to the loop's exception handler; it logs what nobody else takes."""
    message = f"{what} failed: {error!r}"
    asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})


def tell(callback: Callable[[*_Ts], object] | None, *args: *_Ts) -> None:
    """Call a callback, if there is one; an exception goes to the loop's exception handler."""
    if callback is None:
        return
    try:
        callback(*args)
    except Exception as error:  # noqa: BLE001 - others' code: it must not take ours with it
        show_fault("a callback", error)
