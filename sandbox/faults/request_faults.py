"""What goes wrong with requests, reports and candles on their way; told in no venue's words."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, TypeVar

from forwardtrader.sandbox.engine.events import ExecutionType, OrderChanged
from forwardtrader.sandbox.faults.catalogue import Switch, Switchboard
from forwardtrader.sandbox.orders.listing import Listing
from forwardtrader.sandbox.orders.order import ExchangeOrder
from forwardtrader.sandbox.transport.sockets import USER, RefusedHandshake, Sockets

P = TypeVar("P")
BEFORE: Final = {
    "F18": "too many requests", "F37": "revoked", "F5": "unknown error", "F26": "no balance",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """Instead of, or before, the answer: `error` (in `what`), `reset`, `hang` or `delay` for `seconds`."""

    kind: str
    what: str = ""
    seconds: float = 0.0


class RequestFaults:
    """Asked before a request is executed, and again after it was.

    Args:
        clock: seconds, monotonic; for what lasts.
    """

    def __init__(self, board: Switchboard, clock: Callable[[], float]) -> None:
        self._board = board
        self._clock = clock
        self._ban = (0.0, "")  # until when, and for which kind of request

    def before(self, on: str, symbol: str) -> InjectedFault | None:
        if left := self._banned(on, symbol):
            return InjectedFault("error", "banned", left)
        for name, what in BEFORE.items():
            if switch := self._board.fire(name, symbol, on=on):
                return InjectedFault("error", what, float(switch.values.get("seconds", 0)))
        if switch := self._board.fire("F4", symbol, on=on):
            return InjectedFault("error", f"unavailable {switch.text('how')}")
        if on == "query" and self._hidden(symbol):
            return InjectedFault("error", "not found")
        if on == "place":
            self._kill("before", symbol)
        return None

    def after(self, on: str, symbol: str) -> InjectedFault | None:
        if self._board.fire("F1", symbol, on=on):
            return InjectedFault("error", "status unknown")
        if self._board.fire("F2", symbol, on=on):
            return InjectedFault("reset")
        if switch := self._board.fire("F3", symbol, on=on):
            return InjectedFault("hang", seconds=switch.number("seconds"))
        if on != "place":
            return None
        self._kill("after", symbol)
        early = self._board.armed("F9")
        if early is not None and early.text("how") == "before reply" and (switch := self._board.fire("F9", symbol)):
            return InjectedFault("delay", seconds=switch.number("seconds"))
        return None

    def _banned(self, on: str, symbol: str) -> float:
        """Seconds that a ban still lasts; it meets every request of its kind, not only the one that brought it about."""
        until, kind = self._ban
        if self._clock() < until and kind in (on, "any"):
            return until - self._clock()
        switch = self._board.fire("F19", symbol, on=on)
        if switch is None:
            return 0.0
        self._ban = (self._clock() + switch.number("seconds"), switch.text("on"))
        return switch.number("seconds")

    def _hidden(self, symbol: str) -> bool:
        switch = self._board.armed("F6")
        if switch is None:
            return False
        if not switch.until:
            switch.until = self._clock() + switch.number("seconds")
        if self._clock() < switch.until:
            return True
        switch.until = 0.0
        self._board.fire("F6", symbol, on="query")  # over: counted now
        return False

    def _kill(self, how: str, symbol: str) -> None:
        switch = self._board.armed("F30")
        if switch is not None and switch.text("how") == how and self._board.fire("F30", symbol):
            send_signal(switch, signal.SIGKILL)


class HandshakeFaults:
    """Refuses socket handshakes while fault F16 is armed."""

    def __init__(self, board: Switchboard) -> None:
        self._board = board

    def refusal(self, which: str) -> RefusedHandshake | None:
        switch = self._board.fire("F16", on=which)
        return None if switch is None else RefusedHandshake(int(switch.number("status")), switch.text("retry_after"))


class ReportFaults:
    """Stands between the engine's reports and the account's sockets."""

    def __init__(self, board: Switchboard, sockets: Sockets) -> None:
        self._board = board
        self._sockets = sockets
        self._held: list[Any] = []

    def shaped(self, report: P, fact: OrderChanged) -> list[P]:
        """The reports that go out in place of this one, in order."""
        symbol = fact.order.request.symbol
        if fact.execution is ExecutionType.TRADE and (switch := self._board.fire("F11", symbol)):
            self._sockets.disconnect(USER, reset=True, shut_s=switch.number("seconds"))
            return []
        if fact.order.filled and (switch := self._board.fire("F31", symbol)):
            send_signal(switch, signal.SIGTERM)
        if self._board.fire("F8", symbol):
            return []
        if self._board.fire("F7", symbol):
            return [report, report]
        swapped = self._board.armed("F9")
        if swapped is not None and swapped.text("how") != "before reply" and not self._held and self._board.fire("F9", symbol):
            self._held.append(report)
            return []
        return [report, *self.flushed()]

    def flushed(self) -> list[Any]:
        """What was held back; it must not be kept for ever."""
        held, self._held = self._held, []
        return held


class ExecutionFaults:
    """Cuts executions into pieces, or short."""

    def __init__(self, board: Switchboard) -> None:
        self._board = board

    def parts(self, order: ExchangeOrder, listing: Listing, size: Decimal) -> list[Decimal]:
        """The sizes in which `size` of `order` is executed."""
        symbol, step = order.request.symbol, listing.rules.step
        if self._board.fire("F39", symbol):
            dust = listing.rules.min_notional / listing.last // step * step - step
            return [size - dust] if 0 < dust < size else [size]
        if switch := self._board.fire("F10", symbol):
            return pieces(size, int(switch.number("parts")), step)
        half = size / 2 // step * step
        switch = self._board.armed("F30")
        if switch is not None and switch.text("how") == "partial" and half and self._board.fire("F30", symbol):
            send_signal(switch, signal.SIGKILL)
            return [half]
        return [size]


def pieces(size: Decimal, count: int, step: Decimal) -> list[Decimal]:
    """`size` in at most `count` nearly equal pieces on the grid."""
    whole = max(step, size / count // step * step)
    made: list[Decimal] = []
    while size > 0:
        piece = size if len(made) == count - 1 else min(whole, size)
        made.append(piece)
        size -= piece
    return made


def send_signal(switch: Switch, number: int) -> None:
    """Signal the process that the switch names; it may have gone already."""
    pid = int(switch.number("pid"))
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        switch.values["how"] = "process gone"
