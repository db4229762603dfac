"""Scores against plain formulas, and their intervals against their promises."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.reports.statistics.forecast_scores import (
    SCORES,
    Outcomes,
    block_of,
    huber,
    most_confident,
    point_scores,
    score,
    score_all,
)


def frame(n: int = 3000, ic: float = 0.1, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    scale = 0.005 * np.exp(0.5 * np.sin(np.arange(n) / 200))
    signal = rng.normal(size=n)
    realised = scale * (ic * signal + math.sqrt(1 - ic * ic) * rng.standard_t(5, n))
    location = 0.05 * signal * scale
    index = pd.date_range("2022-01-01", periods=n, freq="h", tz="UTC")
    columns = {"location": location, "scale": scale, "q05": location - 1.7 * scale, "q95": location + 1.7 * scale, "realised": realised}
    return pd.DataFrame(columns, index=index)


def test_scores_are_those_of_the_plain_formulas() -> None:
    from scipy import stats

    table = frame()
    found = score(table, samples=20)
    unit = table["scale"]
    assert found["ic"] == pytest.approx(np.corrcoef(table["location"] / unit, table["realised"] / unit)[0, 1])
    assert found["rank_ic"] == pytest.approx(float(stats.spearmanr(table["location"], table["realised"]).statistic))
    assert found["accuracy"] == pytest.approx(float((np.sign(table["location"]) == np.sign(table["realised"])).mean()))
    target = np.clip(table["realised"] / unit, -5, 5)
    skill = 1 - huber((target - table["location"] / unit).to_numpy()).mean() / huber(target.to_numpy()).mean()
    assert found["loss_skill"] == pytest.approx(skill)
    assert found["coverage_90"] == pytest.approx(float(table["realised"].between(table["q05"], table["q95"]).mean()))


def test_the_most_confident_tenth_is_chosen_by_location_over_scale() -> None:
    table = frame()
    top = (table["location"].abs() / table["scale"]).nlargest(300).index
    hits = (np.sign(table["location"]) == np.sign(table["realised"])).loc[top].mean()
    assert score(table, samples=20)["accuracy_top10"] == pytest.approx(float(hits))


def test_every_score_lies_in_its_own_interval() -> None:
    found = score(frame(), samples=300)
    for name in SCORES:
        low, high = found[f"{name}_ci"]
        assert low <= found[name] <= high


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    true_ic = 0.0
    inside = [(ci := score(frame(1500, 0.0, seed), samples=200)["rank_ic_ci"])[0] <= true_ic <= ci[1] for seed in range(80)]
    assert np.mean(inside) > 0.87


def test_a_forecast_of_zero_has_no_direction_and_no_skill() -> None:
    found = score(frame().assign(location=0.0), samples=50)
    assert found["loss_skill"] == 0.0
    for name in ("ic", "rank_ic", "accuracy", "accuracy_top10"):
        assert math.isnan(found[name])
        assert np.isnan(found[f"{name}_ci"]).all()


def test_without_quantiles_there_is_no_coverage() -> None:
    assert math.isnan(score(frame().drop(columns=["q05", "q95"]), samples=50)["coverage_90"])


def test_unknown_outcomes_are_left_out() -> None:
    table = frame()
    table.loc[table.index[-24:], "realised"] = np.nan
    assert score(table, samples=20)["n"] == 3000 - 24


def test_a_bar_that_did_not_move_is_neither_hit_nor_miss() -> None:
    table = frame(200)
    expected = score(table, samples=20)["accuracy"]
    still = pd.concat([table, table.iloc[:50].assign(realised=0.0)])
    assert score(still, samples=20)["accuracy"] == pytest.approx(expected)


def test_scored_together_or_alone_is_the_same() -> None:
    a, b = frame(seed=1), frame(seed=1).assign(location=lambda t: -t["location"])
    b.loc[b.index[:5], "location"] = np.nan
    together = score_all({"a": a, "b": b}, samples=100)
    assert together["a"]["ic_ci"] == pytest.approx(score(a, samples=100)["ic_ci"])
    assert together["b"]["n"] == 2995
    assert together["b"]["rank_ic"] < 0 < together["a"]["rank_ic"]


def test_too_few_rows_give_scores_without_intervals() -> None:
    found = score(frame(30), samples=20, horizon=24)
    assert np.isnan(found["ic_ci"]).all()
    assert math.isfinite(found["ic"])


def test_no_rows_give_no_scores() -> None:
    assert score(frame().iloc[:0], samples=20)["n"] == 0
    assert point_scores(Outcomes.of(frame().iloc[:0]))["n"] == 0


def test_blocks_are_at_least_twice_the_horizon() -> None:
    assert block_of(8000, 1) == 20
    assert block_of(8000, 24) == 48


@given(st.lists(st.floats(0, 10) | st.sampled_from([0.5, 0.5 + 1e-12, 2.0, math.nan]), min_size=1, max_size=60), st.data())
@settings(max_examples=100, deadline=None)
def test_the_confident_are_a_tenth_of_the_calls_and_no_less_confident_than_the_rest(sizes: list[float], data: st.DataObject) -> None:
    call = np.array(data.draw(st.lists(st.booleans(), min_size=len(sizes), max_size=len(sizes))))
    confidence = np.array(sizes)
    known = call & ~np.isnan(confidence)
    share = most_confident(confidence, call)
    assert share.sum() == pytest.approx(math.ceil(0.1 * known.sum()))
    assert not share[~known].any()
    order = np.random.default_rng(0).permutation(len(sizes))
    assert most_confident(confidence[order], call[order]) == pytest.approx(share[order])
    for a in np.flatnonzero(known):
        assert 0.0 <= share[a] <= 1.0
        rivals = confidence[known & (confidence > confidence[a] * (1.0 + 3e-6))]
        assert share[a] == 0.0 or len(rivals) < math.ceil(0.1 * known.sum())
        if share[a] < 1.0:
            assert not share[known & (confidence < confidence[a] * (1.0 - 3e-6))].any()


def test_equal_confidence_shares_the_tenth_whatever_the_order_in_time() -> None:
    table = frame(1000).assign(scale=0.01)
    table["location"] = np.where(np.arange(1000) < 50, 0.03, 0.01)
    sure, rest = table.iloc[:50], table.iloc[50:]
    hits = (sure["realised"] > 0).sum() + 50 * (rest["realised"] > 0).mean()
    assert score(table, samples=20)["accuracy_top10"] == pytest.approx(hits / 100)
    backwards = table.iloc[::-1].set_axis(table.index)
    assert score(backwards, samples=20)["accuracy_top10"] == pytest.approx(hits / 100)


def test_rounding_does_not_break_a_tie() -> None:
    table = frame(1000)
    noise = np.random.default_rng(9).uniform(-1e-9, 1e-9, 1000) + np.where(table["realised"] > 0, 1e-8, 0.0)
    constant = table.assign(location=0.1 * table["scale"] * (1.0 + noise))
    assert score(constant, samples=20)["accuracy_top10"] == pytest.approx(score(constant, samples=20)["accuracy"])


def test_all_forecasters_of_the_same_bars_are_ranked_in_one_scale() -> None:
    """A rival that says the very same but whose own scale is constant must have the very same top tenth."""
    table = frame()
    rival = table.assign(scale=table["scale"].mean())
    options = {"volatility": np.full(len(table), 0.005), "samples": 20}
    apart = score_all({"ours": table, "rival": rival}, **options)
    assert apart["ours"]["accuracy_top10"] != apart["rival"]["accuracy_top10"]
    together = score_all({"ours": table, "rival": rival}, scale=table["scale"].to_numpy(), **options)
    assert together["rival"]["accuracy_top10"] == together["ours"]["accuracy_top10"] == apart["ours"]["accuracy_top10"]
    assert together["rival"]["accuracy_top10_ci"] == pytest.approx(together["ours"]["accuracy_top10_ci"])
    same = [name for name in SCORES if name != "accuracy_top10"]
    assert [together["rival"][name] for name in same] == pytest.approx([apart["rival"][name] for name in same])


def test_scores_of_a_whole_scoreboard_are_quick() -> None:
    import time

    frames = {str(k): frame(32_000, 0.05, k).assign(realised=frame(32_000, 0.05, 0)["realised"].to_numpy()) for k in range(8)}
    started = time.process_time()
    score_all(frames, samples=1000)
    assert time.process_time() - started < 6.0


def test_forecasters_of_very_many_bars_are_resampled_some_at_a_time_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = {str(seed): frame(seed=0).assign(location=frame(seed=seed)["location"]) for seed in range(3)}
    at_once = score_all(frames, samples=50)
    monkeypatch.setattr("forwardtrader.reports.statistics.forecast_scores._CELLS", 1)
    apart = score_all(frames, samples=50)
    for name, scores in at_once.items():
        for key, value in scores.items():
            assert apart[name][key] == pytest.approx(value, rel=1e-5, abs=1e-7)
