"""Bar by bar gives the bits of the whole history: features, usual move, and the network cut before its last step."""

from __future__ import annotations

import functools
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.models.features import incremental_rows
from forwardtrader.models.features.catalogue import FEATURES, Bars, Feature, matrix, warm_up
from forwardtrader.models.features.incremental_graph import IncrementalGraph
from forwardtrader.models.features.incremental_rows import FeatureRows
from forwardtrader.models.features.sequences import unit
from forwardtrader.models.forecaster import NewBar
from forwardtrader.models.forecasters.lstm import Ensemble, LstmSpec, predict
from forwardtrader.models.forecasters.stepwise_inference import StepwiseInference
from forwardtrader.models.forecasters.trees import Trees
from tests.models.bars import simulated_bars

NAMES = tuple(FEATURES)
CONTEXT = 5
NEEDED = warm_up(NAMES) + CONTEXT - 1


def new_bar(frame: pd.DataFrame, row: int) -> NewBar:
    bar = frame.iloc[row]
    at = [moment.to_pydatetime() for moment in frame.index[row - 1 : row + 1]]
    return NewBar(
        at=at[1], before=at[0], open=bar["open"], high=bar["high"], low=bar["low"], close=bar["close"], volume=bar["volume"],
        frame=lambda: frame.iloc[: row + 1],
    )  # fmt: skip


@functools.cache
def candles(seed: int, shape: str) -> pd.DataFrame:
    """Random candles, some of them missing, quiet, or without a range."""
    frame, draw = simulated_bars(NEEDED + 140, seed=seed), np.random.default_rng(seed)
    if shape == "still":
        frame.iloc[NEEDED - 20 :, :4] = float(frame["close"].iloc[NEEDED - 20])
    if shape == "dead":
        frame.iloc[draw.integers(0, len(frame), 200), 4] = 0.0
    if shape == "wild":
        frame.iloc[:, :4] *= np.exp(draw.standard_t(2, len(frame)) * 0.05)[:, None]
    return frame[draw.random(len(frame)) > 0.05] if shape == "gaps" else frame


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10), st.sampled_from(["plain", "gaps", "still", "dead", "wild"]), st.integers(0, 60), st.booleans())
def test_following_bar_by_bar_gives_the_bits_of_the_whole_history(seed: int, shape: str, first: int, ahead: bool) -> None:
    frame = candles(seed, shape)
    bars = Bars.of(frame)
    whole, usual = matrix(bars, NAMES), unit(bars, 24)
    rows, begin = FeatureRows(NAMES, CONTEXT, 24), NEEDED + min(first, len(frame) - NEEDED - 30)
    rows.fill(frame.iloc[begin - NEEDED : begin])
    for row in range(begin, begin + 30):
        if ahead:
            rows.prepare(frame.index[row - 1].to_pydatetime() + timedelta(hours=1))
        rows.follow(new_bar(frame, row))
        np.testing.assert_array_equal(rows.window, whole[row - CONTEXT + 1 : row + 1])
        assert rows.unit == usual[row]


@pytest.mark.parametrize("name", NAMES)
def test_a_single_feature_can_be_followed_from_as_many_bars_as_it_looks_back_over(name: str) -> None:
    frame = candles(3, "plain")
    begin = warm_up((name,))
    rows = FeatureRows((name,), 1, 1)
    rows.fill(frame.iloc[:begin])
    rows.follow(new_bar(frame, begin))
    assert rows.window[0, 0] == matrix(Bars.of(frame), (name,))[begin, 0]


def midpoint_rank(bars: Bars) -> Any:
    """Share of the last 20 closes below the newest one: a sort, which no graph of single rows records."""
    shares = pd.Series(bars.close).rolling(20).rank(pct=True)
    return shares.to_numpy(dtype=np.float64)


def branching(bars: Bars) -> Any:
    """Looks at the numbers themselves before it decides what to do."""
    rising = np.diff(bars.close, prepend=np.nan)
    return np.where(rising > 0, 1.0, -1.0) if (bars.close > 0).all() else rising


