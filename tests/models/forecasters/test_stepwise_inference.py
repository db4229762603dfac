"""The network cut before its last step gives the bits of the whole."""

from __future__ import annotations

import numpy as np
import pytest

from forwardtrader.models.forecasters.lstm import Ensemble, LstmSpec, predict
from forwardtrader.models.forecasters.stepwise_inference import StepwiseInference
from forwardtrader.models.forecasters.trees import Trees


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
