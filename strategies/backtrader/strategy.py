"""The LSTM strategy: forecasts in, orders out. It decides nothing itself and does not know whether it runs in history, paper or live."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any, Protocol

import backtrader as bt

from forwardtrader.core.errors import InvalidSetting
from forwardtrader.core.log import logger
from forwardtrader.core.settings import LearningSettings, StrategySettings
from forwardtrader.strategies.backtrader.bars_frame import epoch_seconds
from forwardtrader.strategies.backtrader.indicator import LSTMForecast
from forwardtrader.strategies.backtrader_objects import BtData, BtLine, BtOrder
from forwardtrader.strategies.decision import STOPPED, DecisionParams, PositionState
from forwardtrader.strategies.feed_context import context_of, traded_feeds
from forwardtrader.strategies.learning.account_learning import AccountLearning, LearningReport
from forwardtrader.strategies.learning.symbol_learning import SeenBar
from forwardtrader.strategies.orders.entries import POST_ONLY
from forwardtrader.strategies.portfolio.correlations import Correlations
from forwardtrader.strategies.portfolio.portfolio_manager import PortfolioManager, Standing
from forwardtrader.strategies.position_manager import PositionManager
from forwardtrader.strategies.risk import RiskState, update

_LOG = logger("strategies")
_STATE_VERSION = 1


class OrderSender(Protocol):
    """The strategy, as far as a feed's position manager needs it."""

    broker: Any

    def buy(self, data: BtData, size: float, **kwargs: Any) -> BtOrder: ...

    def sell(self, data: BtData, size: float, **kwargs: Any) -> BtOrder: ...

    def cancel(self, order: BtOrder) -> object: ...


