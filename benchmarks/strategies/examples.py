"""The example strategies of the project's pages, beside plain Backtrader with the same costs.

Every example strategy of README.md and docs/, and Backtrader's own `SMA_CrossOver`, once through `build_cerebro` (the venue's grid and
smallest order, the fee of a buy in base currency) and once on Backtrader's own broker (the same cash, fee and slippage, the fee in quote
currency, no rules). Forecasts are those of the walk-forward of each market.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import backtrader as bt
import pandas as pd
from backtrader.strategies import SMA_CrossOver

from forwardtrader.backtest.forecasting import tables, train
from forwardtrader.backtest.market_data import load_markets
from forwardtrader.backtest.request import BacktestRequest
from forwardtrader.backtest.simulation import EXTRA_BARS
from forwardtrader.core.clock import Clock
from forwardtrader.core.config import changed
from forwardtrader.core.settings import Settings, StrategySettings
from forwardtrader.core.types import MarketRules, Timeframe
from forwardtrader.feeds.backtrader_data import frame_data
from forwardtrader.models.forecaster import ForecastSource
from forwardtrader.strategies.backtrader.assembly import Feed, build_cerebro, record_of
from forwardtrader.strategies.costs import VenueCommission

ROOT: Final = Path(__file__).resolve().parent.parent.parent
FIRST: Final = datetime(2022, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Played:
    """What one run came to: closed trades as Backtrader tells them, orders refused, equity at the end, dust in quote units."""

    trips: int
    refused: int
    equity: float
    dust: float


@dataclass(frozen=True)
class Market:
    """The bars of one symbol and what is forecast on them."""

    bars: pd.DataFrame
    rules: MarketRules
    timeframe: Timeframe
    source: ForecastSource


def example_strategies(root: Path = ROOT) -> dict[str, type[bt.Strategy]]:
    """Every strategy class in the Python blocks of README.md and docs/, by page and name, and Backtrader's own crossover."""
    found: dict[str, type[bt.Strategy]] = {}
    for page in (root / "README.md", *sorted((root / "docs").glob("*.md"))):
        for code in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            if "(bt.Strategy)" in code:
                scope: dict[str, Any] = {}
                exec(code, scope)
                found |= {f"{page.name}: {n}": c for n, c in scope.items() if isinstance(c, type) and issubclass(c, bt.Strategy)}
    return found | {"backtrader: SMA_CrossOver": SMA_CrossOver}


def plain_broker(settings: StrategySettings) -> Any:
    """Backtrader's own broker with the same costs; fractions of a unit can be traded."""
    broker = bt.brokers.BackBroker()
    broker.setcash(settings.cash)
    broker.set_slippage_perc(settings.slippage_bps / 1e4, slip_open=True, slip_limit=False, slip_match=True, slip_out=True)
    broker.addcommissioninfo(VenueCommission(commission=settings.fee_bps / 1e4))
    return broker


def play(market: Market, strategy: type[bt.Strategy], settings: StrategySettings, broker: Any = None) -> Played:
    """One run; None for our own broker."""
    data = frame_data(market.bars, market.timeframe, name=market.rules.symbol)
    feed = Feed(data=data, rules=market.rules, timeframe=market.timeframe, source=market.source)
    analyzers = [(bt.analyzers.TradeAnalyzer, {"_name": "trades"})]
    run = build_cerebro([feed], settings, strategy=strategy, broker=broker, analyzers=analyzers).run()[0]
    trades, record = run.analyzers.trades.get_analysis(), record_of(run)
    return Played(
        trips=int(trades.total.closed) if "closed" in trades.total else 0,
        refused=sum(sum(reasons.values()) for reasons in record.refused.values()),
        equity=float(run.broker.get_value()),
        dust=sum(dust.value for dust in record.dust),
    )


def compared(market: Market, settings: StrategySettings) -> Iterator[tuple[str, Played, Played]]:
    """By strategy: ours, and Backtrader's own."""
    for name, strategy in example_strategies().items():
        yield name, play(market, strategy, settings), play(market, strategy, settings, plain_broker(settings))


def markets_of(data: dict[str, Path], symbols: Sequence[str], clock: Clock) -> Iterator[Market]:
    """Each market by itself, forecast as `run_backtest.py --from 2022-01-01` does."""
    for symbol in data or symbols:
        overrides = {"feeds.symbols": [symbol], **({} if data else {"feeds.source": "sample"}), "models.baselines": ["none"]}
        request = BacktestRequest(
            settings=changed(Settings(), overrides), first=FIRST, last=clock.now(), command="", quiet=True,
            files={symbol: data[symbol]} if data else {},
        )  # fmt: skip
        histories = load_markets(request, clock)
        source = tables(train(histories, request, _unheard), request, _unheard).source(
            symbol, request.settings.strategies.horizon, histories[symbol].timeframe
        )
        bars = histories[symbol].candles
        first = int(bars.index.searchsorted(pd.Timestamp(FIRST)))
        yield Market(bars.iloc[max(0, first - source.warm_up - EXTRA_BARS) :], histories[symbol].rules, histories[symbol].timeframe, source)


def _unheard(done: int, total: int) -> None:
    """Nobody watches."""
