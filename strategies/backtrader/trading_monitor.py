"""Gives the account's guard what it measures, bar by bar and fill by fill, and carries out what its limits ask for."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import backtrader as bt

from forwardtrader.models.forecaster import DatedSource
from forwardtrader.strategies.backtrader.bars_frame import epoch_seconds
from forwardtrader.strategies.backtrader.guarded_orders import enforce
from forwardtrader.strategies.backtrader.indicator import reads_forecasts
from forwardtrader.strategies.backtrader.recorders.recorder import Recorder
from forwardtrader.strategies.backtrader_objects import BtOrder
from forwardtrader.strategies.feed_context import context_of
from forwardtrader.strategies.order_rules import is_dust
from forwardtrader.strategies.trading_state.guard import TradingGuard
from forwardtrader.strategies.trading_state.round_trips import TripFill


class TradingMonitor(Recorder):
    """An analyzer that sees every bar's equity before the strategy decides on it.

    Params:
        guard: the guard that the broker asks.
        trade_from: UTC epoch seconds; earlier bars only warm indicators up.
        passed: later bars at which nothing was decided.
    """

    params = (("guard", None), ("trade_from", 0.0), ("passed", ()))

    def start(self) -> None:
        self._guard: TradingGuard = self.p.guard
        self._clock = self.strategy.lines.datetime
        self._dated = self._sources()

    def _sources(self) -> list[DatedSource]:
        """The sources of the models that may grow old."""
        if self._guard.limits.model_seconds == math.inf or not reads_forecasts(self.strategy):
            return []
        sources: list[object] = [context_of(data).source for data in self.datas if hasattr(data, "context")]
        return [source for source in sources if isinstance(source, DatedSource)]

    def notify_order(self, order: BtOrder) -> None:
        if order.status not in (bt.Order.Partial, bt.Order.Completed):
            return
        rules, name = context_of(order.data).rules, order.data._name
        for bit in order.executed.iterpending():
            held = self._guard.units(name) + bit.size
            self._guard.book(name, TripFill(bit.size, bit.price, bit.openedcomm + bit.closedcomm), is_flat=is_dust(held, bit.price, rules))

    def _notify_cashvalue(self, cash: float, value: float) -> None:
        at = epoch_seconds(self._clock[0])
        if at < self.p.trade_from or at in self.p.passed:
            return
        broker = self.strategy.broker
        for data, held in broker.holdings.held.items():
            self._guard.adopt(data._name, float(held.size), float(held.price))
        self._guard.on_bar(at, value, paid_in=broker.moved, model_age=self._model_age(at))
        enforce(self.strategy)

    def _model_age(self, at: float) -> float | None:
        trained = [when for source in self._dated if (when := source.trained_at(datetime.fromtimestamp(at, UTC))) is not None]
        return at - min(trained).timestamp() if trained else None
