"""The model confidence set tells a clear loser from those that cannot be told apart."""

from __future__ import annotations

import numpy as np

from forwardtrader.reports.statistics.selection.model_confidence_set import model_confidence_set

DRAW = np.random.default_rng(0)
BASE = np.abs(DRAW.normal(size=2000))


def test_a_clear_loser_leaves_the_set_and_equals_stay() -> None:
    losses = {"good": BASE, "same": BASE + DRAW.normal(0, 0.01, 2000), "bad": BASE + 0.2 + DRAW.normal(0, 0.01, 2000)}
    found = model_confidence_set(losses, horizon=1)
    assert found["bad"] < 0.05 < 0.1 < min(found["good"], found["same"])
    assert model_confidence_set(losses, horizon=1) == found


def test_equal_forecasters_share_their_p_value_and_too_few_have_none() -> None:
    twins = model_confidence_set({"a": BASE, "b": BASE, "c": BASE + 0.5}, horizon=4)
    assert twins["a"] == twins["b"] > twins["c"]
    assert model_confidence_set({"a": BASE, "b": BASE}, horizon=1) == {"a": 1.0, "b": 1.0}
    assert model_confidence_set({"a": BASE}, horizon=1) == {}
    assert model_confidence_set({"a": BASE, "b": np.where(np.arange(2000) < 1900, np.nan, BASE)}, horizon=1) == {}
