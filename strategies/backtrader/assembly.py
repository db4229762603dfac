"""The assembly: the one place where feeds, broker, strategy, sizer and analyzers are put together, for every mode."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import product
from typing import Any, Final

import backtrader as bt
import pandas as pd

from forwardtrader.core.errors import InvalidSetting
from forwardtrader.core.settings import LearningSettings, StrategySettings
from forwardtrader.core.types import MarketRules, Spans, Timeframe
from forwardtrader.models.forecaster import ForecastSource
from forwardtrader.strategies.backtrader.broker import VenueRulesBroker
from forwardtrader.strategies.backtrader.hosting import hosted
from forwardtrader.strategies.backtrader.indicator import reads_forecasts
from forwardtrader.strategies.backtrader.on_margin.trading import MarginReport, MarginTerms
from forwardtrader.strategies.backtrader.recorders.equity_recorder import EquityRecorder
from forwardtrader.strategies.backtrader.recorders.fill_recorder import FillRecorder
from forwardtrader.strategies.backtrader.recorders.stop_recorder import StopRecorder, stops_frame
from forwardtrader.strategies.backtrader.strategy import LSTMStrategy
from forwardtrader.strategies.backtrader.trading_monitor import TradingMonitor
from forwardtrader.strategies.costs import VenueCommission, maker_fee
from forwardtrader.strategies.detail.series import DetailSeries
from forwardtrader.strategies.feed_context import FeedContext, attach
from forwardtrader.strategies.holdings import Dust
from forwardtrader.strategies.learning.account_learning import LearningReport
from forwardtrader.strategies.margin.series import PerpetualFacts
from forwardtrader.strategies.orders.entry_record import EntryRecord
from forwardtrader.strategies.orders.families import on_close_note
from forwardtrader.strategies.orders.resting_orders import RestingFills
from forwardtrader.strategies.trading_state.guard import TradingGuard, TradingReport
from forwardtrader.strategies.user_code.missing_feeds import naming_feeds

# Bars before the first traded one that a user's own indicators may warm up on.
EXTRA_BARS: Final = 256


@dataclass(frozen=True, kw_only=True)
class Feed:
    """One symbol to trade.

    `data` is a Backtrader feed whose bars are stamped with their UTC open time; `last_bar`, `facts`, `members`, `detail` and `paused` are
    as in `FeedContext`.
    """

    data: Any
    rules: MarketRules
    timeframe: Timeframe
    source: ForecastSource | None = None
    last_bar: float = 0.0
    facts: PerpetualFacts | None = None
    members: Spans | None = None
    detail: DetailSeries | None = None
    paused: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """Record of a run; columns as in `FillRecorder.frame`, `EquityRecorder.frame` and `stops_frame`.

    `refused` holds, by symbol and reason, how many orders came to nothing: refused, too dear for the account, or expired. `dust` is what
    was held at the end and is too small to be sold, `deposits` the cash that the strategy paid in, less what it took out: equity and cash
    are shown as if it had not, so that a deposit is no return. `ended` says, by symbol, that its bars ended before the run did.
    `backtest_only` says, by symbol, what a session with real orders would have refused.
    `reads_forecasts` tells whether the strategy uses forecasts at all. `limits` is what became of the account's limits; None where there
    were none. `margin` is what became of an account of perpetuals, `entries` of entries that were to rest; None where there were none.
    `learned` is what our strategy learned from its outcomes; None where it learned nothing.
    """

    fills: pd.DataFrame
    equity: pd.DataFrame
    refused: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    dust: Sequence[Dust] = ()
    deposits: float = 0.0
    ended: Mapping[str, str] = field(default_factory=dict)
    backtest_only: Mapping[str, str] = field(default_factory=dict)
    reads_forecasts: bool = True
    limits: TradingReport | None = None
    margin: MarginReport | None = None
    entries: EntryRecord | None = None
    learned: LearningReport | None = None
    stops: pd.DataFrame = field(default_factory=lambda: stops_frame([]))


def build_cerebro(
    feeds: Sequence[Feed],
    settings: StrategySettings,
    *,
    resample: Sequence[str] = (),
    strategy: type[bt.Strategy] = LSTMStrategy,
    strategy_params: Mapping[str, Any] | None = None,
    broker: Any = None,
    analyzers: Sequence[tuple[type[bt.Analyzer], Mapping[str, Any]]] = (),
    trade_from: datetime | None = None,
    begins: datetime | None = None,
    passed: Collection[float] = (),
    saved: Mapping[str, Any] | None = None,
    guard: TradingGuard | None = None,
    learning: LearningSettings = LearningSettings(),  # noqa: B008 - frozen
    runonce: bool = True,
    preload: bool = True,
    exactbars: int = 0,
    stdstats: bool | None = None,
) -> bt.Cerebro:
    """A cerebro that is ready to run.

    Args:
        feeds: at least one; several share one account.
        resample: lengths of further feeds behind these ("4h"), which show longer bars of each; a feed of this project is needed for that.
        strategy: ours, or any other; another one may use `LSTMForecast` without a source on these feeds.
        strategy_params: further parameters of the strategy.
        broker: None for `VenueRulesBroker` with the cash and costs of `settings`; a live broker otherwise, taken as it is.
        analyzers: further analyzers with their parameters, beside the recorders "fills", "equity" and "stops".
        trade_from: orders on earlier bars are refused.
        begins: the first bar that the strategy meets, earlier ones only warm indicators up; `trade_from` where None. It is earlier
            where a strategy meets bars again that it was shown before a restart.
        passed: bars (open times, UTC epoch seconds) that our strategy and the limits only look at, since a session decided nothing there.
        saved: the state of `LSTMStrategy` before a restart.
        guard: the limits of the account, for every strategy; None for none.
        learning: what our strategy learns from its outcomes.
        stdstats: Backtrader's observers, which a strategy finds in `self.stats`; None for all strategies but ours, which looks at none.

    Raises:
        InvalidSetting: no feed, a symbol twice, bars that cannot be joined, or limits for a broker that knows none.
    """
    _check(feeds)
    is_ours = issubclass(strategy, LSTMStrategy)
    cerebro = bt.Cerebro(
        stdstats=not is_ours if stdstats is None else stdstats,
        runonce=runonce,
        preload=preload,
        exactbars=exactbars,
        quicknotify=False,
        cheat_on_open=False,
        maxcpus=1,
    )
    for feed in feeds:
        context = FeedContext(feed.rules, feed.timeframe, feed.source, feed.last_bar, feed.facts, feed.members, feed.detail, feed.paused)
        attach(feed.data, context)
        cerebro.adddata(feed.data, name=feed.rules.symbol)
    for text, feed in product(resample, feeds):
        cerebro.adddata(_longer(feed, Timeframe.parse(text)), name=f"{feed.rules.symbol} {text}")
    settings = settings if guard is None else guard.limits.within(settings, len(feeds))
    start = trade_from.timestamp() if trade_from is not None else 0.0
    chosen = broker if broker is not None else venue_broker([feed.rules for feed in feeds], settings, trade_from=start)
    cerebro.setbroker(chosen)
    ours = {"settings": settings, "saved": saved, "learning": learning, "trade_from": start, "passed": passed} if is_ours else {}
    host = hosted(naming_feeds(strategy), settings, begins.timestamp() if begins is not None else start)
    cerebro.addstrategy(host, **{**ours, **(strategy_params or {})})
    if guard is not None:
        _guard(cerebro, chosen, guard, {"trade_from": start, "passed": passed})
    cerebro.addanalyzer(FillRecorder, _name="fills")
    cerebro.addanalyzer(EquityRecorder, _name="equity")
    cerebro.addanalyzer(StopRecorder, _name="stops")
    for analyzer, params in analyzers:
        cerebro.addanalyzer(analyzer, **params)
    return cerebro


def extra_bars(timeframe: Timeframe, resample: Sequence[str] = ()) -> int:
    """Bars before the first traded one that a user's own indicators may warm up on, those of the longest bars too."""
    return EXTRA_BARS * max([1, *(Timeframe.parse(text).seconds // timeframe.seconds for text in resample)])


def _longer(feed: Feed, length: Timeframe) -> Any:
    if not hasattr(feed.data, "longer"):
        raise InvalidSetting(f"{feed.rules.symbol}: bars of {length} can be joined of feeds made by frame_data or CCXTStore.getdata only")
    return feed.data.longer(length.seconds)


def _guard(cerebro: bt.Cerebro, broker: Any, guard: TradingGuard, past: Mapping[str, object]) -> None:
    """Have the broker ask the guard, and an analyzer tell it what happens, before anything else sees a bar."""
    if not hasattr(broker, "guard"):
        raise InvalidSetting(
            f"risk.* limits of every run need a broker of forwardtrader, and {type(broker).__name__} is none; leave them out"
        )
    broker.guard = guard
    cerebro.addanalyzer(TradingMonitor, guard=guard, **past, _name="limits")


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
        base_fee, maker = fee if rule.fee_in_base else 0.0, maker_fee(settings, rule)
        broker.addcommissioninfo(VenueCommission(commission=fee, base_fee=base_fee, maker=maker), name=rule.symbol)
    broker.terms = margin_terms(rules, settings)
    broker.fills = RestingFills(settings.volume_share, every_limit=settings.limit_fills == "through")
    return broker


def margin_terms(rules: Sequence[MarketRules], settings: StrategySettings) -> MarginTerms | None:
    """The terms of an account that trades these symbols; None for an account of cash.

    Raises:
        InvalidSetting: spot and perpetuals together, a leverage that the venue does not allow, or one on spot.
    """
    perpetuals = [rule for rule in rules if rule.is_perpetual]
    if not perpetuals:
        if settings.leverage > 1.0:
            raise InvalidSetting(f"{rules[0].symbol} is no perpetual and is traded without leverage; set strategies.leverage to 1")
        return None
    if len({rule.settle for rule in rules}) > 1:
        raise InvalidSetting(f"{', '.join(rule.symbol for rule in rules)} cannot share one account; take perpetuals of one settle currency")
    for rule in perpetuals:
        if settings.leverage > (most := max((tier.max_leverage for tier in rule.margin_tiers), default=Decimal(125))):
            raise InvalidSetting(f"strategies.leverage {settings.leverage:g} is above {most:f}, the most that {rule.symbol} allows")
    return MarginTerms(settings.leverage, settings.liquidation_fee_bps / 1e4)


def record_of(strategy: bt.Strategy) -> Record:
    """Fills and equity of a strategy that `build_cerebro` put together and `cerebro.run()` returned."""
    broker, recorders = strategy.broker, strategy.analyzers
    holdings, guard = getattr(broker, "holdings", None), getattr(broker, "guard", None)
    return Record(
        fills=recorders.fills.frame(),
        equity=recorders.equity.frame(),
        refused=refused_orders(broker, strategy),
        dust=holdings.dust() if holdings else (),
        deposits=float(getattr(broker, "moved", 0.0)),
        ended=dict(broker.ended.notes) if hasattr(broker, "ended") else {},
        backtest_only={symbol: on_close_note(count) for symbol, count in getattr(broker, "on_close", {}).items()},
        reads_forecasts=reads_forecasts(strategy),
        limits=guard.report() if guard is not None else None,
        margin=broker.margin.report if getattr(broker, "margin", None) is not None else None,
        entries=None if recorders.fills.entries.is_empty else recorders.fills.entries,
        learned=strategy.learned if isinstance(strategy, LSTMStrategy) else None,
        stops=recorders.stops.frame(),
    )


def refused_orders(broker: object, strategy: object) -> dict[str, dict[str, int]]:
    """By symbol and reason, how many orders of a strategy came to nothing at its broker."""
    refused = {symbol: dict(reasons) for symbol, reasons in getattr(broker, "refused", {}).items()}
    if isinstance(strategy, LSTMStrategy):
        for symbol, reasons in strategy.unplaced().items():
            refused[symbol] = reasons | refused.get(symbol, {})
    return refused


def _check(feeds: Sequence[Feed]) -> None:
    symbols = [feed.rules.symbol for feed in feeds]
    if not symbols:
        raise InvalidSetting("nothing to trade; name at least one symbol")
    twice = {symbol for symbol in symbols if symbols.count(symbol) > 1}
    if twice:
        raise InvalidSetting(f"{', '.join(sorted(twice))} is named twice; name each symbol once")
