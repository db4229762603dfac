"""The strategy: forecasts in, orders out. It decides nothing itself and cannot tell history, paper and real money apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import backtrader as bt

from core.errors import InvalidSetting
from core.log import logger
from core.settings import StrategySettings
from strategies.bars_frame import epoch_seconds
from strategies.bt_feed_facts import facts_of
from strategies.forecast_indicator import LSTMForecast
from strategies.orders import is_dust
from strategies.plan import STOPPED, Book, Rules, wish
from strategies.risk import Gate, RiskState, update
from strategies.signals import Signal
from strategies.sizing import units

_LOG = logger("strategies")
_STATE_VERSION = 1
PASSED = "price is beyond the stop already"


class Desk:
    """One symbol: its feed, its forecast, its rules, what is remembered, and the orders that are out."""

    def __init__(self, data: Any, forecast: Any, settings: StrategySettings, symbols: int) -> None:
        facts = facts_of(data)
        self.data, self.market = data, facts.rules
        self.clock, self.close = data.lines.datetime, data.lines.close
        self.location, self.scale = forecast.lines.location, forecast.lines.scale
        self.rules = Rules.of(settings, facts.rules, facts.timeframe, forecast.source.horizon, symbols)
        self.book = Book()
        self.bars = 0
        self.order_ref = 0  # the market order that is out
        self.stop_order: Any = None
        self.guarded = 0.0  # the position the stop was made for


class LSTMStrategy(bt.Strategy):
    """Trades each feed's forecast by `plan.wish`, with a protective stop; market orders fill at the next bar's open.

    Several feeds share one account. Orders are placed in `next` only, each with `order.info.reason`. The stop of a new position
    is placed on the bar after its fill; until then that one bar is unguarded, in every mode alike.

    Params:
        settings: the account, its costs and the knobs of the rule.
        saved: what `state` gave before a restart; None for a new start.
        trade_from: UTC epoch seconds; earlier bars are only looked at.
    """

    params = (("settings", StrategySettings()), ("saved", None), ("trade_from", 0.0))

    def __init__(self) -> None:
        settings, count = self.p.settings, len(self.datas)
        forecasts = [LSTMForecast(data) for data in self.datas]  # type: ignore[call-arg]  # Backtrader takes the feed off
        self._desks = [Desk(d, f, settings, count) for d, f in zip(self.datas, forecasts, strict=True)]
        self._by_data = {id(desk.data): desk for desk in self._desks}
        self._limits = self._desks[0].rules.limits
        self._risk: RiskState | None = None

    def start(self) -> None:
        if self.p.saved is not None:
            self.restore(self.p.saved)
        for order in getattr(self.broker, "get_orders_open", list)():
            desk = self._by_data.get(id(order.data))
            if desk is not None and order.info.get("role") == "stop":
                desk.stop_order = order

    def prenext(self) -> None:
        self.next()

    def next(self) -> None:
        now = epoch_seconds(self.lines.datetime[0])
        if now < self.p.trade_from:
            return
        equity = self.broker.get_value()
        risk = self._watch(equity, now)
        for desk in self._desks:
            bars = len(desk.clock)
            if bars != desk.bars and not desk.order_ref and len(desk.location):
                desk.bars = bars
                self._tend(desk, equity, now, risk.gate)

    def _watch(self, equity: float, now: float) -> RiskState:
        before = self._risk
        risk = self._risk = RiskState.start(equity, now) if before is None else update(before, equity, now, self._limits)
        if before is not None and risk.gate is not before.gate:
            _LOG.warning("risk gate", extra={"facts": {"gate": risk.gate.name.lower(), "equity": equity, "peak": risk.peak}})
        return risk

    def _tend(self, desk: Desk, equity: float, now: float, gate: Gate) -> None:
        size = self.broker.getposition(desk.data).size
        close = desk.close[0]
        if size and (abs(size) * close < desk.rules.smallest or is_dust(size, close, desk.market)):
            size = 0.0
        if not size:
            self._forget(desk)
        elif self._stop_passed(desk, size, close, equity):
            self._exit(desk, size, PASSED)
            return
        if equity <= 0.0:
            return
        signal = wish(desk.location[0], desk.scale[0], size * close / equity, now, gate, desk.book, desk.rules)
        sells = signal is not None and self._trade(desk, signal, size, close, equity)
        if size and not sells and (desk.guarded != size or desk.stop_order is None):
            self._drop_stop(desk)
            self._send_stop(desk, size)

    def _forget(self, desk: Desk) -> None:
        if desk.book.stop or desk.stop_order is not None:
            self._drop_stop(desk)
            desk.book.close()

    def _stop_passed(self, desk: Desk, size: float, close: float, equity: float) -> bool:
        """Work out the stop after a fill; whether the price is beyond it, so that resting it there would come too late."""
        book = desk.book
        if book.fill or not book.stop:
            if not book.distance:  # a position that was found, not taken
                book.intend(desk.scale[0] if desk.scale[0] > 0.0 else 0.0, equity, desk.rules)
            book.fill = book.fill or self.broker.getposition(desk.data).price
            book.place_stop(size, desk.rules)
            desk.guarded = 0.0
        return close <= book.stop if size > 0 else close >= book.stop

    def _send_stop(self, desk: Desk, size: float) -> None:
        send = self.sell if size > 0 else self.buy
        desk.guarded = size
        desk.stop_order = send(data=desk.data, size=abs(size), exectype=bt.Order.Stop, price=desk.book.stop, reason=STOPPED, role="stop")

    def _drop_stop(self, desk: Desk) -> None:
        if desk.stop_order is not None:
            order, desk.stop_order = desk.stop_order, None
            self.cancel(order)

    def _trade(self, desk: Desk, signal: Signal, size: float, close: float, equity: float) -> bool:
        """Send what leads to the wished exposure; True where units are given up, which a resting stop would lock."""
        held = size * close / equity
        edge = desk.location[0] * desk.rules.edge.stretch * 1e4
        reason = f"{signal.reason} (edge {edge:.1f} bp, exposure {held:.3f} to {signal.exposure:.3f})"
        change = units(signal.exposure * equity - size * close, close, self.broker.get_cash(), desk.rules.size)
        if signal.exposure * size < 0.0 or signal.exposure == 0.0 or (size and is_dust(size + change, close, desk.market)):
            self._exit(desk, size, reason)  # a flip goes through flat: the other side is entered on the next bar
            return True
        if abs(signal.exposure) > abs(held):
            if not is_dust(change, close, desk.market):
                desk.book.intend(desk.scale[0], equity, desk.rules)
                self._send(desk, change, reason)
            return False
        self._drop_stop(desk)
        self._send(desk, change, reason)
        return True

    def _exit(self, desk: Desk, size: float, reason: str) -> None:
        self._drop_stop(desk)
        self._send(desk, -size, reason)

    def _send(self, desk: Desk, change: float, reason: str) -> None:
        send = self.buy if change > 0 else self.sell
        order = send(data=desk.data, size=abs(change), reason=reason, role="trade")
        desk.order_ref = order.ref if order is not None and order.alive() else 0

    def notify_order(self, order: Any) -> None:
        desk = self._by_data.get(id(order.data))
        if desk is None or order.alive():
            return
        if order.ref == desk.order_ref:
            desk.order_ref = 0
            self._settle_trade(desk, order)
        elif desk.stop_order is not None and order.ref == desk.stop_order.ref:
            desk.stop_order = None
            if order.executed.size:
                desk.book.resume_at = epoch_seconds(order.executed.dt) + desk.rules.cooldown_s

    def _settle_trade(self, desk: Desk, order: Any) -> None:
        size = self.broker.getposition(desk.data).size
        if order.executed.size and size * order.executed.size > 0:
            desk.book.fill = order.executed.price

    def state(self) -> dict[str, Any]:
        """What must be kept across a restart; plain JSON values."""
        return {
            "version": _STATE_VERSION,
            "risk": None if self._risk is None else self._risk.as_dict(),
            "books": {desk.market.symbol: desk.book.as_dict() for desk in self._desks},
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on from what `state` gave; the param `saved` does it before the first bar.

        Raises:
            InvalidSetting: the state was written by another version.
        """
        if saved.get("version") != _STATE_VERSION:
            raise InvalidSetting(f"strategy state of version {saved.get('version')} cannot be read; this one reads {_STATE_VERSION}")
        self._risk = None if saved["risk"] is None else RiskState.restore(saved["risk"])
        for desk in self._desks:
            if desk.market.symbol in saved["books"]:
                desk.book = Book.restore(saved["books"][desk.market.symbol])
