"""`check_strategy`: what is tried on a user's strategy before money is put behind it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import backtrader as bt
import pandas as pd

from forwardtrader.backtest.audit.check_report import CheckReport, checked_candles
from forwardtrader.backtest.audit.check_runs import CheckBench, CheckMarket, CheckRun, MadeForecasts
from forwardtrader.backtest.audit.outcome import account_pairs
from forwardtrader.backtest.audit.strategy_proofs import FEWEST_FILLS, account_proofs, drawn_bars
from forwardtrader.core.command.flags import nearest
from forwardtrader.core.errors import ConfigError, InvalidSetting, StrategyChecksFailed
from forwardtrader.core.settings import StrategySettings
from forwardtrader.core.types import MarketRules, Timeframe
from forwardtrader.core.user_code.errors import user_line
from forwardtrader.feeds.venues.market_rules import market_rules
from forwardtrader.models.checks.look_ahead import LookAheadResult, Proof, compare, untested
from forwardtrader.models.forecaster import ForecastSource, SourceOfFeeds
from forwardtrader.strategies.user_code.strategy_class import load_strategy

# With the fee taken in the coin a strategy may close so many trades more or less: sizes differ by the fee.
DUST_SHARE: Final = 0.02
_AFTER_TWO_RUNS: Final = ("truncation", "newest close", "one bar at a time", "restart", "dust")

_KEEP_IT: Final = (
    "a session with real orders shows it its past with orders Rejected: wait for no order that is not alive, and keep in state() and "
    "restore(saved) what bars do not tell"
)


def check_strategy(
    strategy: type[bt.Strategy] | str,
    candles: pd.DataFrame | Mapping[str, pd.DataFrame],
    *,
    symbol: str = "BTC/USDT",
    params: Mapping[str, Any] | None = None,
    settings: StrategySettings | None = None,
    rules: MarketRules | None = None,
    resample: Sequence[str] = (),
    forecasts: SourceOfFeeds | ForecastSource | None = None,
    raise_on_failure: bool = False,
) -> CheckReport:
    """Run a Backtrader strategy on candles in several ways that must not make a difference, and say which of them do.

    Args:
        strategy: the class, or `module:Class` or `path/to/file.py:Class`.
        candles: open, high, low, close, volume (any case), indexed by bar-open time (UTC where no zone is named); by symbol where there are
            several, in the order in which the strategy finds them in `datas`.
        symbol: what the candles are of, where none is named.
        params: parameters of the strategy.
        settings: the account and its costs; `StrategySettings()` where None.
        rules: what the venue accepts of the only symbol; the usual rules of each one where None.
        resample: lengths of longer bars that the strategy finds in `data1` and so on ("4h").
        forecasts: what `LSTMForecast` shows, made once on these candles: a fitted `WalkForward`, or a source for a single symbol. That they
            do not look ahead themselves is proven by `check_forecaster` and `--audit`.
        raise_on_failure: raise where a check fails. One that is not testable raises nothing.

    Raises:
        StrategyChecksFailed: an AssertionError too; the message names every check that failed.
        CandleFileInvalid: the candles are none.
        ConfigError: the strategy cannot be loaded, or has no such parameter.
    """
    kind = load_strategy(strategy) if isinstance(strategy, str) else strategy
    _check_params(kind, params or {})
    given = candles if isinstance(candles, Mapping) else {symbol: candles}
    markets, timeframe = _markets(given, rules)
    if forecasts is not None:
        markets = tuple(replace(market, forecasts=_forecasts_of(market, forecasts)) for market in markets)
    bench = CheckBench(
        strategy=kind,
        markets=markets,
        timeframe=timeframe,
        settings=settings or StrategySettings(),
        params=params or {},
        resample=tuple(resample),
    )
    report = CheckReport(kind.__name__, tuple(_checks(bench)))
    if raise_on_failure and report.failed:
        raise StrategyChecksFailed(report.told)
    return report


def _check_params(kind: type[bt.Strategy], params: Mapping[str, Any]) -> None:
    known = list(kind.params._getkeys())
    for name in params:
        if name not in known:
            raise InvalidSetting(f"params: {kind.__name__} has no parameter {name}{nearest(name, known)}")


def _markets(given: Mapping[str, pd.DataFrame], rules: MarketRules | None) -> tuple[tuple[CheckMarket, ...], Timeframe]:
    """The markets, and the timeframe that they share."""
    if not given or (rules is not None and len(given) > 1):
        raise InvalidSetting("candles: none are named" if not given else "rules: they are of one symbol, and the candles of several")
    found, timeframes = [], {}
    for symbol, candles in given.items():
        bars, timeframes[symbol] = checked_candles(candles)
        found.append(CheckMarket(bars, rules or market_rules(symbol, "", frame=bars)))
    if len(set(timeframes.values())) > 1:
        shown = ", ".join(f"{symbol} {timeframe}" for symbol, timeframe in timeframes.items())
        raise InvalidSetting(f"candles: bars of one length are needed, and these are {shown}; use resample= for longer ones")
    return tuple(found), next(iter(timeframes.values()))


def _forecasts_of(market: CheckMarket, forecasts: SourceOfFeeds | ForecastSource) -> MadeForecasts:
    source = forecasts.source_of(market.rules.symbol) if isinstance(forecasts, SourceOfFeeds) else forecasts
    return MadeForecasts(source.batch(market.candles), source.horizon, source.warm_up)


def _checks(bench: CheckBench) -> Iterator[Proof]:
    try:
        whole = bench.run()
    except ConfigError as error:
        yield _failed("run", f"{error}{_hint(error)}")
        yield from (untested(name, "the strategy does not run") for name in ("determinism", *_AFTER_TWO_RUNS))
        return
    yield Proof(name="run", passed=True, detail=_made(bench, whole))
    (same,) = _guarded(("determinism",), lambda: [_again(bench, whole)])
    yield same
    if same.result is LookAheadResult.FAILED:
        yield from (untested(name, "two runs on the same candles differ already") for name in _AFTER_TWO_RUNS)
        return
    bars = drawn_bars(whole.orders, bench.index)
    yield from _guarded(_AFTER_TWO_RUNS[:2], lambda: account_proofs(whole, bars, bench.changed_after, few=_few(whole)))
    yield from _guarded(("one bar at a time",), lambda: [_stepwise(bench, whole)])
    yield from _guarded(("restart",), lambda: [_restart(bench, whole)])
    yield from _guarded(("dust",), lambda: [_dust(bench, whole)])


def _made(bench: CheckBench, whole: CheckRun) -> str:
    refused = "; ".join(f"{number} {reason}" for reasons in whole.record.refused.values() for reason, number in reasons.items())
    made = f"{len(bench.index)} bars, {len(whole.orders)} orders, {len(whole.record.fills)} fills, {whole.closed} trades closed"
    return f"{made}; orders that came to nothing: {refused}" if refused else made


def _again(bench: CheckBench, whole: CheckRun) -> Proof:
    return _equal("determinism", whole, bench.run(), "in a second run on the same candles")


def _stepwise(bench: CheckBench, whole: CheckRun) -> Proof:
    return _equal("one bar at a time", whole, bench.run(runonce=False, preload=False), "when bars come one by one, as in a session")


def _restart(bench: CheckBench, whole: CheckRun) -> Proof:
    """Stopped between two trades, several times: what it does afterwards must be the same."""
    bars = _moments(whole)
    for bar in bars:
        part = bench.started_again(bar, whole.idle[bar])
        when = f"after it was stopped and started again at {bar:%Y-%m-%d %H:%M}"
        if differs := _difference(_after(whole, bar), _after(part, bar), when):
            return _failed("restart", f"{differs}; {_KEEP_IT}")
    if len(whole.record.fills) < FEWEST_FILLS:
        return untested("restart", _few(whole))
    if not bars:
        return untested("restart", "there is no bar between two trades at which it holds nothing and no order is on its way")
    shown = ", ".join(f"{bar:%Y-%m-%d %H:%M}" for bar in bars)
    return Proof(name="restart", passed=True, detail=f"orders and fills are equal after it was stopped and started again at {shown}")


def _moments(whole: CheckRun) -> list[pd.Timestamp]:
    """Idle bars between the first fill and the last one, a quarter, a half and three quarters of the way."""
    fills = pd.DatetimeIndex(whole.record.fills["timestamp"])
    idle = [at for at in whole.idle if len(fills) and fills[0] <= at < fills[-1]]
    return sorted({min(idle, key=lambda at: abs(at - fills[len(fills) * part // 4])) for part in (1, 2, 3)}) if idle else []


def _after(run: CheckRun, bar: pd.Timestamp) -> CheckRun:
    fills, equity = run.record.fills, run.record.equity
    record = replace(run.record, fills=fills.loc[fills["timestamp"] > bar], equity=equity.loc[equity.index > bar])
    return replace(run, record=record, orders=run.orders.loc[run.orders["timestamp"] > bar])


def _dust(bench: CheckBench, whole: CheckRun) -> Proof:
    """A fee taken in the coin leaves less than was bought, which must not keep a strategy from trading on."""
    if not bench.settings.fee_bps:
        return untested("dust", "without a fee nothing is left over; give it settings with fee_bps above zero")
    runs = [_with_fees(bench, whole, in_base) for in_base in (True, False)]
    (closed, fills), (expected, usual) = ((run.closed, len(run.record.fills)) for run in runs)
    made = f"{closed} trades closed ({fills} fills) with the fee taken in the coin, {expected} ({usual} fills) with one in quote"
    if abs(closed - expected) > math.ceil(DUST_SHARE * expected):
        return _failed("dust", f"{made}: its decisions hang on the exact size that it bought; ask self.position, close with close()")
    return Proof(name="dust", passed=True, detail=made) if usual >= FEWEST_FILLS else untested("dust", f"{made}; {_few(whole)}")


def _with_fees(bench: CheckBench, whole: CheckRun, in_base: bool) -> CheckRun:
    """The run in which every fee of a buy is taken in the coin, or none is."""
    if all(market.rules.fee_in_base is in_base for market in bench.markets):
        return whole
    return replace(
        bench, markets=tuple(replace(market, rules=replace(market.rules, fee_in_base=in_base)) for market in bench.markets)
    ).run()


def _equal(name: str, whole: CheckRun, part: CheckRun, when: str) -> Proof:
    if differs := _difference(whole, part, when):
        return _failed(name, differs)
    if len(whole.record.fills) < FEWEST_FILLS:
        return untested(name, _few(whole))
    return Proof(name=name, passed=True, detail=f"{len(whole.orders)} orders, {len(whole.record.fills)} fills are equal {when}")


def _difference(whole: CheckRun, part: CheckRun, when: str) -> str:
    """What differs in orders and fills, of which every bit counts; empty where nothing does."""
    last = max(run.record.equity.index[-1] for run in (whole, part))
    pairs = {what: (second, first) for what, second, first in account_pairs(whole, part, last, followed=True)}
    for what in ("orders", "fills"):
        second, first = pairs[what]
        if not compare(what, second, first, when).passed:
            rows = zip(first.itertuples(index=False, name=None), second.itertuples(index=False, name=None), strict=False)
            row = next((number for number, (one, other) in enumerate(rows) if one != other), min(len(first), len(second)))
            at = min(frame["timestamp"].iloc[row] for frame in (first, second) if row < len(frame))
            return f"{len(second)} {what} for {len(first)} {when}, the first that differs at {at:%Y-%m-%d %H:%M}"
    return ""


def _few(run: CheckRun) -> str:
    number = len(run.record.fills)
    return f"{number} {'fill' if number == 1 else 'fills'}, {FEWEST_FILLS} are needed; give it more candles"


def _guarded(names: Sequence[str], prove: Callable[[], Iterable[Proof]]) -> Iterator[Proof]:
    """The proofs of these names; where the strategy raises something, the one at work failed."""
    left = list(names)
    try:
        for proof in prove():
            left.remove(proof.name)
            yield proof
    except ConfigError as error:
        yield _failed(left[0], f"it fails here, and not on all candles at once: {error}")
        yield from (untested(name, f"the {left[0]} check failed before") for name in left[1:])


def _failed(name: str, detail: str) -> Proof:
    return Proof(name=name, passed=False, detail=detail)


def _hint(error: ConfigError) -> str:
    cause = error.__cause__
    is_a_users = isinstance(cause, IndexError) and user_line(cause) is not None
    return "; a look at the bar after the last one, as close[1], ends so too" if is_a_users else ""
