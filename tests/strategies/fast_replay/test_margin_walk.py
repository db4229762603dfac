"""The fast replay on margin against the Backtrader run: the same fills, funding, liquidations and equity, to the last digit."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forwardtrader.core.types import MarginTier
from forwardtrader.strategies.margin.series import PerpetualSeries
from forwardtrader.strategies.replay_track import Tape
from tests.strategies.market import BTC, candles, knobs
from tests.strategies.test_replay import equal_to_backtrader, tape

TIERS = (
    MarginTier(notional_from=Decimal(0), max_leverage=Decimal(50), maintenance_rate=Decimal("0.01")),
    MarginTier(notional_from=Decimal(8_000), max_leverage=Decimal(20), maintenance_rate=Decimal("0.03"), maintenance_amount=Decimal(160)),
)
PERP = replace(BTC, symbol="BTC/USDT:USDT", settle="USDT", can_short=True, margin_tiers=TIERS)
ETH = replace(PERP, symbol="ETH/USDT:USDT", base="ETH")
BOTH_WAYS: dict[str, Any] = {"allow_short": True, "margin": 0.2, "premium": 0.0, "holding": "0d", "min_trade": 0.1, "fee_bps": 5}
CASES: dict[str, dict[str, Any]] = {
    "both ways": {},
    "long only": {"allow_short": False},
    "tight stops": {"stop_scales": 0.3, "cooldown": "3h"},
    "all in": {"max_exposure": 1.0, "target_volatility": 9.0, "risk_tolerance": 1.0, "cash_reserve": 0.0, "margin": 0.1},
    "halted": {"max_drawdown": 0.01, "max_daily_loss": 0.003, "risk_tolerance": 0.2},
    "seldom": {"holding": "14d", "min_trade": 0.5, "margin": 0.3},
}


def perpetual(bars: pd.DataFrame, seed: int, rules: Any = PERP, *, unknown: int = 0, wild: float = 1.0) -> Tape:
    """A tape with marks near its prices, settlements at odd minutes among them, and some marks that are not known."""
    draw, made = np.random.default_rng(seed), tape(bars, seed, rules)
    opened = bars.index.as_unit("ms").asi8 / 1000.0
    marks = bars[["open", "high", "low", "close"]].to_numpy() * (1.0 + draw.normal(0, 0.0005, len(bars)))[:, None]
    marks[:, 1], marks[:, 2] = marks.max(axis=1) * wild, marks.min(axis=1) / wild
    marks[draw.integers(0, len(bars), unknown)] = np.nan
    settled = np.sort(np.concatenate([opened[::8], opened[5::97] + 1800.0]))
    return replace(made, facts=PerpetualSeries(opened, marks, settled, draw.normal(1e-4, 5e-4, len(settled))))


@pytest.mark.parametrize("name", CASES)
def test_the_replay_on_margin_fills_and_pays_what_backtrader_does(name: str) -> None:
    chosen = knobs(**{**BOTH_WAYS, **CASES[name]})
    bars = candles(1000, 2)
    bars.iloc[700:703, :4] = bars["close"].iloc[699]
    bars.iloc[700:703, 4] = 0.0
    fills = equal_to_backtrader([perpetual(bars, 12, unknown=30)], chosen)
    assert len(fills) > 5
    assert chosen.allow_short is (fills["side"].iloc[0] == "sell") or len(set(fills["side"])) == 2


@pytest.mark.parametrize("name", ["both ways", "all in", "halted"])
def test_several_perpetuals_with_gaps_in_one_account_are_replayed_alike(name: str) -> None:
    first, second = candles(700, 3), candles(700, 4, 1_500)
    tapes = [perpetual(first.drop(first.index[300:340]), 21), perpetual(second.drop(second.index[[100, 101, 500]]).iloc[:650], 22, ETH)]
    assert len(equal_to_backtrader(tapes, knobs(**{**BOTH_WAYS, **CASES[name]}))) > 5


def test_liquidations_are_replayed_alike() -> None:
    reckless = {"rule": "single", "leverage": 20.0, "max_exposure": 15.0, "max_drawdown": 0.99, "max_daily_loss": 0.99}
    chosen = knobs(**{**BOTH_WAYS, **CASES["all in"], **reckless})
    bars = candles(600, 5, volatility=0.004)
    fills = equal_to_backtrader([perpetual(bars, 25, replace(PERP, margin_tiers=TIERS[:1]), wild=1.06)], chosen)
    assert fills["reason"].str.startswith("liquidated").any()


def test_a_perpetual_without_facts_goes_by_the_last_price() -> None:
    equal_to_backtrader([tape(candles(600, 7), 8, PERP)], knobs(**BOTH_WAYS))
