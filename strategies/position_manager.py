"""Position management of one symbol, bar by bar: takes the decision, maintains the protective stop, and sends orders to an order port.

It knows neither Backtrader nor the venue, so the strategy and the fast replay run the very same lines.
"""

from __future__ import annotations

from typing import Protocol

from forwardtrader.core.types import MarketRules
from forwardtrader.strategies.decision import DecisionParams, PositionState, target_exposure
from forwardtrader.strategies.learning.symbol_learning import SymbolLearning
from forwardtrader.strategies.order_rules import DustRule, enlarges
from forwardtrader.strategies.risk import Gate
from forwardtrader.strategies.signals import Signal, expected_gain
from forwardtrader.strategies.sizing import units

PASSED = "price is beyond the stop already"


class OrderPort(Protocol):
    """Where a position manager's orders go, in base units, positive to buy; results come back through `PositionManager.settle_*`."""

    def trade(self, change: float, reason: str) -> bool:
        """Send a market order; False where it was refused at once."""
        ...

    def rest_entry(self, change: float, price: float, reason: str) -> bool:
        """Send a post-only limit order that rests until the deadline of the rule of entries; False where it was refused at once."""
        ...

    def resting_value(self) -> float:
        """What is left of the resting entry, at its limit, in quote units."""
        ...

    def cancel_entry(self) -> None:
        """Take the resting entry back; what it came to is told as that of any order."""
        ...

    def rest_stop(self, change: float, price: float) -> bool:
        """Send a stop order that rests until `price` is touched; False where it was refused at once."""
        ...

    def cancel_stop(self) -> None:
        """Take the resting stop back."""
        ...


