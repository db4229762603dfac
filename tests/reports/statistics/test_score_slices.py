"""Slices add up to the whole and are named for what they are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forwardtrader.reports.statistics.score_slices import by_fold, by_regime, by_year, over_seeds, trend_regimes, volatility_regimes


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = 12_000
    signal = rng.normal(size=n)
    strength = np.where(np.arange(n) < 8760, 0.2, 0.0)
    columns = {
        "location": 0.001 * signal,
        "scale": 0.01,
        "realised": 0.01 * (strength * signal + rng.normal(size=n)),
        "model_id": [f"m{row // 1000}" for row in range(n)],
    }
    return pd.DataFrame(columns, index=pd.date_range("2022-01-01", periods=n, freq="h", tz="UTC"))


def test_skill_that_rests_on_one_year_is_seen(table: pd.DataFrame) -> None:
    years = by_year(table, table["scale"].to_numpy())
    assert years["2022"]["rank_ic"] > 0.15
    assert abs(years["2023"]["rank_ic"]) < 0.06
    assert years["2022"]["n"] + years["2023"]["n"] == len(table)


def test_folds_come_in_order_with_their_first_and_last_bar(table: pd.DataFrame) -> None:
    folds = by_fold(table, table["scale"].to_numpy())
    assert [fold["model_id"] for fold in folds] == [f"m{k}" for k in range(12)]
    assert folds[1]["from"] == table.index[1000].isoformat()
    low, high = folds[0]["accuracy_wilson"]
    assert low < folds[0]["accuracy"] < high


def test_thirds_of_volatility_are_thirds(table: pd.DataFrame) -> None:
    volatility = np.random.default_rng(1).exponential(size=len(table))
    regimes = volatility_regimes(table.index, volatility)
    scores = by_regime(table, table["scale"].to_numpy(), regimes)
    assert sorted(scores) == ["calm", "normal", "wild"]
    assert all(abs(score["n"] - 4000) <= 1 for score in scores.values())


def test_a_trend_needs_a_month_of_history(table: pd.DataFrame) -> None:
    close = pd.Series(np.exp(np.linspace(0, 1, len(table))), index=table.index)
    regimes = trend_regimes(table.index, close, 24.0)
    assert regimes.isna().sum() == 720
    assert set(regimes.dropna()) == {"up"}


def test_the_spread_over_seeds_is_reported(table: pd.DataFrame) -> None:
    rng = np.random.default_rng(2)
    seeds = pd.DataFrame({k: table["location"] + 0.001 * rng.normal(size=len(table)) for k in range(3)})
    found = over_seeds(seeds, table, table["scale"].to_numpy())
    assert found["seeds"] == 3
    assert found["rank_ic"]["mean"] > 0.05
    assert 0 < found["rank_ic"]["std"] < 0.05
