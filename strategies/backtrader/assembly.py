"""The assembly: the one place where feeds, broker, strategy, sizer and analyzers are put together, for every mode."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import backtrader as bt
import pandas as pd

from forwardtrader.core.command.flags import nearest
from forwardtrader.core.errors import ConfigError, InvalidSetting
from forwardtrader.core.settings import StrategySettings
from forwardtrader.core.types import MarketRules, Timeframe
from forwardtrader.models.forecaster import ForecastSource
from forwardtrader.strategies.backtrader.broker import VenueRulesBroker
from forwardtrader.strategies.backtrader.equity_recorder import EquityRecorder
from forwardtrader.strategies.backtrader.fill_recorder import FillRecorder
from forwardtrader.strategies.backtrader.indicator import reads_forecasts
from forwardtrader.strategies.backtrader.sizer import EquityShare
from forwardtrader.strategies.backtrader.strategy import LSTMStrategy
from forwardtrader.strategies.backtrader.trading_monitor import TradingMonitor
from forwardtrader.strategies.costs import VenueCommission
from forwardtrader.strategies.feed_context import FeedContext, attach
from forwardtrader.strategies.holdings import Dust
from forwardtrader.strategies.trading_state.guard import TradingGuard, TradingReport


@dataclass(frozen=True, kw_only=True)
class Feed:
    """One symbol to trade. `data` is a Backtrader feed whose bars are stamped with their UTC open time."""

    data: Any
    rules: MarketRules
    timeframe: Timeframe
    source: ForecastSource | None = None


@dataclass(frozen=True)
class Record:
    """Record of a run; columns as in `FillRecorder.frame` and `EquityRecorder.frame`.

    `refused` holds, by symbol, how many orders the venue's rules forbade or would have, and why; `dust` what was held at the end and is too
    small to be sold. `reads_forecasts` tells whether the strategy uses forecasts at all. `limits` is what became of the account's limits;
    None where there were none.
    """

    fills: pd.DataFrame
    equity: pd.DataFrame
    refused: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    dust: Sequence[Dust] = ()
    reads_forecasts: bool = True
    limits: TradingReport | None = None


def build_cerebro(
    feeds: Sequence[Feed],
    settings: StrategySettings,
    *,
    strategy: type[bt.Strategy] = LSTMStrategy,
    strategy_params: Mapping[str, Any] | None = None,
    broker: Any = None,
    analyzers: Sequence[tuple[type[bt.Analyzer], Mapping[str, Any]]] = (),
    trade_from: datetime | None = None,
    saved: Mapping[str, Any] | None = None,
    guard: TradingGuard | None = None,
    runonce: bool = True,
    preload: bool = True,
    exactbars: int = 0,
    stdstats: bool = False,
) -> bt.Cerebro:
    """A cerebro that is ready to run.

    Args:
        feeds: at least one; several share one account.
        strategy: ours, or any other; another one may use `LSTMForecast` without a source on these feeds.
        strategy_params: further parameters of the strategy.
        broker: None for `VenueRulesBroker` with the cash and costs of `settings`; a live broker otherwise, taken as it is.
        analyzers: further analyzers with their parameters, beside the recorders "fills" and "equity".
        trade_from: orders on earlier bars are refused; those bars only warm indicators up.
        saved: the state of `LSTMStrategy` before a restart.
        guard: the limits of the account, for every strategy; None for none.

    Raises:
        InvalidSetting: no feed, or a symbol twice, or limits for a broker that knows none.
    """
    _check(feeds)
    # quicknotify everywhere: a live fill must reach the strategy before the next bar, and history must not differ from that.
    cerebro = bt.Cerebro(
        stdstats=stdstats, runonce=runonce, preload=preload, exactbars=exactbars, quicknotify=True, cheat_on_open=False, maxcpus=1
    )
    for feed in feeds:
        attach(feed.data, FeedContext(feed.rules, feed.timeframe, feed.source))
        cerebro.adddata(feed.data, name=feed.rules.symbol)
    settings = settings if guard is None else guard.limits.within(settings, len(feeds))
    start = trade_from.timestamp() if trade_from is not None else 0.0
    chosen = broker if broker is not None else venue_broker([feed.rules for feed in feeds], settings, trade_from=start)
    cerebro.setbroker(chosen)
    ours = {"settings": settings, "saved": saved, "trade_from": start} if issubclass(strategy, LSTMStrategy) else {}
    cerebro.addstrategy(strategy, **{**ours, **(strategy_params or {})})
    cerebro.addsizer(EquityShare, settings=settings)
    if guard is not None:
        _guard(cerebro, chosen, guard, start)
    cerebro.addanalyzer(FillRecorder, _name="fills")
    cerebro.addanalyzer(EquityRecorder, _name="equity")
    for analyzer, params in analyzers:
        cerebro.addanalyzer(analyzer, **params)
    return cerebro


def _guard(cerebro: bt.Cerebro, broker: Any, guard: TradingGuard, trade_from: float) -> None:
    """Have the broker ask the guard, and an analyzer tell it what happens, before anything else sees a bar."""
    if not hasattr(broker, "guard"):
        raise InvalidSetting(
            f"risk.* limits of every run need a broker of forwardtrader, and {type(broker).__name__} is none; leave them out"
        )
    broker.guard = guard
    cerebro.addanalyzer(TradingMonitor, guard=guard, trade_from=trade_from, _name="limits")


def venue_broker(
    rules: Sequence[MarketRules],
    settings: StrategySettings,
    *,
    trade_from: float = 0.0,
    kind: type[VenueRulesBroker] = VenueRulesBroker,
) -> VenueRulesBroker:
    """Backtrader's broker with the account and costs of `settings`, behind the rules of the symbols; `kind` is a subclass, for paper."""
    broker = kind(trade_from=trade_from)
    broker.setcash(settings.cash)
    broker.set_checksubmit(True)
    broker.set_slippage_perc(settings.slippage_bps / 1e4, slip_open=True, slip_limit=False, slip_match=True, slip_out=True)
    fee = settings.fee_bps / 1e4
    for rule in rules:
        broker.addcommissioninfo(VenueCommission(commission=fee, base_fee=fee if rule.fee_in_base else 0.0), name=rule.symbol)
    return broker


