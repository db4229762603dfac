"""Symbols stacked into one matrix: the rows of each are its own."""

from __future__ import annotations

import numpy as np

from forwardtrader.models.features.bars import Bars
from forwardtrader.models.features.catalogue import matrix
from forwardtrader.models.features.panel import Panel
from forwardtrader.models.features.sequences import targets
from tests.models.bars import simulated_bars

CANDLES = {"A/USD": simulated_bars(700, seed=1), "B/USD": simulated_bars(650, seed=2)}
PANEL = Panel.of(CANDLES, (1, 4), ("return_1_ago", "move_6"))


def test_the_rows_of_a_symbol_are_those_it_has_alone() -> None:
    for symbol, frame in CANDLES.items():
        first = PANEL.offset[symbol]
        own = Bars.of(frame)
        np.testing.assert_array_equal(PANEL.features[first : first + len(frame)], matrix(own, PANEL.names))
        np.testing.assert_array_equal(PANEL.targets[first : first + len(frame)], targets(own, (1, 4)))
    assert PANEL.offset == {"A/USD": 0, "B/USD": 700}


def test_the_fingerprint_changes_with_a_price_inside_the_rows_and_not_outside() -> None:
    changed = CANDLES["A/USD"].copy()
    changed.iloc[100, 3] += 1e-9
    other = Panel.of({"A/USD": changed}, (1, 4), PANEL.names)
    assert other.fingerprint("A/USD", 50, 101) != PANEL.fingerprint("A/USD", 50, 101)
    assert other.fingerprint("A/USD", 101, 200) == PANEL.fingerprint("A/USD", 101, 200)
