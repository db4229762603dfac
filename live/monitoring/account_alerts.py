"""Alerts about trading: account halts, refused and unresolved orders, orders of others, and the strategy's own risk limits."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import backtrader as bt

from forwardtrader.live.execution.events import (
    AccountEvent,
    BalanceChanged,
    ClosedByVenue,
    ForeignOrder,
    Halted,
    Protected,
    Refused,
    StandsStill,
    Unprotected,
    Unresolved,
)
from forwardtrader.live.monitoring.progress import SessionProgress
from forwardtrader.reports.pages.session_status import SessionState
from forwardtrader.strategies.backtrader.strategy import LSTMStrategy
from forwardtrader.strategies.risk import Gate

_EVERY_S: Final = 3600.0
_DRAWDOWN: Final = "the strategy's drawdown halt (strategies.max_drawdown); it trades again by strategies.halt_for"
_NUMBERS: Final = re.compile(r"\d[\d.,]*")
_LEVELS: Final = {Gate.HALTED: "error", Gate.LOCKED: "warning", Gate.OPEN: "info"}
_KINDS: Final = {Gate.HALTED: "drawdown_halt", Gate.LOCKED: "daily_loss_lock", Gate.OPEN: "risk_limits_open_again"}


@dataclass
class _Kind:
    """One kind of trouble: how often it came since its last alert, and its newest facts."""

    name: str
    level: str
    facts: dict[str, object]
    alerted_at: float
    pending: int = 0


class AccountAlerts:
    """Sends the first trouble of a kind at once, and the count of those that follow once an hour and at the end.

    Args:
        notify: sends an alert: kind, level and facts, as `SessionHealth.notify`.
        halted: called with the reason where the account takes no more orders.
    """

    def __init__(self, notify: Callable[..., None], halted: Callable[[str], None], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._notify = notify
        self._halted = halted
        self._monotonic = monotonic
        self._kinds: dict[str, _Kind] = {}
        self._unprotected: dict[str, tuple[Unprotected, float]] = {}  # by symbol, with the time of the newest alert

    def handle(self, event: AccountEvent) -> None:
        """Take one event of the account; those of an ordinary order's life change nothing."""
        if isinstance(event, Halted):
            self._halted(event.reason)
        elif isinstance(event, Refused):
            self.count("orders_refused", event.reason, reason=event.reason)
        elif isinstance(event, ForeignOrder):
            self.count("foreign_order", event.symbol, symbol=event.symbol, side=event.side, size=event.size, number=event.venue_id)
        elif isinstance(event, Unprotected):
            self._warn_of(event)
        elif isinstance(event, Protected):
            if self._unprotected.pop(event.symbol, None) is not None:
                self._notify("position_protected", "info", symbol=event.symbol, why=event.why)
        elif isinstance(event, StandsStill):
            self._notify("stop_stands_still", "warning", symbol=event.symbol, order=event.client_id, what=event.what)
        elif isinstance(event, Unresolved):
            self.count("order_unresolved", "", order=event.client_id)
        elif isinstance(event, BalanceChanged):  # each one: money that moves is never just one more of a kind
            self._notify("balance_changed", "warning", asset=event.asset, change=event.change, held=event.held)
        elif isinstance(event, ClosedByVenue):
            e = event.execution
            self._notify(f"position_{event.kind}", "error", symbol=e.symbol, side=e.side, size=e.size, price=e.price)

    def _warn_of(self, event: Unprotected) -> None:
        self._unprotected[event.symbol] = event, self._monotonic()
        self._notify("position_unprotected", "error", symbol=event.symbol, reason=event.reason)

    def send_due(self) -> None:
        """Send the counts that are an hour old, and say once an hour what is unprotected still."""
        for event, told_at in list(self._unprotected.values()):
            if self._monotonic() - told_at >= _EVERY_S:
                self._warn_of(event)
        for kind in self._kinds.values():
            if kind.pending and self._monotonic() - kind.alerted_at >= _EVERY_S:
                self._send_count(kind)

    def finish(self) -> None:
        """Send all counts that were not sent yet."""
        for kind in self._kinds.values():
            if kind.pending:
                self._send_count(kind)

    def count(self, name: str, which: str, *, level: str = "warning", **facts: object) -> None:
        """One trouble of a kind; `which` distinguishes kinds of one name, numbers in it do not."""
        key = f"{name} {_NUMBERS.sub('#', which)}"  # refusals that differ in amounts only are of one kind
        known = self._kinds.get(key)
        if known is None:
            self._kinds[key] = _Kind(name, level, facts, self._monotonic())
            self._notify(name, level, **facts)
        else:
            known.facts, known.pending = facts, known.pending + 1

    def _send_count(self, kind: _Kind) -> None:
        self._notify(kind.name, kind.level, count=kind.pending, newest=", ".join(f"{name} {value}" for name, value in kind.facts.items()))
        kind.alerted_at, kind.pending = self._monotonic(), 0


class StrategyLimitAlerts:
    """Alerts when the strategy's own limits on losses stop it from trading, and when it trades again.

    Its drawdown halt is the session's state and exit code too, as a halt of the account is, until the strategy trades again.

    Args:
        notify: sends an alert: kind, level and facts, as `SessionHealth.notify`.
    """

    def __init__(self, notify: Callable[..., None], progress: SessionProgress) -> None:
        self._notify = notify
        self._progress = progress
        self._gate = Gate.OPEN
        self._before = SessionState.RUNNING

    def check(self, strategy: bt.Strategy) -> None:
        """Compare the strategy's gate with that of the bar before; a strategy without one is ignored. Called after every new bar."""
        risk = strategy.risk if isinstance(strategy, LSTMStrategy) else None
        if risk is None or risk.gate is self._gate:
            return
        self._gate = risk.gate
        self._show(risk.gate)
        self._notify(_KINDS[risk.gate], _LEVELS[risk.gate], equity=round(risk.last, 2), peak=round(risk.peak, 2))

    def _show(self, gate: Gate) -> None:
        """Halt of the strategy, and its end; a halt of the account is worth more than either."""
        progress = self._progress
        if gate is Gate.HALTED and progress.state is not SessionState.HALTED:
            self._before = progress.state
            progress.state, progress.reason = SessionState.HALTED, _DRAWDOWN
        elif gate is not Gate.HALTED and progress.reason == _DRAWDOWN:
            progress.reason = ""
            if progress.state is SessionState.HALTED:
                progress.state = self._before
