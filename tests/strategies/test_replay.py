"""The fast replay against the Backtrader run: the same fills, the same equity, to the last digit."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.core.settings import LearningSettings, StrategySettings
from forwardtrader.core.types import MarketRules
from forwardtrader.feeds.backtrader_data import as_backtrader_days
from forwardtrader.models.forecaster import RecordedForecasts
from forwardtrader.strategies.backtrader.assembly import build_cerebro, record_of
from forwardtrader.strategies.replay import NOTHING, Replay, replay
from forwardtrader.strategies.replay_track import Tape
from forwardtrader.strategies.signals import EdgeRule, decide, stays
from tests.strategies.market import BTC, ETH, HOUR, PERP, candles, feed, forecasts, knobs

OFTEN = {"holding": "0d", "min_trade": 0.1}  # many trades in a short test
CASES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "tight stops": {"stop_scales": 0.3, "cooldown": "3h"},
    "no costs": {"fee_bps": 0, "slippage_bps": 0, "spread_bps": 0},
    "eager": {"margin": 0, "min_trade": 0.01, "risk_aversion": 3.0},
    "all in": {"max_exposure": 1.0, "target_volatility": 9.0, "risk_tolerance": 1.0, "cash_reserve": 0.0, "margin": 0.1},
    "halted": {"max_drawdown": 0.01, "max_daily_loss": 0.003, "risk_tolerance": 0.2},
    "shorts": {"allow_short": True, "margin": 0.2, "premium": 0.0},
    "remembered scale": {"scale_memory": "3d", "margin": 0.2},
    "seldom": {"holding": "14d", "min_trade": 0.5, "margin": 0.3},
}
EVERYTHING = LearningSettings(
    costs=True, costs_prior=1.0, edge=True, edge_prior=0.2, edge_memory="3d", volatility=True, volatility_prior=2.0, volatility_memory="3d"
)
COIN = replace(BTC, fee_in_base=True)
PERPETUAL = replace(PERP, settle="USDT", maker_fee=Decimal("0.0002"), funding_hours=8)
EAGER = {**OFTEN, "margin": 0.2, "premium": 0.0, "entry": "maker"}
MAKERS: dict[str, dict[str, Any]] = {
    "then to the market": {},
    "then given up": {"entry_then": "give_up"},
    "in small parts": {"entry_deadline": 5, "volume_share": 0.02, "maker_fee_bps": 2.0, "stop_scales": 0.2, "cooldown": "2h"},
    "a rebate, and small parts given up": {"entry_deadline": 3, "volume_share": 0.02, "entry_then": "give_up", "maker_fee_bps": -1.0},
    "a wide spread": {"spread_bps": 80.0, "entry_deadline": 8, "margin": 0.0, "min_trade": 0.01},
    "all symbols together": {"rule": "portfolio", "entry_deadline": 4, "volume_share": 0.03, "portfolio_margin": 0.3},
    "halted": {"max_drawdown": 0.01, "max_daily_loss": 0.003, "risk_tolerance": 0.2, "entry_deadline": 3, "volume_share": 0.05},
}


def equal_to_backtrader(
    tapes: list[Tape], chosen: StrategySettings, *, none_is_fine: bool = False, learning: LearningSettings = NOTHING
) -> pd.DataFrame:
    """The fills of both, once they and the equity were found equal; there are some, since two accounts that do nothing prove nothing."""
    feeds, end = [], max(t.bars.index[-1] for t in tapes)
    for t in tapes:
        made, last = feed(t.bars, RecordedForecasts(t.forecasts, horizon=t.horizon), t.market), t.bars.index[-1:]
        ended = float(as_backtrader_days(last)[0]) if last[0] < end else 0.0
        feeds.append(replace(made, last_bar=ended, facts=t.facts, members=t.members, detail=t.detail))
    record = record_of(build_cerebro(feeds, chosen, learning=learning).run()[0])
    fills, equity = replay(tapes, chosen, learning)
    assert len(fills) or none_is_fine
    pd.testing.assert_frame_equal(fills, record.fills[list(fills.columns)], check_exact=True, check_dtype=False)
    assert equity["equity"].to_list() == record.equity["equity"].to_list()
    assert equity["cash"].to_list() == record.equity["cash"].to_list()
    return fills


def gapped(rows: int, seed: int, price: float = 20_000.0) -> pd.DataFrame:
    """Bars that do not open where the one before closed, so that orders that are to rest are refused now and then; some fill nothing."""
    draw, bars = np.random.default_rng(seed), candles(rows, seed, price)
    bars["open"] = (bars["open"] * (1 + draw.normal(0, 0.0015, rows))).round(2)
    bars["high"], bars["low"] = bars[["high", "open"]].max(axis=1), bars[["low", "open"]].min(axis=1)
    bars["volume"] *= draw.uniform(0, 2, rows) ** 3
    bars.iloc[rows // 2 : rows // 2 + 3, :4] = bars["close"].iloc[rows // 2 - 1]
    bars.iloc[rows // 2 : rows // 2 + 3, 4] = 0.0
    return bars


def tape(bars: pd.DataFrame, seed: int, market: MarketRules = BTC) -> Tape:
    return Tape(bars=bars, forecasts=forecasts(bars, seed), market=market, timeframe=HOUR, horizon=24)


@pytest.mark.parametrize("rules", [BTC, COIN], ids=["fee in quote", "fee in the coin"])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_replay_fills_what_backtrader_fills(name: str, seed: int, rules: MarketRules) -> None:
    chosen = knobs(**{**OFTEN, **CASES[name]})
    bars = candles(1000, seed)
    bars.iloc[700:703, :4] = bars["close"].iloc[699]  # a venue that stood still: nothing is filled there
    bars.iloc[700:703, 4] = 0.0
    fills = equal_to_backtrader([tape(bars, seed + 10, PERP if chosen.allow_short else rules)], chosen)
    assert len(fills) > 5


@pytest.mark.parametrize("name", CASES)
def test_several_symbols_in_one_account_are_replayed_alike(name: str) -> None:
    chosen = knobs(**{**OFTEN, **CASES[name]})
    markets = [PERP, replace(PERP, symbol="ETH/USDT:USDT", base="ETH")] if chosen.allow_short else [COIN, ETH]
    tapes = [
        tape(candles(700, 3 + i, price), 20 + i, market) for i, (price, market) in enumerate(zip((20_000, 1_500), markets, strict=True))
    ]
    assert set(equal_to_backtrader(tapes, chosen)["symbol"]) == {market.symbol for market in markets}


@pytest.mark.parametrize("name", ["defaults", "tight stops", "all in", "shorts", "halted"])
@pytest.mark.parametrize("rows", [(400, 700), (699, 700), (700, 150)])
def test_symbols_that_end_early_are_closed_alike(name: str, rows: tuple[int, int]) -> None:
    chosen = knobs(**{**OFTEN, **CASES[name]})
    markets = [PERP, replace(PERP, symbol="ETH/USDT:USDT", base="ETH")] if chosen.allow_short else [COIN, ETH]
    bars = candles(700, 3), candles(700, 4, 1_500)
    tapes = [tape(b.iloc[:n], 20 + i, market) for i, (b, n, market) in enumerate(zip(bars, rows, markets, strict=True))]
    fills = equal_to_backtrader(tapes, chosen)
    assert rows[0] != 400 or name == "halted" or fills["reason"].str.contains("closed at the last price").any()


@pytest.mark.parametrize(
    ("name", "market"),
    [
        ("then to the market", COIN), ("then given up", PERPETUAL), ("in small parts", COIN), ("in small parts", PERPETUAL),
        ("a rebate, and small parts given up", BTC), ("a wide spread", PERPETUAL), ("all symbols together", COIN), ("halted", BTC),
    ],
)  # fmt: skip
def test_entries_that_rest_are_replayed_alike(name: str, market: MarketRules) -> None:
    other = replace(market, symbol=market.symbol.replace("BTC", "ETH"), base="ETH")
    chosen = knobs(**{**EAGER, "allow_short": market.is_perpetual, **MAKERS[name]})
    bars = gapped(400, 3, 20_000.0), gapped(400, 4, 1_500.0)
    fills = equal_to_backtrader([tape(bars[0], 20, market), tape(bars[1].drop(bars[1].index[200:230]), 21, other)], chosen)
    assert set(fills["side"]) == {"buy", "sell"}


@pytest.mark.parametrize("rule", ["single", "portfolio"])
@pytest.mark.parametrize("market", [COIN, PERPETUAL], ids=["fee in the coin", "on margin"])
def test_what_is_learned_from_outcomes_is_replayed_alike(rule: str, market: MarketRules) -> None:
    other = replace(market, symbol=market.symbol.replace("BTC", "ETH"), base="ETH")
    chosen = knobs(**{**EAGER, "allow_short": market.is_perpetual, "entry_deadline": 3, "volume_share": 0.02, "rule": rule})
    bars = gapped(400, 3, 20_000.0), gapped(400, 4, 1_500.0)
    tapes = [tape(bars[0], 20, market), tape(bars[1].drop(bars[1].index[200:230]), 21, other)]
    fills = equal_to_backtrader(tapes, chosen, learning=EVERYTHING)
    assert not fills.equals(replay(tapes, chosen)[0]), "nothing learned has changed any decision"


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 10_000), market=st.sampled_from([BTC, COIN, PERPETUAL]), step=st.sampled_from(["0.00001", "0.001", "0.05"]),
    tick=st.sampled_from(["0.01", "1", "10"]), least=st.sampled_from([5, 100, 400]), most=st.sampled_from([None, Decimal("0.05")]),
    deadline=st.integers(1, 7), then=st.sampled_from(["market", "give_up"]), share=st.sampled_from([0.001, 0.01, 0.1, 1.0]),
    stops=st.sampled_from([0.1, 0.3, 2.0]), cooldown=st.sampled_from(["0d", "2h"]), rule=st.sampled_from(["single", "portfolio"]),
    cash=st.sampled_from([500.0, 10_000.0]),
)  # fmt: skip
def test_whatever_the_grid_and_the_policy_entries_that_rest_are_replayed_alike(
    seed: int, market: MarketRules, step: str, tick: str, least: int, most: Decimal | None, deadline: int, then: str, share: float,
    stops: float, cooldown: str, rule: str, cash: float,
) -> None:  # fmt: skip
    market = replace(market, step=Decimal(step), tick=Decimal(tick), min_notional=Decimal(least), max_market_size=most)
    chosen = knobs(
        **EAGER, allow_short=market.is_perpetual, entry_deadline=deadline, entry_then=then, volume_share=share, stop_scales=stops,
        cooldown=cooldown, rule=rule, cash=cash, max_exposure=1.0, target_volatility=9.0, risk_tolerance=1.0,
    )  # fmt: skip
    bars = gapped(150, seed, 20_000.0).drop(gapped(150, seed).index[[70, 71, 90]])
    equal_to_backtrader([tape(bars, seed + 1, market)], chosen, none_is_fine=True)


def test_symbols_that_lack_bars_are_replayed_alike() -> None:
    first, second = candles(700, 5), candles(700, 6, 1_500)
    tapes = [tape(first.drop(first.index[300:340]), 31), tape(second.drop(second.index[[100, 101, 500]]), 32, ETH)]
    equal_to_backtrader(tapes, knobs(**OFTEN))


def test_a_coarse_grid_is_replayed_alike() -> None:
    rules = replace(BTC, tick=Decimal("0.5"), step=Decimal("0.01"), min_notional=Decimal(100), max_market_size=Decimal("0.05"))
    equal_to_backtrader([tape(candles(1000, 5), 6, rules)], knobs(margin=0.2, **OFTEN))


def test_a_stop_that_the_grid_moves_nearer_is_filled_alike() -> None:
    rules = replace(PERPETUAL, tick=Decimal(10))
    equal_to_backtrader([tape(candles(700, 3, 1_500.0), 20, rules)], knobs(**OFTEN, allow_short=True, stop_scales=0.5, margin=0.2))


def test_dust_that_the_price_lifts_and_drops_is_replayed_alike() -> None:
    rules = replace(COIN, step=Decimal("0.0005"), min_size=Decimal("0.0005"), min_notional=Decimal(10))
    equal_to_backtrader([tape(candles(1000, 7), 8, rules)], knobs(margin=0.2, cash=300.0, **OFTEN))


def test_forecasts_that_begin_late_and_pause_are_replayed_alike() -> None:
    bars = candles(1000, 9)
    told = forecasts(bars, 10)
    told.iloc[:200, :2] = np.nan
    told.iloc[600:650, :2] = np.nan
    told.iloc[800:805, 0] = 0.0
    equal_to_backtrader([Tape(bars=bars, forecasts=told, market=BTC, timeframe=HOUR, horizon=24)], knobs(margin=0.2, **OFTEN))


def test_a_second_run_on_other_locations_does_not_remember_the_first() -> None:
    one = tape(candles(1000, 1), 11)
    prepared = Replay([one], knobs(**OFTEN))
    location = one.forecasts["location"].to_numpy()
    first = prepared.run([location])
    prepared.run([np.roll(location, 300)])
    again = prepared.run([location])
    pd.testing.assert_frame_equal(first[0], again[0], check_exact=True)
    pd.testing.assert_frame_equal(first[1], again[1], check_exact=True)


number = st.floats(-0.05, 0.05) | st.just(0.0) | st.just(float("nan"))
share = st.floats(-1.0, 1.0) | st.just(0.0)


@settings(max_examples=300, deadline=None)
@given(
    location=number, scale=st.floats(1e-4, 0.1) | st.just(0.0) | st.just(float("nan")), held=share, cap=st.floats(0.0, 1.0),
    margin=st.floats(0, 3), leave=st.floats(0, 2), premium=st.floats(0, 0.1), min_change=st.floats(0, 1), shorts=st.booleans(),
)  # fmt: skip
def test_what_stays_for_many_bars_is_what_decides_nothing_for_one(
    location: float, scale: float, held: float, cap: float, margin: float, leave: float, premium: float, min_change: float, shorts: bool
) -> None:
    rule = EdgeRule(0.0025, margin, leave, 1.0, premium, 3.5, 1.0, min_change, shorts)
    held = held if shorts else max(held, 0.0)
    many = stays(*(np.array([value]) for value in (location, scale, held, cap)), rule)
    assert bool(many[0]) == (decide(location, scale, held, cap, rule) is None)
