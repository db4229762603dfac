"""Runs whose parameters change: one account throughout, equal to what its fills say, and no bar earlier than the choice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.backtest.request import BacktestRequest
from forwardtrader.backtest.simulation import simulate
from forwardtrader.core.settings import RiskSettings, Settings, StrategySettings
from forwardtrader.core.types import DataKind, MarketRules, Timeframe
from forwardtrader.feeds.history.needs import History
from forwardtrader.models.forecaster import RecordedForecasts
from forwardtrader.strategies.backtrader.assembly import Record
from forwardtrader.strategies.stints.leaving import REASON
from forwardtrader.strategies.stints.stint import Stint
from tests.strategies.market import BTC, ETH, HOUR, PERP, candles, forecasts, knobs

BAR = timedelta(hours=1)
BEGIN = datetime(2022, 1, 1, tzinfo=UTC)
FIRST = BEGIN + 100 * BAR
COIN = replace(BTC, fee_in_base=True)
CROSSING = """
import backtrader as bt

class Crossing(bt.Strategy):
    params = (("fast", 3), ("slow", 12), ("short", False), ("stubborn", False), ("pays", 0.0))

    def __init__(self):
        self.signals = [bt.ind.CrossOver(bt.ind.SMA(d, period=self.p.fast), bt.ind.SMA(d, period=self.p.slow)) for d in self.datas]

    def start(self):
        if self.p.pays:
            self.broker.add_cash(self.p.pays)

    def notify_order(self, order):
        if self.p.stubborn and order.status == order.Canceled:
            self.sell(data=order.data, size=order.size or 1.0)

    def next(self):
        for data, signal in zip(self.datas, self.signals):
            held = self.getposition(data).size
            if signal > 0 and held <= 0:
                if held:
                    self.close(data=data)
                self.buy(data=data)
                if self.p.stubborn:
                    self.sell(data=data, size=0.001, exectype=bt.Order.Limit, price=data.close[0] * 2)
            elif signal < 0 and held >= 0:
                if held:
                    self.close(data=data)
                if self.p.short:
                    self.sell(data=data)
