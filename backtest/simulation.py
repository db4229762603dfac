"""Trade the forecasts of a run through Backtrader."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

import numpy as np
import pandas as pd

from forwardtrader.backtest.request import BacktestRequest
from forwardtrader.backtest.signals import signal_bars
from forwardtrader.core.errors import StrategyFailed
from forwardtrader.core.types import OHLCV, Timeframe
from forwardtrader.core.user_code.errors import owned_errors
from forwardtrader.feeds.backtrader_data import as_backtrader_days, frame_data
from forwardtrader.feeds.history.needs import History
from forwardtrader.models.folds.walk import WalkForward
from forwardtrader.models.forecaster import ForecastSource
from forwardtrader.models.signal_bars import SignalSource
from forwardtrader.strategies.backtrader.assembly import Feed, Record, build_cerebro, extra_bars, record_of
from forwardtrader.strategies.backtrader.recorders.order_recorder import OrderRecorder
from forwardtrader.strategies.backtrader.strategy import LSTMStrategy
from forwardtrader.strategies.detail.series import DetailSeries
from forwardtrader.strategies.margin.series import PerpetualSeries
from forwardtrader.strategies.replay_track import Tape
from forwardtrader.strategies.stints.carried_account import CarriedAccount
from forwardtrader.strategies.stints.leaving import leaving
from forwardtrader.strategies.stints.relay import Leg, joined
from forwardtrader.strategies.stints.stint import Stint
from forwardtrader.strategies.trading_state.guard import TradingGuard
from forwardtrader.strategies.user_code.strategy_class import load_strategy


class Sources(Protocol):
    """Where the indicator on each symbol gets its forecasts: the walk-forward of a run, or what stands in for it."""

    def source(self, symbol: str, horizon: int, timeframe: Timeframe) -> ForecastSource:
        """What the indicator on `symbol` asks."""
        ...


def simulate(markets: Mapping[str, History], forecasts: Sources, request: BacktestRequest) -> Record:
    """Fills and equity of the days traded, by our strategy or the one that was named.

    With stints it is one account throughout. Ours takes over other settings as it stands; a strategy of the user's leaves with its
    positions closed, and the next one begins on the bar on which it is gone.

    Raises:
        ConfigError: the named strategy cannot be loaded.
    """
    if request.stints and request.strategy:
        return joined(list(_legs(markets, forecasts, request)))
    return _record(_run(markets, forecasts, request), request)


def simulate_with_orders(markets: Mapping[str, History], forecasts: Sources, request: BacktestRequest) -> tuple[Record, pd.DataFrame]:
    """The same, and every order with its decision, as `OrderRecorder.frame` has it."""
    run = _run(markets, forecasts, request, [(OrderRecorder, {"_name": "orders"})])
    return _record(run, request), run.analyzers.orders.frame()


def is_replayable(request: BacktestRequest) -> bool:
    """Whether the fast replay trades as the run does: it knows our own strategy with settings that stay, no limits of the account, and no
    bars at which venues disagree."""
    is_confirmed = bool(request.settings.feeds.confirm_exchanges or request.confirm)
    return not request.strategy and not request.stints and not is_confirmed and TradingGuard.of(request.settings.risk) is None


def tapes_of(markets: Mapping[str, History], walk: WalkForward, horizon: int, first: datetime) -> list[Tape]:
    """The days traded and the forecasts of them, for the fast replay of our own strategy."""
    tapes = []
    for symbol, history in markets.items():
        bars = history.candles.loc[history.candles.index >= pd.Timestamp(first)]
        predicted = walk.frame(symbol, horizon)[["location", "scale"]].reindex(bars.index)
        tape = Tape(
            bars=bars, forecasts=predicted, market=history.rules, timeframe=history.timeframe, horizon=horizon, members=history.members,
            facts=series_of(history), detail=detail_of(history),
        )  # fmt: skip
        tapes.append(tape)
    return tapes


def series_of(history: History) -> PerpetualSeries | None:
    """Marks and funding as the broker takes them; None for spot."""
    beside = history.perpetual
    if beside is None:
        return None
    opened, settled = (pd.DatetimeIndex(frame.index).as_unit("ms").asi8 / 1000.0 for frame in (beside.marks, beside.funding))
    return PerpetualSeries(opened, beside.marks.to_numpy(dtype=np.float64), settled, np.asarray(beside.funding, dtype=np.float64))


def detail_of(history: History) -> DetailSeries | None:
    """The finer candles as the broker takes them, of the bars that the history still has; None where there are none."""
    detail = None if history.detail is None else history.detail.within(history.candles)
    if detail is None:
        return None
    opened, at = (index.as_unit("ms").asi8 / 1000.0 for index in (detail.opened, pd.DatetimeIndex(detail.candles.index)))
    prices = detail.candles.to_numpy(dtype=np.float64)  # no copy: of a year of minutes it would be as large as all the rest
    marks = np.zeros((0, 4)) if detail.marks is None else detail.marks.to_numpy(dtype=np.float64)
    times, first = np.unique(opened, return_index=True)
    first = np.append(first, len(at)).astype(np.int64)
    whole = history.candles.loc[detail.opened[first[:-1]], list(OHLCV)].to_numpy(dtype=np.float64)
    moved, has_volume = whole[:, 1] != whole[:, 2], bool(np.nan_to_num(prices[:, 4]).any())
    unknown = np.repeat(moved & (np.nan_to_num(whole[:, 4]) == 0.0) if has_volume else moved, np.diff(first))
    traded = (np.nan_to_num(prices[:, 4]) != 0.0) | (prices[:, 1] != prices[:, 2]) | unknown
    return DetailSeries(times, first, at, prices, traded, marks)


@dataclass(frozen=True)
class _Handover:
    """Between two stints: what the one before left, the limits of the account as they stand, and when this one ends (0: with the bars)."""

    account: CarriedAccount | None = None
    guard: TradingGuard | None = None
    until: float = 0.0


def _legs(markets: Mapping[str, History], forecasts: Sources, request: BacktestRequest) -> Iterator[Leg]:
    """Each stint of a strategy of the user's, as a run that begins with the account of the one before."""
    first, stints = request.first, list(request.stints)
    hand = _Handover(guard=TradingGuard.of(request.settings.risk))
    while stints:
        stint, later = stints[0], stints[1:]
        settings = request.settings.model_copy(update={"strategies": stint.settings})
        own = replace(request, settings=settings, strategy=stint.strategy, first=first, stints=())
        hand = replace(hand, until=later[0].since.timestamp() if later else 0.0)
        run = _run(_no_longer_than_needed(markets, later), forecasts, own, hand=hand)
        leg = Leg(first, _record(run, own))
        yield leg
        if not later or run.broker.is_ruined or not len(leg.record.equity):
            return
        first = leg.record.equity.index[-1].to_pydatetime()
        hand = _Handover(CarriedAccount.of(run), _as_it_stands(hand.guard))
        stints = [*[s for s in later if s.since <= first][-1:], *[s for s in later if s.since > first]]
        if not run.left and not any(history.candles.index[-1] > pd.Timestamp(first) for history in markets.values()):
            return


