"""The fast replay with finer bars against the Backtrader run with them: the same fills and equity, to the last digit."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.core.types import MarketRules
from forwardtrader.strategies.margin.series import PerpetualSeries
from forwardtrader.strategies.replay import replay
from forwardtrader.strategies.replay_track import Tape
from tests.strategies.detail.market import PRICES, detail_of, fine_candles, hourly
from tests.strategies.fast_replay.test_margin_walk import BOTH_WAYS, ETH, PERP, TIERS
from tests.strategies.market import BTC, HOUR, forecasts, knobs
from tests.strategies.market import ETH as ETHER
from tests.strategies.test_replay import COIN, EAGER, OFTEN, equal_to_backtrader

RECKLESS: dict[str, Any] = {
    "rule": "single", "leverage": 20.0, "max_exposure": 15.0, "max_drawdown": 0.99, "max_daily_loss": 0.99, "target_volatility": 9.0,
    "risk_tolerance": 1.0, "cash_reserve": 0.0,
}  # fmt: skip


def detailed(
    hours: int, seed: int, market: MarketRules, *, per: int = 6, price: float = 20_000.0, wild: float = 1.0, lacks: int = 0
) -> Tape:
    """A tape with finer bars in all but a tenth of its hours; a perpetual has marks near its prices, inside `lacks` hours unknown ones."""
    draw, fine = np.random.default_rng(seed), fine_candles(hours, per, seed, price)
    bars, without = hourly(fine), draw.integers(0, hours, hours // 10).tolist()
    made = Tape(bars=bars, forecasts=forecasts(bars, seed + 1), market=market, timeframe=HOUR, horizon=24)
    if not market.settle:
        return replace(made, detail=detail_of(fine, without=without))
    marks = fine[PRICES] * (1.0 + draw.normal(0, 0.0005, len(fine)))[:, None]
    marks["high"], marks["low"] = marks.max(axis=1) * wild, marks.min(axis=1) / wild
    joined, opened = hourly(marks), bars.index.as_unit("ms").asi8 / 1000.0
    settled = np.sort(np.concatenate([opened[::8], opened[5::97] + 1800.0]))
    facts = PerpetualSeries(opened, joined.to_numpy(), settled, draw.normal(1e-4, 5e-4, len(settled)))
    unknown = marks.index.floor("1h").isin(bars.index[draw.integers(0, hours, lacks)])
    return replace(made, facts=facts, detail=detail_of(fine, marks.loc[~unknown], without=without))


def whole(tape: Tape) -> Tape:
    return replace(tape, detail=None)


@pytest.mark.parametrize("market", [BTC, COIN])
def test_stops_go_by_finer_bars_alike(market: MarketRules) -> None:
    tape = detailed(500, 1, market)
    chosen = knobs(**OFTEN, stop_scales=0.2, cooldown="2h", margin=0.2)
    fills = equal_to_backtrader([tape], chosen)
    assert fills["reason"].str.contains("stop").sum() > 5
    assert not fills.equals(replay([whole(tape)], chosen)[0])  # a stop that gaps inside the hour is filled at the worse price


@pytest.mark.parametrize("market", [COIN, replace(PERP, maker_fee=Decimal("0.0002"))])
@pytest.mark.parametrize("rule", ["single", "portfolio"])
def test_entries_that_rest_go_by_finer_bars_alike(market: MarketRules, rule: str) -> None:
    tapes = [
        detailed(250, 3, market),
        detailed(220, 4, replace(market, symbol=market.symbol.replace("BTC", "ETH"), base="ETH"), price=1_500.0),
    ]
    chosen = knobs(**{**EAGER, "allow_short": market.is_perpetual}, entry_deadline=3, volume_share=0.02, stop_scales=0.3, rule=rule)
    assert len(equal_to_backtrader(tapes, chosen)) > 10


def test_liquidations_go_by_finer_marks_alike() -> None:
    tape = detailed(400, 5, replace(PERP, margin_tiers=TIERS[:1]), wild=1.055, lacks=40)
    chosen = knobs(**{**BOTH_WAYS, **RECKLESS, "stop_scales": 0.2, "cooldown": "1h"})
    fills = equal_to_backtrader([tape], chosen)
    assert fills["reason"].str.startswith("liquidated").any()
    assert fills["reason"].str.contains("stop").any()
    assert not fills.equals(replay([whole(tape)], chosen)[0])


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 10_000), market=st.sampled_from([BTC, COIN, PERP]), per=st.sampled_from([2, 4, 12]),
    stops=st.sampled_from([0.1, 0.5, 2.0]),
    entry=st.sampled_from(["market", "maker"]), rule=st.sampled_from(["single", "portfolio"]), leverage=st.sampled_from([1.0, 10.0]),
    share=st.sampled_from([0.001, 0.05, 1.0]), deadline=st.integers(1, 4), wild=st.sampled_from([1.0, 1.03]), gap=st.booleans(),
)  # fmt: skip
def test_whatever_the_market_and_the_policy_finer_bars_are_replayed_alike(
    seed: int, market: MarketRules, per: int, stops: float, entry: str, rule: str, leverage: float, share: float, deadline: int,
    wild: float, gap: bool,
) -> None:  # fmt: skip
    other = ETH if market.settle else ETHER
    tapes = [
        detailed(120, seed, market, per=per, wild=wild, lacks=10),
        detailed(110, seed + 7, other, per=4, price=1_500.0, wild=wild),
    ]
    if gap:
        lacking = tapes[1].bars.index[[20, 21, 60]]
        tapes[1] = replace(tapes[1], bars=tapes[1].bars.drop(lacking), forecasts=tapes[1].forecasts.drop(lacking))
    leverage = leverage if market.settle else 1.0
    chosen = knobs(**{
        **EAGER, "allow_short": bool(market.settle), "entry": entry, "rule": rule, "leverage": leverage, "max_exposure": leverage,
        "target_volatility": 9.0, "risk_tolerance": 1.0, "stop_scales": stops, "cooldown": "2h", "volume_share": share,
        "entry_deadline": deadline, "max_drawdown": 0.99, "max_daily_loss": 0.99, "portfolio_volatility": 9.0,
    })  # fmt: skip
    equal_to_backtrader(tapes, chosen, none_is_fine=True)


def test_without_finer_bars_inside_any_hour_nothing_is_different() -> None:
    tape = detailed(300, 8, PERP)
    none = replace(tape, detail=detail_of(fine_candles(1, 6, 1), without=[0]))
    chosen = knobs(**BOTH_WAYS, stop_scales=0.3)
    with_none, without = replay([none], chosen), replay([whole(tape)], chosen)
    pd.testing.assert_frame_equal(with_none[0], without[0], check_exact=True)
    pd.testing.assert_frame_equal(with_none[1], without[1], check_exact=True)