class FeedPositionManager:
    """Connects a `PositionManager` to a Backtrader feed: its lines, and its orders at the strategy's broker."""

    def __init__(self, strategy: OrderSender, data: BtData, forecast: LSTMForecast, settings: StrategySettings, symbols: int) -> None:
        context = context_of(data)
        self.strategy, self.data = strategy, data
        self.clock, self.close = data.datetime, data.close
        lines: Any = forecast.lines
        self.location: BtLine = lines.location
        self.scale: BtLine = lines.scale
        self.context, self.horizon, self.symbols = context, forecast.source.horizon, symbols
        self.manager = PositionManager(context.rules, self._params(settings), self)
        self.seen = 0
        self.trade_ref = 0
        self.stop_order: BtOrder | None = None
        self.entry: BtOrder | None = None
        self.entry_price = 0.0  # its limit, also once it went to the market

    def standing(self, now: float) -> Standing:
        """The symbol as a decision for all of them sees it."""
        bars, known = len(self.clock), bool(len(self.location))
        has_bar = known and bars != self.seen
        if has_bar:
            self.seen = bars
            self.look_up()
        held = self.strategy.broker.getposition(self.data)
        close = self.close[0] if bars else math.nan
        numbers = (self.location_at(now), self.scale[0]) if known else (math.nan, math.nan)
        return Standing(self.manager, *numbers, held.size, held.price, close, has_bar)

    def newest(self, now: float) -> SeenBar | None:
        """The newest bar with its forecast; None before there is one."""
        if not len(self.location):
            return None
        prices, forecast = (self.data.open[0], self.close[0]), (self.location_at(now), self.scale[0])
        return SeenBar(epoch_seconds(self.clock[0]), *prices, *forecast)

    def look_up(self) -> None:
        """Go by the venue's new rules, where they were put on the feed since."""
        context = context_of(self.data)
        if context is not self.context:
            self.context = context
            self.manager.use_market(context.rules)

    def use(self, settings: StrategySettings) -> None:
        """Decide by other settings from now on; position, resting stop and memory of the scale stay."""
        self.manager.use(self._params(settings))

    def _params(self, settings: StrategySettings) -> DecisionParams:
        return DecisionParams.of(settings, self.context.rules, self.context.timeframe, self.horizon, self.symbols)

    def location_at(self, now: float) -> float:
        """The forecast at the bar that opens then; none where the symbol does not belong to the universe."""
        return float(self.location[0]) if self.context.may_hold(now) else math.nan

    def trade(self, change: float, reason: str) -> bool:
        order = self._send(change, reason=reason, role="trade")
        self.trade_ref = order.ref
        return bool(order.alive())

    def rest_entry(self, change: float, price: float, reason: str) -> bool:
        rule, self.entry_price = self.manager.params.entry, price
        assert rule is not None
        valid = timedelta(seconds=rule.seconds(self.context.timeframe.seconds))
        terms = {POST_ONLY: str(rule.then), "exectype": bt.Order.Limit, "price": price, "valid": valid}
        self.entry = self._send(change, reason=reason, role="trade", **terms)
        self.trade_ref = self.entry.ref
        return bool(self.entry.alive())

    def resting_value(self) -> float:
        return 0.0 if self.entry is None else abs(float(self.entry.executed.remsize)) * self.entry_price

    def cancel_entry(self) -> None:
        if self.entry is not None:
            self.strategy.cancel(self.entry)

    def rest_stop(self, change: float, price: float) -> bool:
        self.stop_order = self._send(change, exectype=bt.Order.Stop, price=price, reason=STOPPED, role="stop")
        return bool(self.stop_order.alive())

    def cancel_stop(self) -> None:
        order, self.stop_order = self.stop_order, None
        if order is not None:
            self.strategy.cancel(order)

    def adopt(self, order: BtOrder) -> None:
        """Take over an order of this strategy that is still open after a restart."""
        if order.info.get("role") == "stop":
            self.stop_order, self.manager.resting, self.manager.guarded = order, True, -float(order.executed.remsize)
        elif order.info.get("role") == "trade":
            self.trade_ref, self.manager.busy = order.ref, True
            if POST_ONLY in order.info:
                self.entry, self.entry_price, self.manager.entering = order, float(order.created.price), True

    def settle(self, order: BtOrder) -> None:
        """An order is done, filled or not, or a part of an entry is."""
        executed, is_over = float(order.executed.size), not order.alive()
        if order.ref == self.trade_ref:
            if is_over or (executed and self.manager.entering):
                done = order.executed
                self.manager.settle_trade(executed, float(done.price), float(done.psize), float(done.comm), is_over=is_over)
        elif is_over and order.info.get("role") == "stop":  # also one that was filled while its cancel was on the way
            if self.stop_order is not None and order.ref == self.stop_order.ref:
                self.stop_order, self.manager.resting = None, False
            if executed:
                self.manager.settle_stop(epoch_seconds(order.executed.dt))

    def _send(self, change: float, **kwargs: Any) -> BtOrder:
        send = self.strategy.buy if change > 0.0 else self.strategy.sell
        return send(data=self.data, size=abs(change), **kwargs)


