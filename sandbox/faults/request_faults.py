"""Faults of requests, handshakes, execution reports and fills, independent of any protocol."""

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
STATUS: Final = "status"  # the kind of request that asks whether the venue is in maintenance: it is always answered
BEFORE: Final = {
    "F44": "maintenance", "F18": "too many requests", "F37": "revoked", "F5": "unknown error", "F26": "no balance",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """A fault that replaces or delays an answer. `kind` is error (`what` names it), reset, hang or delay, for `seconds`."""

    kind: str
    what: str = ""
    seconds: float = 0.0


class RequestFaults:
    """Faults of requests, checked before a request is executed and again after it.

    Args:
        clock: monotonic seconds, for faults with a duration.
    """

    def __init__(self, board: Switchboard, clock: Callable[[], float]) -> None:
        self._board = board
        self._clock = clock
        self._ban = (0.0, "")  # end of the ban, and the kind of request it covers

    @property
    def delays_arrival(self) -> bool:
        """Whether a request may be under way for some time."""
        return self._board.armed("F41") is not None

    def under_way_s(self, on: str, symbol: str) -> float:
        """How long a request travels before it is handled; others may overtake it."""
        switch = self._board.fire("F41", symbol, on=on)
        return 0.0 if switch is None else switch.number("seconds")

    def redirected(self, on: str, symbol: str) -> str:
        """The address that a request is sent on to instead of being handled; "" for none."""
        switch = self._board.fire("F43", symbol, on=on)
        return "" if switch is None else switch.text("to")

    def is_in_maintenance(self) -> bool:
        return self._board.armed("F44") is not None

    def before(self, on: str, symbol: str) -> InjectedFault | None:
        if left := self._banned(on, symbol):
            return InjectedFault("error", "banned", left)
        if on == STATUS:
            return None
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
        if switch := self._board.fire("F42", symbol, on=on):
            return InjectedFault("delay", seconds=switch.number("seconds"))
        if on != "place":
            return None
        self._kill("after", symbol)
        early = self._board.armed("F9")
        if early is not None and early.text("how") == "before reply" and (switch := self._board.fire("F9", symbol)):
            return InjectedFault("delay", seconds=switch.number("seconds"))
        return None

    def _banned(self, on: str, symbol: str) -> float:
        """Seconds left of a ban, which covers every request of its kind; 0 without one."""
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
        if switch is None or not self._board.is_due("F6", symbol, on="query"):
            return False
        if not switch.until:
            switch.until = self._clock() + switch.number("seconds")
        if self._clock() < switch.until:
            return True
        switch.until = 0.0
        self._board.fire("F6", symbol, on="query")  # the time is over: count it as fired
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
    """Faults of execution reports: lost, duplicated, swapped, or sent into a broken socket."""

    def __init__(self, board: Switchboard, sockets: Sockets) -> None:
        self._board = board
        self._sockets = sockets
        self._held: list[Any] = []

    def shaped(self, report: P, fact: OrderChanged) -> list[P]:
        """The reports to send instead of this one, in order."""
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
        """The reports held back so far, which are sent at the latest at the end of the bar."""
        held, self._held = self._held, []
        return held


class ExecutionFaults:
    """Faults of fills: bursts of partial fills, remainders, a crash after a part."""

    def __init__(self, board: Switchboard) -> None:
        self._board = board

    def parts(self, order: ExchangeOrder, listing: Listing, size: Decimal) -> list[Decimal]:
        """The execution sizes that a fill of `size` is split into."""
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
    """Split `size` into at most `count` nearly equal pieces on the step grid."""
    whole = max(step, size / count // step * step)
    made: list[Decimal] = []
    while size > 0:
        piece = size if len(made) == count - 1 else min(whole, size)
        made.append(piece)
        size -= piece
    return made


def send_signal(switch: Switch, number: int) -> None:
    """Send a signal to the process that the switch names; it may have ended already."""
    pid = int(switch.number("pid"))
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        switch.values["how"] = "process gone"
