"""The strategy's run over arrays, without Backtrader: the same desk and the same fills some ten times faster, for sweeps.

One symbol, the venue's fee in quote currency, no other orders than the desk's. Fills follow `VenueRulesBroker`: market orders at
the next traded bar's open, stops at their price or at a worse open, slippage in full, the same order of float operations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from core.errors import InvalidSetting
from core.settings import StrategySettings
from core.types import MarketRules, OrderRequest, Side, Timeframe
from strategies.desk import Desk
from strategies.orders import RawOrder, normalise
from strategies.plan import STOPPED, Rules
from strategies.risk import RiskState, update

FILL_COLUMNS = ("timestamp", "symbol", "side", "size", "price", "fee", "reason")
_FLOAT_NOISE = 1e-9


@dataclass(slots=True)
class Ticket:
    """An order that is out. `stop` is None for a market order."""

    change: float
    stop: float | None
    reference: float
    reason: str
    new: bool = True


@dataclass
class ReplayAccount:
    """Cash and one position, and the orders of one desk; an `OrderPort`."""

    market: MarketRules
    cash: float
    fee: float
    slippage: float
    size: float = 0.0
    paid: float = 0.0
    close: float = 0.0
    tickets: list[Ticket] = field(default_factory=list)
    fills: list[tuple[Any, ...]] = field(default_factory=list)

    def trade(self, change: float, reason: str) -> bool:
        return self._take(change, None, reason)

    def rest_stop(self, change: float, price: float) -> bool:
        return self._take(change, price, STOPPED)

    def cancel_stop(self) -> None:
        self.tickets = [ticket for ticket in self.tickets if ticket.stop is None]

    def equity(self) -> float:
        """As `BackBroker` works it out, step by step, so that the last digit is the same."""
        if not self.size:
            return self.cash + 0.0
        unrealized = self.size * (self.close - self.paid)
        value = self.size * self.close
        return self.cash + ((value - unrealized) + unrealized if value > 0.0 else value)

    def match(self, row: int, opened: float, high: float, low: float, traded: bool, settle: Callable[[Ticket, float, float], None]) -> None:
        """Fill what this bar fills; `settle` hears of each order that is done."""
        self._check_cash(settle)
        if not traded:
            return
        for ticket in list(self.tickets):
            price = self._fill_price(ticket, opened, high, low)
            if price is not None and ticket in self.tickets:
                self.tickets.remove(ticket)
                settle(ticket, self._fill(ticket, price, row), price)

    def _take(self, change: float, stop: float | None, reason: str) -> bool:
        raw = RawOrder(side=Side.BUY if change > 0.0 else Side.SELL, size=abs(change), reference=self.close, stop_price=stop)
        locked = sum(-ticket.change for ticket in self.tickets if ticket.change < 0.0)
        answer = normalise(raw, self.market, sellable=self.size - locked)
        if not isinstance(answer, OrderRequest):
            return False
        size, price = float(answer.size), None if answer.stop_price is None else float(answer.stop_price)
        self.tickets.append(Ticket(size if change > 0.0 else -size, price, price or self.close, reason))
        return True

    def _check_cash(self, settle: Callable[[Ticket, float, float], None]) -> None:
        """New orders must be payable at the price they were made at, one after the other."""
        if not any(ticket.new for ticket in self.tickets):
            return
        cash = self.cash
        for ticket in [ticket for ticket in self.tickets if ticket.new]:
            ticket.new = False
            cash -= ticket.change * ticket.reference + abs(ticket.change) * self.fee * ticket.reference
            if cash < 0.0:
                self.tickets.remove(ticket)
                settle(ticket, 0.0, 0.0)

    def _fill_price(self, ticket: Ticket, opened: float, high: float, low: float) -> float | None:
        buys = ticket.change > 0.0
        price = opened
        if ticket.stop is not None:
            if buys and opened < ticket.stop:
                if high < ticket.stop:
                    return None
                price = ticket.stop
            elif not buys and opened > ticket.stop:
                if low > ticket.stop:
                    return None
                price = ticket.stop
        return price * (1.0 + self.slippage) if buys else price * (1.0 - self.slippage)

    def _fill(self, ticket: Ticket, price: float, row: int) -> float:
        """Book one fill; the units executed, 0 where the cash did not suffice."""
        change = ticket.change
        if self.size and self.size + change and abs(self.size + change) < _FLOAT_NOISE * abs(self.size):
            change = -self.size
        closed, opened = self._split(change)
        cash = self.cash
        if closed:
            cash += -closed * self.paid + -closed * (price - self.paid)
            cash -= abs(closed) * self.fee * price
            self.cash = cash
        if opened:
            cash -= opened * price
            cash -= abs(opened) * self.fee * price
            if cash < 0.0:
                opened = 0.0
            else:
                self.cash = cash
        return self._book(closed, opened, price, row, ticket.reason)

    def _split(self, change: float) -> tuple[float, float]:
        """How much of `change` closes the position, and how much opens one."""
        if self.size * change >= 0.0:
            return 0.0, change
        if abs(change) <= abs(self.size):
            return change, 0.0
        return -self.size, change + self.size

    def _book(self, closed: float, opened: float, price: float, row: int, reason: str) -> float:
        change = closed + opened
        if not change:
            return 0.0
        before, self.size = self.size, self.size + change
        if not self.size:
            self.paid = 0.0
        elif not before or before * self.size < 0.0:
            self.paid = price
        elif opened:
            self.paid = (self.paid * before + change * price) / self.size
        fee = abs(opened) * self.fee * price + abs(closed) * self.fee * price
        self.fills.append((row, str(Side.BUY if change > 0.0 else Side.SELL), abs(change), price, fee, reason))
        return change


def replay(
    bars: pd.DataFrame, forecasts: pd.DataFrame, settings: StrategySettings, market: MarketRules, timeframe: Timeframe, horizon: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Fills (timestamp, symbol, side, size, price, fee, reason) and equity (equity, cash by bar-open time) of the strategy's run.

    Args:
        bars: open, high, low, close, volume by UTC bar-open time.
        forecasts: `location` and `scale` on the same index, over `horizon` bars.

    Raises:
        InvalidSetting: the market takes its fee in base currency.
    """
    if market.fee_in_base:
        raise InvalidSetting(f"{market.symbol} takes fees in {market.base}, which the fast replay does not model; run the full backtest")
    rules = Rules.of(settings, market, timeframe, horizon)
    account = ReplayAccount(market, settings.cash, settings.fee_bps / 1e4, settings.slippage_bps / 1e4)
    desk = Desk(market, rules, account)
    equity, cash = _walk(bars, forecasts, account, desk, rules)
    fills = pd.DataFrame(account.fills, columns=["row", "side", "size", "price", "fee", "reason"])
    fills.insert(0, "timestamp", bars.index[fills.pop("row").to_numpy(dtype=np.int64)])
    fills.insert(1, "symbol", market.symbol)
    return fills, pd.DataFrame({"equity": equity, "cash": cash}, index=bars.index)


