"""The fast replay against the Backtrader run: the same fills, the same equity, to the last digit."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

from core.errors import InvalidSetting
from models.forecaster import RecordedForecasts
from strategies.assembly import record_of
from strategies.replay import replay
from tests.strategies.market import BTC, HOUR, PERP, candles, forecasts, knobs, run

OFTEN = {"holding": "0d", "min_trade": 0.1}  # many trades in a short test
CASES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "tight stops": {"stop_scales": 0.3, "cooldown": "3h"},
    "no costs": {"fee_bps": 0, "slippage_bps": 0, "spread_bps": 0},
    "eager": {"margin": 0, "min_trade": 0.01, "risk_aversion": 3.0},
    "all in": {"max_exposure": 1.0, "target_volatility": 9.0, "risk_tolerance": 1.0, "cash_reserve": 0.0, "margin": 0.1},
    "halted": {"max_drawdown": 0.01, "max_daily_loss": 0.003, "risk_tolerance": 0.2},
    "shorts": {"allow_short": True, "margin": 0.2, "premium": 0.0},
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_replay_fills_what_backtrader_fills(name: str, seed: int) -> None:
    settings = knobs(**{**OFTEN, **CASES[name]})
    rules = PERP if settings.allow_short else BTC
    bars = candles(1000, seed)
    bars.iloc[700:703, :4] = bars["close"].iloc[699]  # a venue that stood still: nothing is filled there
    bars.iloc[700:703, 4] = 0.0
    frame = forecasts(bars, seed + 10)
    record = record_of(run(bars, settings, rules=rules, forecast=RecordedForecasts(frame, horizon=24)))
    fills, equity = replay(bars, frame, settings, rules, HOUR, 24)
    assert len(fills) > 5
    pd.testing.assert_frame_equal(fills, record.fills[list(fills.columns)], check_exact=True, check_dtype=False)
    assert equity["equity"].to_list() == record.equity["equity"].to_list()
    assert equity["cash"].to_list() == record.equity["cash"].to_list()


def test_a_coarse_grid_is_replayed_alike() -> None:
    rules = replace(BTC, tick=Decimal("0.5"), step=Decimal("0.01"), min_notional=Decimal(100), max_market_size=Decimal("0.05"))
    bars = candles(1000, 5)
    frame = forecasts(bars, 6)
    settings = knobs(margin=0.2, **OFTEN)
    record = record_of(run(bars, settings, rules=rules, forecast=RecordedForecasts(frame, horizon=24)))
    fills, equity = replay(bars, frame, settings, rules, HOUR, 24)
    pd.testing.assert_frame_equal(fills, record.fills[list(fills.columns)], check_exact=True, check_dtype=False)
    assert equity["equity"].to_list() == record.equity["equity"].to_list()


def test_fees_in_base_currency_are_refused() -> None:
    bars = candles(100)
    with pytest.raises(InvalidSetting, match="full backtest"):
        replay(bars, forecasts(bars), knobs(), replace(BTC, fee_in_base=True), HOUR, 24)
