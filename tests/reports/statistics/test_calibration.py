"""Honest quantiles look honest, and dishonest ones do not."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from forwardtrader.reports.statistics.calibration import calibration, crps, crps_skill, pit_histogram, rise_calibration

Z = np.array([-1.6448536, -0.6744898, 0.0, 0.6744898, 1.6448536])


def honest(n: int = 20_000, width: float = 1.0, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    scale = 0.005 * np.exp(0.4 * rng.normal(size=n))
    table = pd.DataFrame(scale[:, None] * Z * width, columns=["q05", "q25", "q50", "q75", "q95"])
    table["realised"] = scale * rng.normal(size=n)
    table["p_up"] = 0.5
    return table.set_index(pd.date_range("2022-01-01", periods=n, freq="h", tz="UTC"))


def test_honest_quantiles_cover_ninety_per_cent_in_each_year() -> None:
    found = calibration(honest())
    assert found["coverage_90"]["share"] == pytest.approx(0.9, abs=0.01)
    assert list(found["coverage_90_by_year"]) == ["2022", "2023", "2024"]
    assert all(abs(year["share"] - 0.9) < 0.02 for year in found["coverage_90_by_year"].values())


def test_narrow_quantiles_are_seen_in_coverage_and_in_the_histogram() -> None:
    found = calibration(honest(width=0.5))
    assert found["coverage_90"]["ci"][1] < 0.65
    assert found["pit"][0]["share"] > 3 * found["pit"][0]["expected"]


def test_the_histogram_of_honest_quantiles_is_as_expected() -> None:
    table = honest()
    for part in pit_histogram(table[["q05", "q25", "q50", "q75", "q95"]].to_numpy(), table["realised"].to_numpy()):
        assert part["share"] == pytest.approx(part["expected"], abs=0.01)


def test_shares_of_the_histogram_add_up() -> None:
    assert sum(part["share"] for part in calibration(honest(500))["pit"]) == pytest.approx(1.0)


def test_crps_is_twice_the_mean_pinball_loss() -> None:
    quantiles = np.array([[-2.0, -1.0, 0.0, 1.0, 2.0]])
    pinball = [0.05 * 2.5, 0.25 * 1.5, 0.5 * 0.5, 0.75 * -0.5 + 0.5, 0.95 * -1.5 + 1.5]
    assert crps(quantiles, np.array([0.5])) == pytest.approx([2 * np.mean(pinball)])


def test_sharper_honest_quantiles_have_skill_over_blunt_ones() -> None:
    table = honest()
    own = table[["q05", "q25", "q50", "q75", "q95"]].to_numpy()
    blunt = np.tile(np.quantile(table["realised"], [0.05, 0.25, 0.5, 0.75, 0.95]), (len(table), 1))
    assert crps_skill(own, blunt, table["realised"].to_numpy()) > 0.01


def test_a_rival_that_knows_nothing_gives_no_skill() -> None:
    table = honest(100)
    assert math.isnan(calibration(table, np.full((100, 5), np.nan))["crps_skill"])


def test_honest_chances_lie_on_the_diagonal() -> None:
    rng = np.random.default_rng(1)
    chance = rng.uniform(0.35, 0.65, 30_000)
    realised = np.where(rng.random(30_000) < chance, 0.01, -0.01)
    found = rise_calibration(chance, realised)
    assert len(found["reliability"]) == 10
    assert all(abs(point["p"] - point["share"]) < 0.03 for point in found["reliability"])
    assert found["brier_skill"] > 0
    assert found["log_loss_skill"] > 0


def test_always_saying_one_half_has_no_skill() -> None:
    found = rise_calibration(np.full(1000, 0.5), np.random.default_rng(2).normal(size=1000))
    assert found["brier_skill"] == pytest.approx(0.0)
    assert found["log_loss_skill"] == pytest.approx(0.0)


def test_equal_chances_share_a_bin_whatever_their_order_in_time() -> None:
    """The market rises in its first half and falls in its second; who always says the same is right half of the time."""
    realised = np.repeat([0.01, -0.01], 500)
    assert rise_calibration(np.full(1000, 0.5), realised)["reliability"] == [
        {
            "p": 0.5,
            **{key: value for key, value in rise_calibration(np.full(1000, 0.5), realised[::-1])["reliability"][0].items() if key != "p"},
        }
    ]
    chance = np.where(np.arange(1000) % 2 == 0, 0.4, 0.6)
    curve = rise_calibration(chance, realised)["reliability"]
    assert [(point["p"], point["share"], point["n"]) for point in curve] == [(0.4, 0.5, 500), (pytest.approx(0.6), 0.5, 500)]
