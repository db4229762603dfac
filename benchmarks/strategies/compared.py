"""One strategy twice: behind our assembly with fees and rules off, and on Backtrader alone, compared order by order."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import backtrader as bt
import pandas as pd

from forwardtrader.core.settings import StrategySettings
from forwardtrader.core.types import MarketRules, Timeframe
from forwardtrader.feeds.backtrader_data import frame_data
from forwardtrader.strategies.backtrader.assembly import Feed, build_cerebro
from forwardtrader.strategies.backtrader.sizer import EquityShare
from forwardtrader.strategies.costs import VenueCommission

# Sizes and prices are decimals of twelve digits on the way to a venue.
NOISE: Final = 1e-9
FREE: Final = StrategySettings(fee_bps=0.0, slippage_bps=0.0, spread_bps=0.0)
Prepare = Callable[[bt.Cerebro], None]


@dataclass(frozen=True)
class Case:
    """A strategy and what its user's script adds to cerebro.

    Attributes:
        name: what the table calls it.
        symbols: how many feeds it takes.
        unsized: it leaves sizes to the run, whose sizer Backtrader then gets too: its own default is one coin.
        difference: why it cannot be equal; "" where it must.
        in_session: why a session with real orders may differ from its replay; "" where it must not.
    """

    name: str
    strategy: type[bt.Strategy] | None
    symbols: int = 1
    params: Mapping[str, Any] = field(default_factory=dict)
    unsized: bool = False
    prepare: Prepare = lambda _cerebro: None
    difference: str = ""
    in_session: str = ""


@dataclass(frozen=True)
class Played:
    """What one run came to.

    Attributes:
        notices: every notification of an order: bars so far, number of the order, status, side, kind, size asked for, done, price.
        fills: every execution: bars so far, number of the order, size, price.
        seen: what the strategy wrote down by itself.
        value: of the account at the end.
    """

    notices: Sequence[tuple[Any, ...]]
    fills: Sequence[tuple[Any, ...]]
    seen: tuple[Any, ...]
    value: float

    @property
    def orders(self) -> int:
        return len({notice[1] for notice in self.notices})


class Notices(bt.Analyzer):
    """Writes every notification of an order down, as the strategy gets it.

    Where a sum of floats leaves an order filled but for its last digit, Backtrader fills the digit a bar later; that is left out.
    """

    def start(self) -> None:
        self.rows: list[tuple[Any, ...]] = []
        self.fills: list[tuple[Any, ...]] = []
        self._numbers: dict[int, int] = {}
        self._filled: set[int] = set()

    def notify_order(self, order: Any) -> None:
        number = self._numbers.setdefault(order.ref, len(self._numbers))
        if number in self._filled:
            return
        done, status = order.executed, order.getstatusname()
        if status == "Partial" and abs(done.remsize) < NOISE:
            status = "Completed"
            self._filled.add(number)
        self.rows.append(
            (len(self.strategy), number, status, order.isbuy(), order.getordername(), order.created.size, done.size, done.price)
        )  # fmt: skip
        self.fills += [(len(self.strategy), number, bit.size, bit.price) for bit in done.iterpending()]


def free_rules(symbol: str) -> MarketRules:
    """Rules that refuse nothing: any size, any price, short too."""
    base, _, quote = symbol.partition("/")
    return MarketRules(symbol=symbol, base=base, quote=quote, tick=Decimal("1e-12"), step=Decimal("1e-12"), can_short=True)


def ours(case: Case, markets: Mapping[str, pd.DataFrame], timeframe: Timeframe) -> Played:
    """The case behind our assembly."""
    feeds = [
        Feed(data=frame_data(bars, timeframe, name=symbol), rules=free_rules(symbol), timeframe=timeframe)
        for symbol, bars in list(markets.items())[: case.symbols]
    ]
    cerebro = build_cerebro(feeds, FREE, strategy=case.strategy or bt.SignalStrategy, strategy_params=case.params)
    return played(cerebro, case)


def plain(case: Case, markets: Mapping[str, pd.DataFrame], timeframe: Timeframe) -> Played:
    """The case on Backtrader alone."""
    cerebro = bt.Cerebro()
    for symbol, bars in list(markets.items())[: case.symbols]:
        cerebro.adddata(frame_data(bars, timeframe, name=symbol), name=symbol)
    cerebro.broker.setcash(FREE.cash)
    cerebro.broker.addcommissioninfo(VenueCommission(commission=0.0))  # without it Backtrader's sizes are whole coins
    cerebro.addstrategy(case.strategy or bt.SignalStrategy, **case.params)
    if case.unsized:
        cerebro.addsizer(EquityShare, settings=FREE)
    return played(cerebro, case)


def played(cerebro: bt.Cerebro, case: Case) -> Played:
    """Run a cerebro with what the case adds to it."""
    case.prepare(cerebro)
    cerebro.addanalyzer(Notices, _name="notices")
    run = cerebro.run()[0]
    seen = tuple(value for name, value in sorted(vars(run).items()) if name in WRITTEN)
    return Played(run.analyzers.notices.rows, run.analyzers.notices.fills, seen, float(run.broker.getvalue()))


# Where the strategies of the collection write down what they saw.
WRITTEN: Final = ("closed", "expired", "margins", "opened", "paid", "seen")


def differences(one: Played, other: Played) -> list[str]:
    """What is not equal, each in a few words; the first of its kind."""
    parts = {
        "fills": (one.fills, other.fills), "notifications": (one.notices, other.notices), "what it saw": (one.seen, other.seen),
        "final value": (one.value, other.value),
    }  # fmt: skip
    return [f"{name}: {_first(a, b)}" for name, (a, b) in parts.items() if not alike(a, b)]


def alike(one: Any, other: Any) -> bool:
    """Equal, numbers to the noise of twelve digits."""
    if isinstance(one, float) or isinstance(other, float):
        return math.isclose(one, other, rel_tol=NOISE, abs_tol=NOISE) or (math.isnan(one) and math.isnan(other))
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(alike, one, other))
    return bool(one == other)


def _first(one: Any, other: Any) -> str:
    if not isinstance(one, list | tuple):
        return f"{one} for {other}"
    pairs = (f"{a} for {b}" for a, b in zip(one, other, strict=False) if not alike(a, b))
    return f"{len(one)} for {len(other)}, first {next(pairs, 'none')}"