class LSTMStrategy(bt.Strategy):
    """Trades each feed's forecast by `decision.target_exposure`, with a protective stop; market orders fill at the next bar's open.

    Several feeds share one account. Orders are placed in `next` only, each with `order.info.reason`. The stop of a new position
    is placed on the bar after its fill; until then that one bar is unguarded, in every mode alike.

    Params:
        settings: the account, its costs and the knobs of the rule.
        saved: what `state` gave before a restart; None for a new start.
        trade_from: UTC epoch seconds; at earlier bars nothing is decided. Those that `saved` does not know yet are learned from.
        passed: open times (UTC epoch seconds) of later bars of which the same holds.
        changes: other settings, each with the open time (UTC epoch seconds) of the bar from which on they are in force, in order.
        learning: what is learned from outcomes.
    """

    params = (
        ("settings", StrategySettings()), ("saved", None), ("trade_from", 0.0), ("changes", ()), ("learning", LearningSettings()),
        ("passed", ()),
    )  # fmt: skip

    def __init__(self) -> None:
        settings, datas = self.p.settings, traded_feeds(self.datas)
        forecasts = [LSTMForecast(data) for data in datas]  # type: ignore[call-arg]  # Backtrader takes the feed off
        feeds = [FeedPositionManager(self, d, f, settings, len(datas)) for d, f in zip(datas, forecasts, strict=True)]
        # By name, so that it does not depend on the order of the feeds who is asked first, and so gets the cash.
        self._feeds = sorted(feeds, key=lambda feed: feed.manager.market.symbol)
        self._by_data = {id(feed.data): feed for feed in feeds}
        self._correlations = Correlations([feed.manager.market.symbol for feed in self._feeds])
        self._learning = self._learn_by(self.p.learning, settings)
        self._use(settings)
        self._changes: list[tuple[float, StrategySettings]] = list(self.p.changes)
        self._risk: RiskState | None = None
        self._paid_in = 0.0  # as the broker counts it, of this process
        self._seen_until = math.inf  # open time of the newest bar that was learned from; before the first there is nothing to catch up on

    def start(self) -> None:
        for feed in self._by_data.values():
            self.broker.getposition(feed.data)  # a simulated broker adds positions up in the order in which they were first asked for
        if self.p.saved is not None:
            self.restore(self.p.saved)
        self.adopt_open_orders()

    def adopt_open_orders(self) -> None:
        """Take over orders that are open from before a restart; `order.info.role` is "trade" or "stop"."""
        for order in getattr(self.broker, "get_orders_open", list)():
            feed = self._by_data.get(id(order.data))
            if feed is not None:
                feed.adopt(order)

    def prenext(self) -> None:
        self.next()

    def next(self) -> None:
        now = epoch_seconds(self.lines.datetime[0])
        if now < self.p.trade_from and now <= self._seen_until:
            return
        self._seen_until = now
        while self._changes and now >= self._changes[0][0]:
            self._use(self._changes.pop(0)[1])
        if self._learning is not None:
            self._learn(self._learning, now)
        if now < self.p.trade_from or now in self.p.passed:
            self._look(now)
            return
        broker = self.broker
        equity = broker.get_value()
        gate = self._watch(equity, now).gate
        if self._portfolio is not None:
            with _together(broker):
                self._portfolio.on_bar([feed.standing(now) for feed in self._feeds], equity, broker.get_cash(), now, gate)
            return
        for feed in self._feeds:
            bars = len(feed.clock)
            if bars == feed.seen or (feed.manager.busy and not feed.manager.entering) or not len(feed.location):
                continue
            feed.seen = bars
            feed.look_up()
            held = broker.getposition(feed.data)
            if feed.manager.busy:
                feed.manager.attend(held.size, held.price, feed.close[0], equity, now)
                continue
            feed.manager.on_bar(
                feed.location_at(now), feed.scale[0], held.size, held.price, feed.close[0], equity, broker.get_cash(), now, gate
            )

    def _look(self, now: float) -> None:
        """Remember a bar at which nothing is decided any more: what is known of scales and correlations has no gap after a restart."""
        standings = [feed.standing(now) for feed in self._feeds]
        if self._portfolio is not None:
            self._portfolio.look(standings)
        for one in standings:
            if one.has_bar:  # whether an order of it was out is not known at a bar that passed
                one.remember()

    def _learn_by(self, learning: LearningSettings, settings: StrategySettings) -> AccountLearning | None:
        first, symbols = self._feeds[0], [feed.manager.market.symbol for feed in self._feeds]
        made = AccountLearning.of(learning, settings, first.context.timeframe, first.horizon, symbols)
        if made is not None:
            for feed, own in zip(self._feeds, made.symbols, strict=True):
                feed.manager.learning = own
        return made

    def _learn(self, learning: AccountLearning, now: float) -> None:
        for change in learning.see([feed.newest(now) for feed in self._feeds]):
            _LOG.info(
                "learned", extra={"facts": {"what": change.what, "of": change.symbol, "before": change.before, "after": change.after}}
            )
        for feed in self._feeds:
            feed.manager.price()

    def _use(self, settings: StrategySettings) -> None:
        if self._learning is not None:
            self._learning.use(settings)
        for feed in self._feeds:
            feed.use(settings)
        self._limits = self._feeds[0].manager.params.limits
        perpetual = self._feeds[0].context.rules.is_perpetual
        together = settings.decides_together(len(self._feeds), perpetual=perpetual)
        self._portfolio = self._together(settings) if together else None

    def _together(self, settings: StrategySettings) -> PortfolioManager:
        first, managers = self._feeds[0], [feed.manager for feed in self._feeds]
        return PortfolioManager(settings, first.context.timeframe, managers, first.horizon, self._correlations)

    def unplaced(self) -> dict[str, dict[str, int]]:
        """By symbol and reason, how many entries were smaller than the smallest order its venue takes."""
        advice = "{} {} is the smallest order, and the risk limits allow less; give the account more cash"
        managers = (feed.manager for feed in self._feeds)
        return {
            d.market.symbol: {advice.format(max(d.market.step, d.market.min_size), d.market.base): d.too_small}
            for d in managers
            if d.too_small
        }

    def notify_order(self, order: BtOrder) -> None:
        feed = self._by_data.get(id(order.data))
        if feed is not None:
            feed.settle(order)

    @property
    def risk(self) -> RiskState | None:
        """The account-wide brakes as of the newest bar; None before the first."""
        return self._risk

    @property
    def learned(self) -> LearningReport | None:
        """What was learned from outcomes so far; None where nothing is."""
        return None if self._learning is None else self._learning.report()

    def state(self) -> dict[str, Any]:
        """What must be kept across a restart; plain JSON values."""
        return {
            "version": _STATE_VERSION,
            **({} if self._seen_until == math.inf else {"until": self._seen_until}),
            "risk": None if self._risk is None else self._risk.as_dict(),
            "books": {feed.manager.market.symbol: feed.manager.state.as_dict() for feed in self._feeds},
            **({} if self._portfolio is None else {"correlations": self._correlations.as_dict()}),
            **({} if self._learning is None else {"learning": self._learning.as_dict()}),
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on from what `state` gave; the param `saved` does it before the first bar.

        Raises:
            InvalidSetting: the state was written by another version.
        """
        if saved.get("version") != _STATE_VERSION:
            raise InvalidSetting(f"strategy state of version {saved.get('version')} cannot be read; this one reads {_STATE_VERSION}")
        self._seen_until = float(saved.get("until", math.inf))
        self._risk = None if saved["risk"] is None else RiskState.restore(saved["risk"])
        for feed in self._feeds:
            if feed.manager.market.symbol in saved["books"]:
                feed.manager.state = PositionState.restore(saved["books"][feed.manager.market.symbol])
        if "correlations" in saved:
            self._correlations.restore(saved["correlations"])
        if self._learning is not None and "learning" in saved:
            self._learning.restore(saved["learning"])
            for feed in self._feeds:
                feed.manager.price()

    def _watch(self, equity: float, now: float) -> RiskState:
        before, paid_in = self._risk, float(getattr(self.broker, "moved", 0.0))
        moved, self._paid_in = paid_in - self._paid_in, paid_in
        risk = self._risk = RiskState.start(equity, now) if before is None else update(before, equity, now, self._limits, moved)
        if before is not None and risk.gate is not before.gate:
            _LOG.warning("risk gate", extra={"facts": {"gate": risk.gate.name.lower(), "equity": equity, "peak": risk.peak}})
        return risk


def _together(broker: Any) -> AbstractContextManager[None]:
    """Where orders leave for a venue, those of one decision leave together."""
    together: Callable[[], AbstractContextManager[None]] = getattr(broker, "together", nullcontext)
    return together()
