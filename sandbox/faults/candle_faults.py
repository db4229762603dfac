"""Faults of closed candles on the market sockets: late, revised, duplicate, out of order, malformed."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Final

from forwardtrader.sandbox.faults.catalogue import Switchboard
from forwardtrader.sandbox.transport.host import Later

Send = Callable[[bytes], None]
WAYS: Final = ("late", "revised", "duplicate", "out of order", "malformed")
_CLOSE: Final = re.compile(rb'("(?:c|close)":")(\d+)')


class CandleFaults:
    """Sends closed candles, altered while fault F22 is armed."""

    def __init__(self, board: Switchboard, later: Later) -> None:
        self._board = board
        self._later = later
        self._held: list[tuple[bytes, Send]] = []

    def send_closed(self, message: bytes, symbol: str, send: Send) -> None:
        switch = self._board.fire("F22", symbol)
        held, self._held = self._held, []
        if switch is None:
            send(message)
        else:
            way = switch.text("how")
            self._spoil(self._board.rng.choice(WAYS) if way == "any" else way, message, send, switch.number("seconds"))
        for late, late_send in held:
            late_send(late)

    def _spoil(self, way: str, message: bytes, send: Send, seconds: float) -> None:
        if way == "late":
            self._later(seconds, partial(send, message))
        elif way == "out of order":
            self._held.append((message, send))
        elif way == "duplicate":
            send(message)
            send(message)
        elif way == "malformed":
            send(message[: len(message) // 2])
            send(message)
        else:
            send(message)
            self._later(seconds, partial(send, revised(message)))


def revised(message: bytes) -> bytes:
    """The same candle message with its close raised by one quote unit."""
    return _CLOSE.sub(lambda m: m[1] + str(int(m[2]) + 1).encode(), message)
