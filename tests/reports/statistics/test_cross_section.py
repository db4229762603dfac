"""The rank IC across symbols: that of each bar, averaged over bars, however many symbols a bar has."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from forwardtrader.reports.statistics.cross_section import cross_sectional_skill

BARS = 400


def frames(symbols: int, skill: float, seed: int = 0) -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(seed)
    index = pd.date_range("2024-01-01", periods=BARS, freq="1h", tz="UTC")
    found = {}
    for k in range(symbols):
        realised = rng.normal(size=BARS)
        location = skill * realised + rng.normal(size=BARS)
        found[f"S{k}"] = pd.DataFrame({"location": location, "realised": realised}, index=index)
    return found


def test_it_is_the_mean_of_spearmans_correlation_at_each_bar() -> None:
    given = frames(5, 0.3)
    location, realised = (np.column_stack([f[name] for f in given.values()]) for name in ("location", "realised"))
    each = [spearmanr(a, b).statistic for a, b in zip(location, realised, strict=True)]
    found = cross_sectional_skill(given)
    assert found.rank_ic == pytest.approx(np.mean(each)) == pytest.approx(found.test.mean)
    assert found.icir == pytest.approx(np.mean(each) / np.std(each))
    assert (found.bars, found.symbols) == (BARS, 5) and found.test.p < 0.001


def test_what_all_symbols_share_is_no_skill_across_them() -> None:
    given = frames(6, 0.0)
    market = np.random.default_rng(1).normal(size=BARS) * 10.0
    moved = {symbol: frame + market[:, None] for symbol, frame in given.items()}
    assert abs(cross_sectional_skill(moved).test.statistic) < 3.0


def test_the_order_of_symbols_changes_nothing() -> None:
    given = frames(4, 0.3)
    assert cross_sectional_skill(dict(reversed(given.items()))).rank_ic == pytest.approx(cross_sectional_skill(given).rank_ic, abs=1e-15)


def test_bars_of_fewer_than_three_symbols_do_not_count() -> None:
    given = frames(3, 0.3)
    given["S2"] = given["S2"].iloc[100:]
    given["S1"].loc[given["S1"].index[-50:], "location"] = np.nan
    assert cross_sectional_skill(given).bars == BARS - 150
    two = cross_sectional_skill({symbol: given[symbol] for symbol in ("S0", "S1")})
    assert (two.bars, two.symbols) == (0, 2) and math.isnan(two.rank_ic) and math.isnan(two.test.p)


def test_forecasts_that_are_all_alike_rank_nothing() -> None:
    given = {symbol: frame.assign(location=0.0) for symbol, frame in frames(4, 0.0).items()}
    assert cross_sectional_skill(given).bars == 0
