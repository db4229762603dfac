"""Venue-wide faults: they fire when armed, or at the end of a bar."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Final

from forwardtrader.core.errors import InvalidSetting
from forwardtrader.core.log import event, logger
from forwardtrader.core.types import Side
from forwardtrader.sandbox.faults.catalogue import AT_ONCE, CATALOGUE, Switch, Switchboard
from forwardtrader.sandbox.faults.request_faults import send_signal
from forwardtrader.sandbox.orders.order import NewOrder, OrderType
from forwardtrader.sandbox.orders.refusal import OrderRefused
from forwardtrader.sandbox.transport.sockets import MARKET, Sockets
from forwardtrader.sandbox.venue import ACCOUNT, SandboxVenue

LOG = logger("sandbox")
INSTANT: Final = tuple(name for name, fault in CATALOGUE.items() if fault.place == AT_ONCE and name != "F40")


Outage = Callable[[float, Callable[[], None]], None]  # seconds, and a callback once all connections are closed


class InstantFaults:
    """Applies the faults that concern the venue as a whole.

    Args:
        terminate: ends the private streams as the venue does.
        outage: takes the server down for a number of seconds, and calls back once it is down.
    """

    def __init__(
        self,
        venue: SandboxVenue,
        board: Switchboard,
        sockets: Sockets,
        terminate: Callable[[str], None],
        outage: Outage,
    ) -> None:
        self._venue = venue
        self._board = board
        self._sockets = sockets
        self.halted: dict[str, int] = {}  # symbol: the bar at which trading resumes
        self.foreign = 0
        self._effects: dict[str, Callable[[Switch], None]] = {
            "F12": lambda s: terminate(s.text("how")),
            "F13": lambda s: self._cut(reset=False),
            "F14": lambda s: self._cut(reset=True),
            "F15": self._silence,
            "F17": lambda s: outage(s.number("seconds"), lambda: None),
            "F20": self._jump,
            "F24": lambda s: self._miss_bars(s, outage),
            "F25": self._coarsen,
            "F27": self._halt,
            "F29": self._interfere,
            "F33": self._freeze,
            "F38": self._gap,
        }

    def arm(self, name: str, options: dict[str, float | int | str]) -> None:
        """Arm a fault, and apply it now if it waits for nothing. Raises as `Switchboard.arm`."""
        name = name.upper()
        if name in CATALOGUE and "pid" in CATALOGUE[name].options and not is_other_process(options.get("pid", 0)):
            raise InvalidSetting(f"fault {name}: pid must name a running process other than the exchange")
        switch = self._board.arm(name, options)
        if name in INSTANT and not switch.values["after_bars"] and switch.number("probability") == 1:
            self._apply(name)

    def bar_ended(self) -> None:
        """Apply the faults that are due, and resume halted symbols."""
        for symbol, until in list(self.halted.items()):
            if self._venue.driver.played >= until:
                self._venue.exchange.listings[symbol].halted = False
                del self.halted[symbol]
        for name in INSTANT:
            self._apply(name)

    def _apply(self, name: str) -> None:
        switch = self._board.fire(name)
        if switch is None:
            return
        try:
            self._effects[name](switch)
        except OrderRefused as refusal:  # nothing to withdraw, or no market to trade in
            event(LOG, "fault_without_effect", fault=name, reason=str(refusal.reason))

    def _symbols(self, switch: Switch) -> list[str]:
        return [s for s in self._venue.exchange.listings if switch.values["symbol"] in ("", s)]

    def _cut(self, *, reset: bool) -> None:
        self._sockets.disconnect(MARKET, reset=reset)

    def _silence(self, switch: Switch) -> None:
        deaf = self._sockets.connections(switch.text("which"))
        for queue in deaf:
            queue.silent = True
        for queue in deaf:
            self._venue.host.later(switch.number("seconds"), queue.reset)

    def _jump(self, switch: Switch) -> None:
        self._venue.skew_ms += int(switch.number("milliseconds"))

    def _miss_bars(self, switch: Switch, outage: Outage) -> None:
        outage(switch.number("seconds"), lambda: self._play(int(switch.number("bars"))))

    def _play(self, bars: int) -> None:
        if self._venue.settings.speed == "lockstep":
            for _ in range(bars):
                self._venue.driver.advance()

    def _coarsen(self, switch: Switch) -> None:
        factor = Decimal(str(switch.values["factor"]))
        for symbol in self._symbols(switch):
            listing = self._venue.exchange.listings[symbol]
            rules = listing.rules
            listing.rules = replace(rules, tick=rules.tick * factor, step=rules.step * factor, min_size=rules.step * factor)

    def _halt(self, switch: Switch) -> None:
        for symbol in self._symbols(switch):
            self._venue.exchange.listings[symbol].halted = True
            self.halted[symbol] = self._venue.driver.played + int(switch.number("bars"))

    def _interfere(self, switch: Switch) -> None:
        symbol = self._symbols(switch)[0]
        rules = self._venue.exchange.listings[symbol].rules
        amount = Decimal(str(switch.values["amount"]))
        if switch.text("how") == "order":
            self.foreign += 1
            request = NewOrder(symbol=symbol, side=Side.BUY, type=OrderType.MARKET, size=amount, client_id=f"web_{self.foreign:06d}")
            self._venue.exchange.place(ACCOUNT, request)
        else:
            self._venue.exchange.move_balance(ACCOUNT, rules.base, amount if switch.text("how") == "deposit" else -amount)

    def _freeze(self, switch: Switch) -> None:
        send_signal(switch, signal.SIGSTOP)
        self._venue.host.later(switch.number("seconds"), partial(send_signal, switch, signal.SIGCONT))

    def _gap(self, switch: Switch) -> None:
        for symbol in self._symbols(switch):
            self._venue.driver.shift(symbol, 1 + Decimal(str(switch.values["bps"])) / 10_000)


def is_other_process(pid: float | int | str) -> bool:
    """Whether `pid` is a running process, neither this one nor init."""
    if not isinstance(pid, int) or pid <= 1 or pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
