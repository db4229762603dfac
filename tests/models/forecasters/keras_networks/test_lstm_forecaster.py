"""The LSTM behind the port is the one that a run trains."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest

from forwardtrader import LSTMForecaster, WalkForward
from forwardtrader.core.errors import ForecasterFailed
from forwardtrader.core.settings import ModelSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.models.features.panel import Panel
from forwardtrader.models.folds.fitting import training_panel
from forwardtrader.models.folds.training import Base, updates
from forwardtrader.models.folds.work import FoldTask, FoldWork, train_one
from forwardtrader.models.port.fitted import SampleForm
from forwardtrader.models.walk_forward import Fold, folds
from tests.models.bars import simulated_bars
from tests.models.folds.test_walk import FIRST, LAST, NAMES, knobs

HOUR = Timeframe.parse("1h")
PARAMETERS = {"units": 4, "epochs": 2, "context": 16}


@pytest.fixture(scope="module")
def panel() -> Panel:
    return Panel.of({"A/USD": simulated_bars(24 * 101, reversal=0.25)}, (1, 4), NAMES)


@pytest.fixture(scope="module")
def cut(panel: Panel, given: ModelSettings) -> list[Fold]:
    return folds(panel.index["A/USD"], FIRST, LAST, settings=given, timeframe=HOUR, warm_up=200)


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> ModelSettings:
    return LSTMForecaster(**PARAMETERS).settings(knobs(tmp_path_factory.mktemp("models"), units=99))


def asked(panel: Panel, fold: Fold, form: LSTMForecaster, given: ModelSettings):
    samples = training_panel(panel, {"A/USD": fold}, given, "1h", form.warm_up)
    rows = np.arange(fold.effective_first, fold.effective_last)
    said = SampleForm(samples.names, samples.horizons, samples.symbols, samples.timeframe_s)
    unknown = np.full((len(panel.features), 2), np.nan, np.float32)
    return samples, said.panel(panel.features, unknown, rows, np.zeros(len(panel.features), np.int64), form.warm_up)


def test_its_parameters_are_the_settings_of_models_with_their_defaults() -> None:
    usual = ModelSettings()
    assert LSTMForecaster().get_params() == {name: getattr(usual, name) for name in LSTMForecaster.parameter_names()}
    changed = LSTMForecaster(units=7, trees=0.0).settings(usual.model_copy(update={"forecaster": "other", "horizons": (1, 2, 3)}))
    assert (changed.forecaster, changed.units, changed.trees, changed.horizons) == ("lstm", 7, 0.0, (1, 2, 3))
    models = WalkForward(LSTMForecaster(units=7), seed=3, trees=0.25).settings.models
    assert (models.forecaster, models.units, models.trees, models.seed) == ("lstm", 7, 0.25, 3)


def test_its_members_have_the_bits_of_a_run_anew_and_going_on(panel: Panel, cut: list[Fold], given: ModelSettings) -> None:
    work = FoldWork(panel, given, "1h", None)
    window = cut[0].train_bars
    tasks = [FoldTask({"A/USD": fold}, "m", updates(given, {"A/USD": fold}, window)) for fold in cut[:2]]
    base = train_one(work, tasks[0])
    on = train_one(work, FoldTask(tasks[1].fold, "n", tasks[1].updates, Base("m", base.model)))
    for seed in range(given.seeds):
        ours = LSTMForecaster(**PARAMETERS, seed=seed)
        for fold, theirs in zip(cut[:2], (base, on), strict=True):
            samples, newest = asked(panel, fold, ours, given)
            ours = ours.fit(samples) if theirs is base else copy.deepcopy(ours).update(samples)
            raw, said = theirs.raw["A/USD"][:, seed], ours.predict(newest)
            assert np.array_equal(said[..., 0], raw[..., 0])
            assert np.array_equal(said[..., 1:], np.sort(raw[..., 1:], axis=-1))


def test_a_saved_one_gives_the_same_bits(panel: Panel, cut: list[Fold], given: ModelSettings, tmp_path: Path) -> None:
    form = LSTMForecaster(**PARAMETERS)
    samples, newest = asked(panel, cut[0], form, given)
    with pytest.raises(ForecasterFailed, match="before fit"):
        form.predict(newest)
    fitted = form.fit(samples)
    fitted.save(tmp_path)
    assert np.array_equal(fitted.clone().load(tmp_path).predict(newest), fitted.predict(newest))