def _no_longer_than_needed(markets: Mapping[str, History], later: Sequence[Stint]) -> Mapping[str, History]:
    """The markets up to a stint after the next one, so that there are bars to leave on; each with one bar at least."""
    for stint in later[1:]:
        begins, ends = pd.Timestamp(later[0].since), pd.Timestamp(stint.since)
        if any(((h.candles.index >= begins) & (h.candles.index < ends)).sum() > 1 for h in markets.values()):
            place = {symbol: int(h.candles.index.searchsorted(ends)) for symbol, h in markets.items()}
            return {symbol: replace(h, candles=h.candles.iloc[: max(place[symbol], 1)]) for symbol, h in markets.items()}
    return markets


def _as_it_stands(guard: TradingGuard | None) -> TradingGuard | None:
    return None if guard is None else TradingGuard(guard.limits, guard.as_dict())


def _run(
    markets: Mapping[str, History], forecasts: Sources, request: BacktestRequest, analyzers: Sequence[tuple[Any, Mapping[str, Any]]] = (),
    *, hand: _Handover | None = None,
) -> Any:  # fmt: skip
    settings = request.settings.strategies
    strategy = load_strategy(request.strategy) if request.strategy else LSTMStrategy
    books = {symbol: signal_bars(history) for symbol, history in markets.items()}
    feeds, end = [], max(history.candles.index[-1] for history in markets.values())
    for symbol, history in markets.items():
        source: ForecastSource = forecasts.source(symbol, settings.horizon, history.timeframe)
        source = SignalSource(source, symbol, books) if any(map(len, books.values())) else source
        data = frame_data(_warmed(history.candles, request, source.warm_up), history.timeframe, name=symbol)
        feeds.append(
            Feed(
                data=data, rules=history.rules, timeframe=history.timeframe, source=source, last_bar=_last_bar(history, end),
                members=history.members, facts=series_of(history), detail=detail_of(history),
                paused=history.venues.objections() if history.venues else {},
            )
        )  # fmt: skip
    account, start = hand.account if hand else None, request.first.timestamp()
    guard = hand.guard if hand else TradingGuard.of(request.settings.risk)
    changes = [(s.since.timestamp(), guard.limits.within(s.settings, len(feeds)) if guard else s.settings) for s in request.stints]
    cerebro = build_cerebro(
        feeds, settings, resample=request.settings.feeds.resample, analyzers=analyzers, trade_from=request.first,
        strategy=leaving(strategy, hand.until) if hand and hand.until else strategy,
        strategy_params={"changes": changes} if changes else None,
        broker=account.broker([feed.rules for feed in feeds], settings, start) if account else None,
        guard=guard, learning=request.settings.learning,
    )  # fmt: skip
    with owned_errors(strategy.__name__):
        runs = cerebro.run()
    if not runs:
        raise StrategyFailed(f"{strategy.__name__} took no part in the run: it raised StrategySkipError")
    return runs[0]


def _last_bar(history: History, end: pd.Timestamp) -> float:
    """The last bar of a symbol that ends before the run does, as Backtrader counts time; else 0."""
    last = history.candles.index[-1]
    return float(as_backtrader_days(pd.DatetimeIndex([last]))[0]) if last < end else 0.0


def _record(run: Any, request: BacktestRequest) -> Record:
    record = record_of(run)
    return replace(record, equity=record.equity.loc[record.equity.index >= pd.Timestamp(request.first)])


def _warmed(candles: pd.DataFrame, request: BacktestRequest, warm_up: int) -> pd.DataFrame:
    first, chosen_on = (int(candles.index.searchsorted(pd.Timestamp(at))) for at in (request.first, request.first - request.window))
    feeds = request.settings.feeds
    return candles.iloc[max(min(first, chosen_on) - warm_up - extra_bars(Timeframe.parse(feeds.timeframe), feeds.resample), 0) :]
