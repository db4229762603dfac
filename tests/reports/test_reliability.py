from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from reports import reliability
from tests.reports.simulated import Z


def honest(n: int = 20_000, *, width: float = 1.0, seed: int = 0) -> pd.DataFrame:
    """Forecasts whose outcomes are drawn from the forecast itself; `width` 0.5 claims half the true spread."""
    rng = np.random.default_rng(seed)
    location, scale = rng.normal(0, 0.001, n), np.exp(rng.normal(-5, 0.3, n))
    realised = location + scale * rng.standard_normal(n)
    bands = {name: location + z * scale * width for name, z in Z.items()}
    p_up = np.array([0.5 * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3))) for x in location / scale])
    times = pd.date_range("2022-01-01", periods=n, freq="h", tz="UTC")
    return pd.DataFrame({"timestamp": times, "location": location, "scale": scale, "p_up": p_up, "realised": realised, **bands})


def test_honest_probabilities_lie_on_the_diagonal() -> None:
    shares = reliability.reliability(honest())
    assert len(shares) == 10
    assert sum(share.n for share in shares) == 20_000
    assert sum(share.low <= share.expected <= share.high for share in shares) >= 8


def test_honest_quantiles_are_met_and_narrow_ones_are_not() -> None:
    for share in reliability.quantile_shares(honest()):
        assert share.observed == pytest.approx(share.expected, abs=0.01)
    narrow = reliability.quantile_shares(honest(width=0.5))
    assert narrow[0].observed > 0.15
    assert narrow[-1].observed < 0.85


def test_the_transform_of_honest_forecasts_is_nearly_flat() -> None:
    counts = reliability.histogram(honest(40_000))
    assert counts.mean() == pytest.approx(1.0)
    # Straight lines between the quantiles are not the normal curve itself, so flat is flat within a third.
    assert np.abs(counts - 1).max() < 0.5
    assert counts[:5].mean() == pytest.approx(1.0, abs=0.05)


def test_a_narrow_forecast_makes_a_bowl() -> None:
    counts = reliability.histogram(honest(width=0.5))
    assert counts[0] > 2
    assert counts[-1] > 2


def test_transforms_are_monotone_in_the_outcome() -> None:
    rows = honest(500)
    same = pd.concat([rows.iloc[[0]]] * 200, ignore_index=True)
    same["realised"] = np.linspace(-0.2, 0.2, 200)
    assert (np.diff(reliability.transform(same)) >= 0).all()


def test_too_few_bars_are_no_picture() -> None:
    few = honest(20)
    assert reliability.reliability(few) == []
    assert reliability.quantile_shares(few) == []
    assert len(reliability.histogram(few)) == 0


def test_outcomes_that_are_not_known_yet_do_not_count() -> None:
    rows = honest(1000)
    rows.loc[500:, "realised"] = np.nan
    assert reliability.quantile_shares(rows)[0].n == 500
    assert reliability.scores_by(rows, rows["timestamp"].dt.year).loc[2022, "n"] == 500


def test_scores_by_group_see_only_their_own_bars() -> None:
    rows = honest(2000)
    key = pd.Series(np.where(np.arange(2000) < 1000, "first", "second"))
    rows.loc[1000:, "location"] = rows.loc[1000:, "realised"]
    table = reliability.scores_by(rows, key)
    assert table.loc["second", "rank_ic"] == pytest.approx(1.0)
    assert table.loc["second", "accuracy"] == 1.0
    assert table.loc["first", "rank_ic"] < 0.5


def test_constant_forecasts_have_no_rank_correlation() -> None:
    rows = honest(200).assign(location=0.0)
    scores = reliability.scores_by(rows, pd.Series(["all"] * 200)).loc["all"]
    assert np.isnan(scores["rank_ic"])
    assert np.isnan(scores["accuracy"])
