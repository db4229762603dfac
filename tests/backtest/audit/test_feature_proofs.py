"""A user's own features are tried on the candles of the run too, where they may do what simulated bars do not bring out."""

from __future__ import annotations

from typing import Any

import numpy as np

import forwardtrader as ft
from forwardtrader.backtest.audit.feature_proofs import own_feature_proof, proved
from forwardtrader.core.types import Timeframe
from forwardtrader.models.checks.look_ahead import LookAheadResult
from forwardtrader.models.features.bars import Bars
from forwardtrader.models.features.cross_section import TOGETHER
from forwardtrader.models.features.feature_checks import checked
from forwardtrader.models.features.own_features import OwnFeature
from tests.reports.simulated import candles

HOUR = Timeframe.parse("1h")


def honest(bars: Bars) -> Any:
    return np.nan_to_num(bars.close / ft.lag(bars.close, 1) - 1.0)


def ahead_when_dear(bars: Bars) -> Any:
    """Prices of the simulated bars of the check lie far below."""
    return np.where(bars.close > 5000.0, np.roll(bars.close, -1), bars.close)


def test_an_honest_feature_passes_on_the_candles_of_the_run() -> None:
    proof = own_feature_proof(OwnFeature("honest", 2, honest), candles(1500, seed=1), HOUR, {})
    assert proof.passed and "honest at" in proof.detail


def test_what_the_first_check_could_not_see_is_found_on_the_candles_of_the_run() -> None:
    own = checked(OwnFeature("ahead_when_dear", 1, ahead_when_dear), HOUR)
    bars = candles(1500, seed=1)
    bars.iloc[:, :4] *= 20_000.0 / float(bars["close"].iloc[0])
    proof = own_feature_proof(own, bars, HOUR, {})
    assert (proof.result, proof.offenders) == (LookAheadResult.FAILED, ("ahead_when_dear",)) and "looks ahead" in proof.detail


def test_too_few_candles_clear_nothing() -> None:
    proof = own_feature_proof(OwnFeature("honest", 1490, honest), candles(1500, seed=1), HOUR, {})
    assert proof.result is LookAheadResult.NOT_TESTABLE


def test_the_features_of_the_market_are_tried_on_all_candles_of_the_run_as_one() -> None:
    assert proved(["*"]) == [] and proved(["*", "market_*"]) == proved(["market_move_6"]) == [TOGETHER]
    frames = {symbol: candles(700, seed=k) for k, symbol in enumerate("ABC")}
    peers = {symbol: Bars.of(frame[20 * k :], HOUR) for k, (symbol, frame) in enumerate(frames.items())}
    proof = own_feature_proof(TOGETHER, frames["A"], HOUR, peers)
    assert proof.passed and "337 bars alone give the same bits" in proof.detail