def record_of(strategy: bt.Strategy) -> Record:
    """Fills and equity of a strategy that `build_cerebro` put together and `cerebro.run()` returned."""
    refused = dict(getattr(strategy.broker, "refused", {}))
    if isinstance(strategy, LSTMStrategy):
        refused = strategy.unplaced() | refused
    holdings = getattr(strategy.broker, "holdings", None)
    dust = holdings.dust() if holdings else ()
    guard = getattr(strategy.broker, "guard", None)
    limits = guard.report() if guard is not None else None
    return Record(strategy.analyzers.fills.frame(), strategy.analyzers.equity.frame(), refused, dust, reads_forecasts(strategy), limits)


def load_strategy(spec: str) -> type[bt.Strategy]:
    """The class named by `module:Class` or `path/to/file.py:Class`, looked for from the working directory too.

    Raises:
        ConfigError: no such module, no such class in it, or the class is not a Backtrader strategy.
    """
    module_name, colon, class_name = spec.rpartition(":")
    if not colon or not module_name or not class_name:
        raise ConfigError(f"--strategy {spec!r}: write it as MODULE:CLASS, for example mystrategies.trend:Trend")
    module = _import(module_name, spec)
    found = getattr(module, class_name, None)
    known = [name for name, value in vars(module).items() if isinstance(value, type) and issubclass(value, bt.Strategy)]
    if found is None:
        raise ConfigError(f"--strategy {spec!r}: {module_name} has no class {class_name}{nearest(class_name, known)}")
    if not (isinstance(found, type) and issubclass(found, bt.Strategy)):
        raise ConfigError(f"--strategy {spec!r}: {class_name} is not a subclass of backtrader.Strategy")
    return found


def _import(name: str, spec: str) -> Any:
    folder, stem = (str(Path(name).resolve().parent), Path(name).stem) if name.endswith(".py") else (str(Path.cwd()), name)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return importlib.import_module(stem)
    except ModuleNotFoundError as error:
        if error.name != stem and not stem.startswith(f"{error.name}."):
            raise ConfigError(f"--strategy {spec!r}: {name} needs the module {error.name}, which is not installed") from error
        raise ConfigError(f"--strategy {spec!r}: there is no module {name} on the path or in {folder}") from error
    except (ImportError, SyntaxError) as error:
        raise ConfigError(f"--strategy {spec!r}: {name} cannot be imported: {error}") from error


def _check(feeds: Sequence[Feed]) -> None:
    symbols = [feed.rules.symbol for feed in feeds]
    if not symbols:
        raise InvalidSetting("nothing to trade; name at least one symbol")
    twice = {symbol for symbol in symbols if symbols.count(symbol) > 1}
    if twice:
        raise InvalidSetting(f"{', '.join(sorted(twice))} is named twice; name each symbol once")