@pytest.mark.parametrize(("function", "looks_back"), [(midpoint_rank, 20), (branching, 2)])
def test_a_feature_that_cannot_be_recorded_is_computed_over_its_window_to_the_same_bits(
    function: Any, looks_back: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(incremental_rows, "_reported", set())
    monkeypatch.setitem(FEATURES, "odd_one", Feature("odd_one", looks_back, function))
    names, frame = ("odd_one", *NAMES), candles(2, "plain")
    whole = matrix(Bars.of(frame), names)
    with caplog.at_level("INFO"):
        rows, again = FeatureRows(names, CONTEXT, 24), FeatureRows(names, CONTEXT, 24)
    lines = [record for record in caplog.records if getattr(record, "facts", {}).get("feature") == "odd_one"]
    assert len(lines) == 1
    assert (0, FEATURES["odd_one"]) in rows.windowed and rows.windowed == again.windowed
    rows.fill(frame.iloc[:NEEDED])
    for row in range(NEEDED, NEEDED + 40):
        rows.follow(new_bar(frame, row))
        np.testing.assert_array_equal(rows.window, whole[row - CONTEXT + 1 : row + 1])


def test_all_features_of_the_catalogue_but_those_of_another_package_are_recorded() -> None:
    assert [feature.name for _, feature in FeatureRows(NAMES, 1, 1).windowed] == ["stochastic_14"]


def test_a_recipe_takes_equal_steps_once() -> None:
    graph = IncrementalGraph()
    x: Any = graph.inputs(("x",))["x"]
    assert (np.log(x) + 1.0).place == (np.log(x) + 1.0).place


def test_a_function_without_a_form_for_single_rows_is_refused() -> None:
    x: Any = IncrementalGraph().inputs(("x",))["x"]
    with pytest.raises(TypeError, match="cosh"):
        np.cosh(x)
    for impossible in (np.cumsum, np.asarray, bool, len, list, pd.Series):
        with pytest.raises(TypeError):
            impossible(x)


@pytest.mark.parametrize(("a", "b"), [(1.0, 0.0), (-1.0, 0.0), (0.0, 0.0), (1.0, -0.0), (float("nan"), 0.0), (2.0, 3.0)])
def test_one_row_divides_and_compares_as_numpy_does(a: float, b: float) -> None:
    graph = IncrementalGraph()
    coming: dict[str, Any] = dict(graph.inputs(("a", "b")))
    x, y = coming["a"], coming["b"]
    graph.keep([x / y, np.maximum(x, y), np.minimum(x, y), np.clip(x, -0.5, 0.5), np.sqrt(x - y)])
    columns = {"a": np.array([a]), "b": np.array([b])}
    with np.errstate(all="ignore"):
        whole = graph.fill(columns)
    np.testing.assert_array_equal(np.array([graph.row({"a": a, "b": b})]), whole)


def ensemble(spec: LstmSpec, *, trees: bool) -> Ensemble:
    draw = np.random.default_rng(1)
    members = tuple({n: (0.3 * draw.standard_normal(s)).astype(np.float32) for n, s in spec.shapes().items()} for _ in range(2))
    grown = Trees(
        draw.integers(0, spec.features, (9, 7)).astype(np.int32), draw.standard_normal((9, 7)),
        draw.integers(0, 128, (9, 7)).astype(np.uint8), draw.standard_normal((9, 8)),
    )  # fmt: skip
    mean, std = draw.standard_normal(spec.features).astype(np.float32), (1 + draw.random(spec.features)).astype(np.float32)
    return Ensemble(spec, mean, std, members, grown if trees else None, 0.5 if trees else 0.0)


@pytest.mark.parametrize("trees", [False, True])
def test_the_network_cut_before_its_last_step_gives_the_bits_of_the_whole(trees: bool) -> None:
    spec = LstmSpec(features=6, units=12, horizons=2, context=8)
    model = ensemble(spec, trees=trees)
    step, features = StepwiseInference(model), np.random.default_rng(2).standard_normal((120, 6)).astype(np.float32)
    assert step.is_exact
    whole = predict(model, features, np.arange(7, 120))
    for row in range(7, 120):
        window = features[row - 7 : row + 1]
        if row % 3:
            step.prepare(window[:-1], row)
        np.testing.assert_array_equal(step.forecast(window, row), whole[row - 7])


def test_a_network_whose_parts_differ_is_forecast_whole() -> None:
    spec = LstmSpec(features=6, units=12, horizons=2, context=8)
    model, features = ensemble(spec, trees=True), np.random.default_rng(2).standard_normal((8, 6)).astype(np.float32)
    step = StepwiseInference(model)
    step.is_exact = False
    step.prepare(features[:-1], 1)
    np.testing.assert_array_equal(step.forecast(features, 1), predict(model, features, np.array([7]))[0])


def test_every_feature_looks_back_no_farther_than_a_session_remembers() -> None:
    assert warm_up(NAMES) <= NEEDED
