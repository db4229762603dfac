"""Position management of all symbols together, bar by bar: one decision for the account, carried out by each symbol's position manager.

It knows neither Backtrader nor the venue, so the strategy and the fast replay run the very same lines.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from forwardtrader.core.settings import StrategySettings
from forwardtrader.core.types import Timeframe
from forwardtrader.strategies.decision import COOLING, HALTED
from forwardtrader.strategies.order_rules import enlarges
from forwardtrader.strategies.portfolio.decision import Matrix, Outlook, is_idle, targets
from forwardtrader.strategies.portfolio.rule import PortfolioRule
from forwardtrader.strategies.position_manager import PositionManager
from forwardtrader.strategies.risk import Gate
from forwardtrader.strategies.signals import NO_MODEL, Signal, reason_of


@dataclass(slots=True)
class Standing:
    """One symbol at a bar, as its account has it; arguments as in `PositionManager.on_bar`.

    Attributes:
        has_bar: whether it has a bar of its own now.
        is_free: whether it can be traded now: it has a bar, no order of it is out, and its stop was not passed.
        steady: the remembered scale, where it is free.
    """

    manager: PositionManager
    location: float
    scale: float
    size: float
    paid: float
    close: float
    has_bar: bool = True
    is_free: bool = False
    steady: float = math.nan

    def remember(self) -> None:
        """Take in the forecast: the one to act on, and the remembered scale."""
        self.location, self.scale = self.manager.outlook(self.location, self.scale)
        self.steady = self.manager.take_in(self.scale)


class CorrelationSource(Protocol):
    """What knows how the symbols move together; a replay has it worked out beforehand."""

    def take_in(self, closes: Sequence[float | None], scales: Sequence[float], renewal: float) -> None: ...

    def matrix(self, shrinkage: float) -> Matrix: ...


class PortfolioManager:
    """Decides for all symbols of an account; `correlations` is what survives a restart."""

    def __init__(
        self, settings: StrategySettings, timeframe: Timeframe, managers: Sequence[PositionManager], horizon: int,
        correlations: CorrelationSource,
    ) -> None:  # fmt: skip
        self.correlations, self.managers = correlations, managers
        self.timeframe, self.horizon = timeframe, horizon
        self.use(settings)

    def use(self, settings: StrategySettings) -> None:
        """Decide by these settings from now on, which the position managers use already; what is known of correlations stays."""
        self.rule = PortfolioRule.of(settings, self.timeframe, self.managers[0].params.size.yearly_root, len(self.managers))

    def on_bar(self, standings: Sequence[Standing], equity: float, cash: float, now: float, gate: Gate) -> None:
        """Decide on one bar for all symbols, and send the orders: first those that free cash, then those that take it.

        Args:
            standings: every symbol of the account, always in the same order.
            equity, cash: of the whole account, in quote units.
            now: open time of the bar, UTC epoch seconds.
        """
        self._take_in(standings, equity, now)
        for one in standings:
            one.is_free = one.is_free and one.manager.look(one.size, one.paid, one.close, one.steady, equity)
        if equity <= 0.0 or not any(one.is_free for one in standings):
            return
        outlooks = [_outlook(one, equity, now) for one in standings]
        if is_idle(outlooks, self.rule):
            return
        wanted = targets(outlooks, self.correlations.matrix(self.rule.shrinkage), self.rule)
        signals = [self._signal(outlook, target, gate) for outlook, target in zip(outlooks, wanted, strict=True)]
        self._send(standings, outlooks, signals, equity, cash - sum([manager.promised for manager in self.managers]))

    def look(self, standings: Sequence[Standing]) -> None:
        """Remember how the symbols moved."""
        closes = [one.close if one.has_bar else None for one in standings]
        learn(self.correlations, closes, [one.scale for one in standings], self.horizon, self.rule)

    def _take_in(self, standings: Sequence[Standing], equity: float, now: float) -> None:
        self.look(standings)
        for one in standings:
            one.is_free = one.has_bar and not one.manager.busy
            one.size = one.manager.without_dust(one.size, one.close)
            if one.is_free:
                one.remember()
            elif one.has_bar:
                one.manager.attend(one.size, one.paid, one.close, equity, now)

    def _signal(self, outlook: Outlook, target: float, gate: Gate) -> Signal | None:
        held = outlook.held
        if gate is Gate.HALTED:
            return Signal(0.0, HALTED) if held else None
        if outlook.barred:
            return Signal(0.0, COOLING) if held else None
        if target == held or (gate is Gate.LOCKED and enlarges(held, target)):
            return None
        return Signal(target, reason_of(target, held, self.rule.cap) if outlook.known else NO_MODEL)

    def _send(
        self, standings: Sequence[Standing], outlooks: Sequence[Outlook], signals: Sequence[Signal | None], equity: float, cash: float
    ) -> None:
        """Send what was decided; what an exit frees on the same bar pays for what is entered."""
        decided = [
            (one, signal, _cash_taken(one, outlook.held, signal, equity))
            for one, outlook, signal in zip(standings, outlooks, signals, strict=True)
            if one.is_free
        ]
        for one, signal, taken in sorted(decided, key=lambda each: each[2] > 0.0):
            one.manager.act(signal, one.size, one.close, equity, cash, one.location, one.steady)
            cash -= taken


def _cash_taken(one: Standing, held: float, signal: Signal | None, equity: float) -> float:
    """Quote units that an order takes from the cash, or from the free margin of perpetuals; below zero where it gives some.

    A flip goes through flat, so only what is closed counts.
    """
    if signal is None:
        return 0.0
    rule, to = one.manager.params.size, signal.exposure if signal.exposure * held >= 0.0 else 0.0
    change = (abs(to) - abs(held)) / rule.leverage if rule.leverage else to - held
    return (change + abs(to - held) * rule.entry_cost) * equity


def learn(
    correlations: CorrelationSource, closes: Sequence[float | None], scales: Sequence[float], horizon: int, rule: PortfolioRule
) -> None:
    """Take in a bar; `scales` are those of the forecasts, over `horizon` bars."""
    root = math.sqrt(horizon)
    correlations.take_in(closes, [scale / root for scale in scales], rule.renewal)


def _outlook(one: Standing, equity: float, now: float) -> Outlook:
    """What is fixed counts by what is remembered of its scale."""
    state, held = one.manager.state, one.size * one.close / equity if one.size else 0.0
    if not one.is_free:
        return Outlook(math.nan, math.sqrt(state.variance), held, fixed=True)
    manager, barred = one.manager, now < state.resume_at
    return Outlook(one.location, one.steady, held, shorts=manager.params.edge.shorts, barred=barred, cost=manager.cost)