"""


class Recorded:
    """The same forecasts for every symbol, by a frame of each."""

    def __init__(self, frames: Mapping[str, pd.DataFrame]) -> None:
        self.frames = frames

    def source(self, symbol: str, horizon: int, timeframe: Timeframe) -> RecordedForecasts:
        return RecordedForecasts(self.frames[symbol], horizon, timeframe_s=timeframe.seconds)


def history(rules: MarketRules, bars: pd.DataFrame) -> History:
    return History(
        symbol=rules.symbol, timeframe=HOUR, candles=bars, kind=DataKind.REAL, source="a test", gaps=(), fingerprint="", rules=rules
    )


def traded(
    folder: Path,
    bars: Mapping[MarketRules, pd.DataFrame],
    stints: Mapping[int, str],
    *,
    risk: RiskSettings | None = None,
    window: timedelta = timedelta(0),
) -> Record:
    """The run of `Crossing` with these parameters from these bars on, counted from the first traded one."""
    (folder / "crossing_stints.py").write_text(CROSSING, encoding="utf-8")
    spec = f"{folder / 'crossing_stints.py'}:Crossing"
    chosen = knobs(max_exposure=0.9)
    request = BacktestRequest(
        settings=Settings(strategies=chosen, risk=risk or RiskSettings()),
        first=FIRST, last=FIRST + 10_000 * BAR, strategy=spec, window=window,
        stints=[Stint(since=FIRST + bar * BAR, settings=chosen, strategy=f"{spec}({params})") for bar, params in stints.items()],
    )  # fmt: skip
    return simulate(
        {r.symbol: history(r, b) for r, b in bars.items()}, Recorded({r.symbol: forecasts(b) for r, b in bars.items()}), request
    )


def worth(record: Record, rules: MarketRules, start: float) -> pd.Series:
    """Equity at every bar, worked out from fills and closes alone."""
    fills = record.fills
    sign = np.where(fills["side"] == "buy", 1.0, -1.0)
    in_coin = fills["fee_currency"] == rules.base
    cash = -sign * fills["size"] * fills["price"] - np.where(in_coin, 0.0, fills["fee"])
    units = sign * fills["size"] - np.where(in_coin, fills["fee"], 0.0)
    at = pd.DatetimeIndex(fills["timestamp"])
    money, held = (
        pd.Series(part.to_numpy(), at).groupby(level=0).sum().reindex(record.equity.index).fillna(0).cumsum() for part in (cash, units)
    )
    return start + money + held * record.equity[f"close:{rules.symbol}"]


@pytest.mark.parametrize("rules", [BTC, COIN, PERP], ids=["fee in quote", "fee in the coin", "short too"])
@given(stops=st.lists(st.integers(1, 500), min_size=1, max_size=4, unique=True), seed=st.integers(0, 20))
@settings(max_examples=5, deadline=None)
def test_an_account_that_several_strategies_traded_is_worth_what_its_fills_say(
    tmp_path_factory: pytest.TempPathFactory, rules: MarketRules, stops: list[int], seed: int
) -> None:
    short = f"short={rules.can_short}"
    names = {0: short, **{bar: f"fast={2 + n}, slow={9 + n}, {short}" for n, bar in enumerate(sorted(stops))}}
    record = traded(tmp_path_factory.mktemp("s"), {rules: candles(640, seed)}, names)
    assert len(record.equity) == 540
    assert record.equity.index.is_monotonic_increasing and record.equity.index.is_unique
    np.testing.assert_allclose(record.equity["equity"], worth(record, rules, 10_000.0), rtol=1e-9)
    assert record.fills["order_ref"].astype(int).is_monotonic_increasing


def test_a_strategy_leaves_flat_and_the_next_begins_when_it_is_gone(tmp_path: Path) -> None:
    bars = {BTC: candles(500, 3)}
    whole = traded(tmp_path, bars, {0: "fast=3"})
    bought = int(whole.fills["timestamp"].searchsorted(pd.Timestamp(FIRST + 150 * BAR)))
    entry = next(row for row in whole.fills.iloc[bought:].itertuples() if row.side == "buy")
    change = int((entry.timestamp - pd.Timestamp(FIRST)) / BAR) + 1
    record = traded(tmp_path, bars, {0: "fast=3", change: "fast=4, slow=15"})
    at = pd.Timestamp(FIRST + change * BAR)
    assert record.fills.loc[record.fills["timestamp"] <= at].equals(whole.fills.loc[whole.fills["timestamp"] <= at])
    closing = record.fills.loc[record.fills["timestamp"] > at].iloc[0]
    assert (closing["side"], closing["reason"], closing["timestamp"]) == ("sell", REASON, at + BAR)
    assert (record.fills["reason"] == REASON).sum() == 1
    alone = traded(tmp_path, bars, {0: "fast=4, slow=15"})
    later = record.fills.loc[record.fills["timestamp"] > at + BAR, "timestamp"]
    assert set(later) <= set(alone.fills["timestamp"])


def test_what_is_chosen_again_is_left_alone(tmp_path: Path) -> None:
    bars = {BTC: candles(400, 4)}
    record = traded(tmp_path, bars, {0: "fast=3", 900: "fast=9"})
    alone = traded(tmp_path, bars, {0: "fast=3"})
    pd.testing.assert_frame_equal(record.equity, alone.equity, check_exact=True)
    pd.testing.assert_frame_equal(record.fills, alone.fills, check_exact=True)


def test_orders_in_answer_to_the_end_are_not_sent(tmp_path: Path) -> None:
    bars = {PERP: candles(500, 5)}
    record = traded(tmp_path, bars, {0: "stubborn=True", 200: "fast=4, slow=60"})
    alone = traded(tmp_path, bars, {0: "fast=4, slow=60"})
    since = pd.Timestamp(FIRST + 200 * BAR)
    assert (record.fills["timestamp"] <= since).sum() > 5
    own = record.fills.loc[(record.fills["timestamp"] > since) & (record.fills["reason"] != REASON)]
    assert set(own["timestamp"]) <= set(alone.fills["timestamp"])


@pytest.mark.parametrize("cut", [203, 250, 330, 401])
def test_nothing_of_it_depends_on_later_bars(tmp_path: Path, cut: int) -> None:
    bars, stints = candles(560, 6), {0: "fast=3", 200: "fast=5, slow=11", 320: "fast=2, slow=30", 400: "fast=3"}
    whole, part = traded(tmp_path, {BTC: bars}, stints), traded(tmp_path, {BTC: bars.iloc[: 100 + cut]}, stints)
    known = part.equity.index
    pd.testing.assert_frame_equal(part.equity, whole.equity.loc[known], check_exact=True)
    pd.testing.assert_frame_equal(part.fills, whole.fills.iloc[: len(part.fills)], check_exact=True)


def test_a_gap_over_a_whole_stint_ends_it_unseen(tmp_path: Path) -> None:
    bars = candles(560, 7)
    holed = pd.concat([bars.iloc[:280], bars.iloc[460:]])
    record = traded(tmp_path, {BTC: holed}, {0: "fast=3", 200: "fast=5, slow=11", 260: "fast=2, slow=30", 300: "fast=4, slow=9"})
    assert len(record.equity) == 280
    np.testing.assert_allclose(record.equity["equity"], worth(record, BTC, 10_000.0), rtol=1e-9)


def test_a_symbol_that_begins_late_or_ends_early_hinders_nobody(tmp_path: Path) -> None:
    early, late = candles(300, 8), candles(560, 9).iloc[220:]
    record = traded(tmp_path, {BTC: early, ETH: late}, {0: "fast=3", 90: "fast=4", 190: "fast=5", 260: "fast=6", 380: "fast=7"})
    assert record.equity.index[-1] == late.index[-1]
    assert set(record.ended) == {"BTC/USDT"}


def test_a_long_indicator_is_warmed_up_on_the_window_it_was_chosen_on(tmp_path: Path) -> None:
    bars = {BTC: candles(1100, 11)}
    record = traded(tmp_path, bars, {0: "fast=3", 600: "fast=3, slow=480", 700: "fast=3, slow=15", 720: "fast=9"}, window=600 * BAR)
    alone = traded(tmp_path, bars, {0: "fast=3, slow=480"}, window=600 * BAR)
    inside = (FIRST + 602 * BAR, FIRST + 700 * BAR)
    own, its = (part.fills.loc[part.fills["timestamp"].between(*inside), "timestamp"].tolist() for part in (record, alone))
    assert own
    assert set(own) <= set(its)


def test_limits_of_the_account_stay_as_they_stand(tmp_path: Path) -> None:
    bars = {BTC: candles(560, 1, volatility=0.02)}
    risk = RiskSettings(max_drawdown=0.01)
    alone = traded(tmp_path, bars, {0: "fast=3"}, risk=risk)
    assert alone.limits is not None and alone.limits.count == 1
    halted = int((pd.Timestamp(alone.limits.records[0].at, unit="s", tz="UTC") - pd.Timestamp(FIRST)) / BAR)
    record = traded(tmp_path, bars, {0: "fast=3", halted + 20: "fast=4"}, risk=risk)
    assert record.limits is not None and record.limits.count == 1
    assert not (record.fills["timestamp"] > pd.Timestamp(FIRST + (halted + 5) * BAR)).any()


def test_cash_that_a_strategy_pays_in_is_no_return_of_the_ones_after_it(tmp_path: Path) -> None:
    bars = {BTC: candles(560, 2)}
    plain = traded(tmp_path, bars, {0: "fast=3", 200: "fast=4"})
    paid = traded(tmp_path, bars, {0: "fast=3, pays=10000.0", 200: "fast=4"})
    assert paid.deposits == 10_000.0
    np.testing.assert_allclose(paid.equity["equity"], plain.equity["equity"], rtol=2e-4)


# Ours


def ours(bars: pd.DataFrame, base: StrategySettings, changes: Mapping[int, StrategySettings]) -> Record:
    stints = [Stint(since=FIRST + bar * BAR, settings=each) for bar, each in {0: base, **changes}.items()] if changes else []
    request = BacktestRequest(settings=Settings(strategies=base), first=FIRST, last=FIRST + 10_000 * BAR, stints=stints)
    return simulate({BTC.symbol: history(BTC, bars)}, Recorded({BTC.symbol: forecasts(bars)}), request)


def test_our_strategy_goes_on_untouched_where_the_settings_are_equal() -> None:
    bars, chosen = candles(900, 3), knobs(holding="0d", min_trade=0.1)
    once, again = ours(bars, chosen, {}), ours(bars, chosen, {200: chosen, 500: chosen})
    pd.testing.assert_frame_equal(once.equity, again.equity, check_exact=True)
    pd.testing.assert_frame_equal(once.fills, again.fills, check_exact=True)
    assert len(once.fills) > 20


def test_our_strategy_takes_other_settings_over_with_its_position() -> None:
    bars, eager = candles(900, 3), knobs(holding="0d", min_trade=0.1, margin=0.2)
    idle = knobs(holding="0d", min_trade=0.1, margin=1_000.0)
    whole = ours(bars, eager, {})
    held = whole.equity.index[(whole.equity["exposure"].abs() > 0.05).to_numpy()]
    change = int((held[held > pd.Timestamp(FIRST + 300 * BAR)][3] - pd.Timestamp(FIRST)) / BAR)
    record = ours(bars, eager, {change: idle})
    before = record.equity.index < pd.Timestamp(FIRST + (change + 1) * BAR)
    pd.testing.assert_frame_equal(record.equity.loc[before], whole.equity.loc[before], check_exact=True)
    assert record.equity["exposure"].iloc[change + 1] > 0.04
    after = record.fills.loc[record.fills["timestamp"] > pd.Timestamp(FIRST + (change + 1) * BAR)]
    assert not (after["side"] == "buy").any()
