"""Every forecaster that has a name can be had by it, and does what any forecaster does."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from forwardtrader.core.errors import InvalidSetting, NotTrained, UnknownSetting
from forwardtrader.models.port.names import BASELINES, SHIPPED, chosen_baselines, shipped
from tests.models.forecasters.shipped.samples import asked, learnable, rank_ic, samples

SKILLED = ("reversal", "momentum", "ridge", "huber_linear", "lightgbm", "mean", "stacking")


@pytest.mark.parametrize("name", SHIPPED)
def test_equal_seeds_give_equal_forecasts(name: str) -> None:
    panel = learnable()
    first, second = (shipped(name).fit(panel).predict(asked(panel, 0, 200)) for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("name", SHIPPED)
def test_what_was_saved_answers_the_same(name: str, tmp_path: Path) -> None:
    panel = learnable()
    fitted = shipped(name).fit(panel)
    fitted.save(tmp_path)
    loaded = fitted.clone().load(tmp_path)
    assert np.array_equal(loaded.predict(asked(panel, 0, 200)), fitted.predict(asked(panel, 0, 200)))


@pytest.mark.parametrize("name", SHIPPED)
def test_one_row_alone_is_forecast_as_in_company(name: str) -> None:
    panel = learnable()
    fitted = shipped(name).fit(panel)
    assert fitted.predict(asked(panel, 7, 8))[0] == pytest.approx(fitted.predict(asked(panel, 0, 50))[7], abs=1e-6)


@pytest.mark.parametrize("name", SHIPPED)
def test_one_that_was_not_fitted_says_so(name: str) -> None:
    with pytest.raises(NotTrained, match="after fit"):
        shipped(name).predict(learnable(100))


@pytest.mark.parametrize("name", SKILLED)
def test_skill_that_is_there_is_found(name: str) -> None:
    panel = learnable(8000)
    told = shipped(name).fit(samples(panel.features[:6000], panel.targets[:6000, 0])).predict(asked(panel, 6000, 8000))
    assert rank_ic(np.asarray(told).reshape(len(told), -1)[:, 0], panel.y[6000:]) > 0.03


def test_all_none_and_names_of_baselines_are_understood() -> None:
    assert chosen_baselines(["all"]) == tuple(BASELINES)
    assert chosen_baselines(["none"]) == ()
    assert chosen_baselines(["ridge", "zero"]) == ("zero", "ridge")


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(UnknownSetting, match="did you mean 'lightgbm'"):
        chosen_baselines(["lightgb"])
    with pytest.raises(InvalidSetting, match="did you mean 'ridge'"):
        shipped("rigde")


def test_the_baselines_of_a_fold_of_two_years_are_fitted_quickly() -> None:
    rng = np.random.default_rng(0)
    panel = samples(rng.normal(size=(17_520, 40)).astype(np.float32), rng.normal(size=17_520).astype(np.float32))
    shipped("lightgbm").fit(learnable(500))
    started = time.process_time()
    for name in BASELINES:
        shipped(name).fit(panel).predict(asked(panel, 0, 672))
    assert time.process_time() - started < 1.5