def _walk(bars: pd.DataFrame, forecasts: pd.DataFrame, account: ReplayAccount, desk: Desk, rules: Rules) -> tuple[list[float], list[float]]:
    times = (bars.index.as_unit("ms").asi8 / 1000.0).tolist()  # type: ignore[attr-defined]
    columns = [bars[name].tolist() for name in ("open", "high", "low", "close", "volume")]
    wishes = [forecasts[name].tolist() for name in ("location", "scale")]
    equities: list[float] = []
    cashes: list[float] = []
    risk: RiskState | None = None
    now = 0.0

    def settle(ticket: Ticket, executed: float, price: float) -> None:
        if ticket.stop is None:
            desk.settle_trade(executed, price, account.size)
            return
        desk.resting = False
        if executed:
            desk.settle_stop(now)

    for row, (now, opened, high, low, close, volume, location, scale) in enumerate(zip(times, *columns, *wishes, strict=True)):
        if account.tickets:
            account.match(row, opened, high, low, bool(volume) or high != low, settle)
        account.close = close
        equity = account.equity()
        equities.append(equity)
        cashes.append(account.cash)
        risk = RiskState.start(equity, now) if risk is None else update(risk, equity, now, rules.limits)
        if not desk.busy:
            desk.tend(location, scale, account.size, account.paid, close, equity, account.cash, now, risk.gate)
    return equities, cashes
