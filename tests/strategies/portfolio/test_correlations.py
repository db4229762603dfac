"""Correlations carried from bar to bar: found again, kept across a restart, and untouched by bars that are missing."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from forwardtrader.core.errors import InvalidSetting
from forwardtrader.strategies.portfolio.correlations import PRIOR, Correlations

NAMES = ("BTC/USDT", "ETH/USDT", "XRP/USDT")
SCALE = 0.01


def market(rows: int, correlation: float = 0.8, seed: int = 1) -> np.ndarray:
    """Closes [rows, 3] whose moves have this correlation."""
    draw = np.random.default_rng(seed)
    moves = SCALE * (math.sqrt(correlation) * draw.normal(size=(rows, 1)) + math.sqrt(1 - correlation) * draw.normal(size=(rows, 3)))
    return np.asarray(100.0 * np.exp(np.cumsum(moves, axis=0)))


def learned(closes: np.ndarray, known: Correlations | None = None) -> Correlations:
    known = known or Correlations(NAMES)
    for row in closes.tolist():
        known.take_in(row, [SCALE] * 3, 0.01)
    return known


def test_the_prior_holds_before_anything_is_known() -> None:
    assert Correlations(NAMES).matrix(0.5)[0] == [1.0, PRIOR, PRIOR]
    assert Correlations(NAMES[:1]).matrix(0.5) == [[1.0]]


def test_the_correlation_of_a_market_is_found() -> None:
    found = np.array(learned(market(2000)).matrix(0.5))
    assert found[np.triu_indices(3, 1)] == pytest.approx([0.8] * 3, abs=0.06)
    assert np.linalg.eigvalsh(found).min() > 0.0


def test_a_restart_goes_on_to_the_last_bit() -> None:
    closes = market(60)
    resumed = Correlations(NAMES)
    resumed.restore(json.loads(json.dumps(learned(closes[:40]).as_dict())))
    assert learned(closes[40:], resumed).matrix(0.5) == learned(closes).matrix(0.5)


def test_a_symbol_that_joins_starts_from_the_prior_and_others_keep_what_is_known() -> None:
    saved = learned(market(500)).as_dict()
    joined = Correlations((*NAMES[1:], "ADA/USDT"))
    joined.restore(saved)
    known = joined.matrix(0.0)
    assert known[0][1] == pytest.approx(0.8, abs=0.1)
    assert known[0][2] != known[0][1]


def test_bars_that_are_missing_change_nothing_of_their_symbol() -> None:
    known = learned(market(300))
    before = known.as_dict()["products"]
    known.take_in([105.0, None, 99.0], [SCALE] * 3, 0.01)
    after = known.as_dict()["products"]
    assert after["ETH/USDT"] == before["ETH/USDT"]
    assert after["BTC/USDT"]["XRP/USDT"] != before["BTC/USDT"]["XRP/USDT"]


def test_a_state_of_another_form_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="delete the session's state"):
        Correlations(NAMES).restore({"closes": {}})
