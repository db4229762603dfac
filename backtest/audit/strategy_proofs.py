"""Strategy proofs: decisions depend on closed bars alone; tested at bars on which orders were made.

A strategy that trades seldom gives itself away on few bars, so little is gained by changing arbitrary ones. After a bar on which it made an
order the market is cut off, and the bar after it is made to go elsewhere; whatever was decided before must be the same bits. One that
made few orders, or none, may have held back because of what it knew: bars spread over its days are changed as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import pandas as pd

from forwardtrader.backtest.audit.outcome import Account, AuditOutcome, account_pairs, elsewhere
from forwardtrader.backtest.forecasting import Forecasts
from forwardtrader.backtest.request import BacktestRequest
from forwardtrader.backtest.simulation import simulate_with_orders
from forwardtrader.core.errors import TradingError
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.history.needs import History
from forwardtrader.models.checks.look_ahead import BUMP, Leak, Proof, compare, untested
from forwardtrader.models.forecaster import NUMBERS, ForecastSource, RecordedForecasts

# A strategy that made fewer fills showed too little of what it does.
FEWEST_FILLS: Final = 20
# After so many bars with orders the next bar is changed, after every third of them the market is cut off besides.
ORDER_BARS: Final = 12
# Where there are fewer than that, so many others besides, on which it may have had a reason to make none.
QUIET_BARS: Final = 3
UNCHANGED: Final = 1.0
_MIRRORED: Final = ("location", "scale", "q95", "q75", "q50", "q25", "q05", "p_up")


@dataclass(frozen=True)
class TradedRun:
    """What a strategy did on the days of `request`, and the markets it did it on."""

    request: BacktestRequest
    markets: Mapping[str, History]
    outcome: AuditOutcome

    @property
    def fills(self) -> int:
        """How many fills it had."""
        return fills_of(self.outcome)


# Trades again up to the bar after the given one, which closes the given number of times as high; as it was with a factor of one.
Again = Callable[[pd.Timestamp, float], Account]


def strategy_proofs(traded: TradedRun) -> Iterator[Proof]:
    """The market cut off after bars with orders (and others, where these are few), and the next bar changed."""
    yield from account_proofs(traded.outcome, order_bars(traded), _Again(traded).trade, few=_too_few(traded))


def account_proofs(whole: Account, bars: list[pd.Timestamp], again: Again, *, few: str) -> Iterator[Proof]:
    """The same proofs of any run.

    Args:
        bars: those after which the market is changed; one without an order is passed over where the strategy cannot run up to it.
        few: what is said where too little was traded.
    """
    quiet = [bar for bar in bars if not _ordered(whole, bar)]
    made = [bar for bar in bars if bar not in quiet]
    yield _proof(whole, again, "truncation", made[::3] + quiet, (UNCHANGED,), "with the bars after the next one cut away", few)
    yield _proof(whole, again, "newest close", made + quiet[::3], (BUMP, 1.0 / BUMP), "when the next bar went elsewhere", few)


def order_bars(traded: TradedRun, *, seed: int = 0) -> list[pd.Timestamp]:
    """Bars on which orders were made, of every side and kind of order alike, that another bar came after; oldest first."""
    times = [history.candles.index for history in traded.markets.values()]
    bars = pd.DatetimeIndex(times[0].append(times[1:]).unique().sort_values())
    first, last = pd.Timestamp(traded.request.first), pd.Timestamp(traded.request.last)
    return drawn_bars(traded.outcome.orders, bars[(bars >= first) & (bars <= last)], seed=seed)


def drawn_bars(orders: pd.DataFrame | None, bars: pd.DatetimeIndex, *, seed: int = 0) -> list[pd.Timestamp]:
    """The same of orders as `OrderRecorder.frame` has them, among `bars` but the newest; where few, others are spread between."""
    if orders is None:
        return []
    made = orders.loc[(orders["timestamp"] >= bars[0]) & (orders["timestamp"] < bars[-1])]
    groups = [part["timestamp"] for _, part in made.groupby(["side", "kind"], sort=True)]
    each = math.ceil(ORDER_BARS / max(len(groups), 1))
    drawn = {pd.Timestamp(at) for group in groups for at in group.drop_duplicates().sample(min(each, group.nunique()), random_state=seed)}
    if made["timestamp"].nunique() < ORDER_BARS:
        drawn |= {bars[number * (len(bars) - 1) // (QUIET_BARS + 1)] for number in range(1, QUIET_BARS + 1)}
    return sorted(drawn)


def _proof(whole: Account, again: Again, name: str, bars: list[pd.Timestamp], factors: tuple[float, ...], when: str, few: str) -> Proof:
    looked_at = 0
    for bar in bars:
        try:
            parts = [again(bar, factor) for factor in factors]
        except TradingError:
            if _ordered(whole, bar):
                raise
            continue  # too early, as for a long average: it is passed over where the strategy decided nothing
        looked_at += 1
        for part in parts:
            found = _first_difference(whole, part, name, bar, when)
            if found is not None:
                return found
    fills = fills_of(whole)
    if fills < FEWEST_FILLS:
        return untested(name, few)
    detail = f"orders, fills and equity up to each of {looked_at} bars are equal {when}; {fills} fills in all"
    return Proof(name=name, passed=True, detail=f"strategy: {detail}")


def _ordered(whole: Account, bar: pd.Timestamp) -> bool:
    return whole.orders is not None and bool((whole.orders["timestamp"] == bar).any())


def _first_difference(whole: Account, again: Account, name: str, bar: pd.Timestamp, when: str) -> Proof | None:
    for what, part, all_of_it in account_pairs(whole, again, bar, followed=True):
        proof = compare(name, part, all_of_it, f"{when} (bar of {bar:%Y-%m-%d %H:%M})")
        if not proof.passed:
            return replace(proof, leak=Leak.AHEAD, offenders=(what,), detail=f"{what} of the strategy look ahead: {proof.detail}")
    return None


def fills_of(account: Account) -> int:
    """How many fills there were."""
    return 0 if account.record is None else len(account.record.fills)


def _too_few(traded: TradedRun) -> str:
    first, last = traded.request.first, traded.request.last
    made = "1 fill" if traded.fills == 1 else f"{traded.fills} fills"
    return (
        f"strategy: {made} from {first:%Y-%m-%d} to {last:%Y-%m-%d}, {FEWEST_FILLS} are needed; "
        "give it a longer span (an earlier --from) or more symbols (--symbol)"
    )


class _Again:
    """Lets the strategy trade again, with the forecasts it was given, on markets that end with the bar after one it decided on.

    The forecasts need not be made anew: that they do not look ahead is proven by themselves. Where the last bar goes elsewhere, so do its
    forecasts, for a strategy may look ahead in those as well.
    """

    def __init__(self, traded: TradedRun) -> None:
        self.traded = traded
        walk, horizon = traded.outcome.walk, traded.request.settings.strategies.horizon
        self._recorded = {symbol: walk.frame(symbol, horizon) for symbol in traded.markets}
        self._sources = {s: Forecasts(walk, pd.DataFrame(), {}).source(s, horizon, h.timeframe) for s, h in traded.markets.items()}

    def trade(self, bar: pd.Timestamp, factor: float) -> AuditOutcome:
        """The run up to the bar after `bar`, which closes `factor` times as high; as it was with a factor of one."""
        following = min(h.candles.index[h.candles.index > bar][0] for h in self.traded.markets.values() if h.candles.index[-1] > bar)
        markets, frames = {}, {}
        for symbol, history in self.traded.markets.items():
            candles = history.candles.loc[:following]
            table = self._recorded[symbol].loc[:following].assign(close=candles["close"])
            if factor != UNCHANGED and candles.index[-1] == following:
                candles, table = elsewhere(candles, factor), mirrored(table)
                table.loc[following, "close"] = candles["close"].iloc[-1]
            markets[symbol], frames[symbol] = replace(history, candles=candles), table
        request = self.traded.request
        forecasts = _Recorded(self.traded.outcome.walk, pd.DataFrame(), {}, frames, {s: f.warm_up for s, f in self._sources.items()})
        return AuditOutcome(self.traded.outcome.walk, *simulate_with_orders(markets, forecasts, request))


@dataclass(frozen=True)
class _Recorded(Forecasts):
    """Forecasts from frames, per symbol, in place of the walk's own."""

    frames: Mapping[str, pd.DataFrame]
    warm_up: Mapping[str, int]

    def source(self, symbol: str, horizon: int, timeframe: Timeframe) -> ForecastSource:
        return RecordedForecasts(self.frames[symbol], horizon, warm_up=self.warm_up[symbol], timeframe_s=timeframe.seconds)


def mirrored(table: pd.DataFrame) -> pd.DataFrame:
    """Forecasts of which the last one is mirrored: rise and fall exchanged."""
    changed, newest = table.copy(), table.index[-1]
    for name, source in zip(NUMBERS, _MIRRORED, strict=True):
        number = float(table[source].iloc[-1])
        changed.loc[newest, name] = {"scale": number, "p_up": 1.0 - number}.get(name, -number)
    return changed