class PositionManager:
    """Position and orders of one symbol.

    Attributes:
        book: what survives a restart.
        busy: a market order or an entry is out; nothing is decided until it is settled.
        entering: it is an entry that may rest; meanwhile `attend` keeps the stop of what it has built.
        resting: a stop is out; the port clears it when the stop is done.
        guarded: the position it was made for.
        learning: what the account learned of the symbol; None where nothing is learned.
        cost: multiple of the costs that are set which trades are expected to cost.
        params: what is decided by, at these costs.
        too_small: how many entries were smaller than the smallest order.
        is_dust: of the market.
    """

    def __init__(self, market: MarketRules, params: DecisionParams, port: OrderPort) -> None:
        self.port = port
        self.learning: SymbolLearning | None = None
        self.state = PositionState()
        self.busy = self.resting = self.entering = False
        self.guarded = 0.0
        self.too_small = 0
        self.use(params)
        self.use_market(market)

    def use(self, params: DecisionParams) -> None:
        """Decide by these parameters from now on."""
        self._set = params
        self.price()

    def price(self) -> None:
        """Go by what trades are expected to cost now; asked after each bar that was learned from, and not between."""
        self.cost = 1.0 if self.learning is None else self.learning.cost_multiple
        self.params = self._set if self.cost == 1.0 else self._set.at_costs(self.cost)

    def use_market(self, market: MarketRules) -> None:
        """Use the market rules in force now."""
        self.market = market
        self.is_dust = DustRule(market)

    def on_bar(
        self, location: float, scale: float, size: float, paid: float, close: float, equity: float, cash: float, now: float, gate: Gate
    ) -> None:
        """Decide on one closed bar.

        Args:
            location, scale: the forecast made at the bar's close; NaN where no model is in force.
            size, paid: the position in base units, and its average price.
            close: the bar's close.
            equity, cash: of the whole account, in quote units; on margin the cash is the free margin.
            now: the bar's open time, UTC epoch seconds.
        """
        location, scale = self.outlook(location, scale)
        scale, size = self.take_in(scale), self.without_dust(size, close)
        if not self.look(size, paid, close, scale, equity) or equity <= 0.0:
            return
        signal = target_exposure(location, scale, size * close / equity, now, gate, self.state, self.params)
        gives = signal is not None and self._trade(signal, size, close, equity, cash, location, scale)
        self._guard(size, gives=gives)

    @property
    def promised(self) -> float:
        """Cash, on margin free margin, that a resting entry has laid claim to: a venue locks it, and nothing else is bought with it."""
        if not self.entering:
            return 0.0
        rule = self.params.size
        return self.port.resting_value() * ((1.0 / rule.leverage if rule.leverage else 1.0) + rule.entry_cost)

    def outlook(self, location: float, scale: float) -> tuple[float, float]:
        """A forecast as it is to be acted on."""
        return (location, scale) if self.learning is None else self.learning.outlook(location, scale)

    def take_in(self, scale: float) -> float:
        """Take in the newest forecast scale; the remembered one, by which sizes and stops go."""
        return self.state.steady_scale(scale, self.params)

    def without_dust(self, size: float, close: float) -> float:
        """The position, zero where it is too small to be sold."""
        return 0.0 if size and self.is_dust(size, close) else size

    def look(self, size: float, paid: float, close: float, scale: float, equity: float) -> bool:
        """Bring stop and memory in line with the position that is held; False where the price is beyond the stop and it was left."""
        if not size:
            self._forget()
        elif self._stop_passed(size, paid, close, scale, equity):
            self._leave(size, close, PASSED)
            return False
        return True

    def act(self, signal: Signal | None, size: float, close: float, equity: float, cash: float, location: float, scale: float) -> None:
        """Send the orders of a decision, and rest the stop; `scale` is the remembered one."""
        gives = signal is not None and self._trade(signal, size, close, equity, cash, location, scale)
        self._guard(size, gives=gives)

    def attend(self, size: float, paid: float, close: float, equity: float, now: float) -> None:
        """Look at a closed bar while an order is out: what a resting entry has built so far has its stop; after a stop it is taken back."""
        size = self.without_dust(size, close) if self.entering else 0.0
        if self.entering and now < self.state.resume_at:
            self.port.cancel_entry()
        elif size and self._stop_passed(size, paid, close, 0.0, equity):
            self._leave(size, close, PASSED)
        elif size:
            self._guard(size, gives=False)

    def settle_trade(self, executed: float, price: float, size: float, fee: float, *, is_over: bool = True) -> None:
        """The order is done, or a part of it where not `is_over`: `executed` units (negative sold) at `price` and for `fee` (quote units),
        which left a position of `size`."""
        if is_over:
            self.busy = self.entering = False
            if self.learning is not None:
                self.learning.settle(executed, price, fee)
        if enlarges(size - executed, size):
            self.state.fill = price

    def settle_stop(self, at: float) -> None:
        """The stop was filled, wholly or in part, at the bar opened `at`."""
        self.state.resume_at = at + self.params.cooldown_s

    def _guard(self, size: float, *, gives: bool) -> None:
        """Rest the stop for the position, unless units of it are given up."""
        if size and not gives and (self.guarded != size or not self.resting):
            self._drop_stop()
            self.guarded = size
            self.resting = self.port.rest_stop(-size, self.state.stop)

    def _forget(self) -> None:
        self._drop_stop()
        if self.state.stop or self.state.fill:
            self.state.close()

    def _stop_passed(self, size: float, paid: float, close: float, scale: float, equity: float) -> bool:
        """Work out the stop after a fill; whether the price is beyond it, so that resting it there would come too late."""
        state = self.state
        if state.fill or not state.stop:
            if not state.distance:  # a position that was found, not taken
                state.intend(scale if scale > 0.0 else 0.0, equity, self.params)
            state.fill = state.fill or paid
            state.place_stop(size, self.params)
            self.guarded = 0.0
        return close <= state.stop if size > 0.0 else close >= state.stop

    def _trade(self, signal: Signal, size: float, close: float, equity: float, cash: float, location: float, scale: float) -> bool:
        """Send the order that leads to the target exposure; True where units are given up, which a resting stop would lock."""
        held = size * close / equity
        edge = expected_gain(location, scale, self.params.edge) * 1e4
        reason = f"{signal.reason} (edge {edge:.1f} bp, exposure {held:.3f} to {signal.exposure:.3f})"
        grows = enlarges(held, signal.exposure)
        change = units(signal.exposure * equity - size * close, close, cash, self.params.size, grows=grows)
        if size and (signal.exposure * size <= 0.0 or self.is_dust(size + change, close)):
            self._leave(size, close, reason)  # a flip goes through flat: the other side is entered on the next bar
            return True
        if grows:
            if self.is_dust(change, close):
                self.too_small += 1
            else:
                self.state.intend(scale, equity, self.params)
                self._enter(change, close, location, reason)
            return False
        self._drop_stop()
        self._expect(close)
        self.busy = self.port.trade(change, reason)
        return True

    def _enter(self, change: float, close: float, location: float, reason: str) -> None:
        """Send the order that adds exposure: one that rests, or one to the market."""
        rule, buys = self.params.entry, change > 0.0
        limit = 0.0 if rule is None or not rule.rests(location, buys=buys) else rule.limit(close, self.market, buys=buys)
        if limit > 0.0:
            self._expect(close, 1.0 if buys else -1.0)
            self.busy = self.entering = self.port.rest_entry(change, limit, reason)
        else:
            self._expect(close)
            self.busy = self.port.trade(change, reason)

    def _expect(self, close: float, side: float = 0.0) -> None:
        if self.learning is not None:
            self.learning.expect(close, side)

    def _leave(self, size: float, close: float, reason: str) -> None:
        self._drop_stop()
        if self.entering:
            self.entering = False
            self.port.cancel_entry()
        self._expect(close)
        self.busy = self.port.trade(-size, reason)

    def _drop_stop(self) -> None:
        if self.resting:
            self.resting = False
            self.port.cancel_stop()
