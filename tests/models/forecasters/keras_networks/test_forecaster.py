"""A user's Keras network as a forecaster: reproducible, the same bits however it is asked, and saved as a file that Keras opens."""

from __future__ import annotations

import copy
import json
import pickle
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import keras
import numpy as np
import pytest

from forwardtrader import KerasForecaster
from forwardtrader.core.errors import FingerprintMismatch, ForecasterFailed, InvalidSetting, TrainingDiverged
from forwardtrader.core.settings import ModelSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.models.folds.walk import walk_forward
from forwardtrader.models.forecasters.keras_networks.network import network_of
from forwardtrader.models.port.prototype import identity
from forwardtrader.models.port.sample_panel import SamplePanel
from forwardtrader.models.registry.store import ModelRegistry
from tests import ROOT
from tests.models.bars import simulated_bars
from tests.models.forecasters.keras_networks.samples import samples

BUILT: list[int] = []


def build(inputs, units=4, dropout=0.2):
    BUILT.append(inputs.shape[1])
    hidden = keras.layers.GRU(units, return_sequences=True)(inputs)
    return keras.Model(inputs, keras.layers.Dropout(dropout)(hidden))


SMALL = {"context": 12, "burn_in": 4, "supervised": 16, "batch": 4, "epochs": 2}


def forecaster(**changes: object) -> KerasForecaster:
    return KerasForecaster(build, **{**SMALL, **changes})


def of_newest(panel: SamplePanel, count: int) -> SamplePanel:
    return replace(panel, rows=panel.rows[-count:])


@pytest.fixture(scope="module")
def panel() -> SamplePanel:
    return samples()


@pytest.fixture(scope="module")
def fitted(panel: SamplePanel) -> KerasForecaster:
    return forecaster().fit(panel)


def test_it_learns_what_is_there_and_quantiles_are_in_order(panel: SamplePanel, fitted: KerasForecaster) -> None:
    later = samples(400, seed=1)
    said = fitted.predict(later)
    assert said.shape == (len(later), 2, 6)
    assert np.corrcoef(said[:, 0, 0], later.y)[0, 1] > 0.3
    assert (np.diff(said[..., 1:], axis=-1) >= 0).all()
    assert np.mean(later.y < said[:, 0, 5]) == pytest.approx(0.95, abs=0.05)


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(panel: SamplePanel, fitted: KerasForecaster) -> None:
    newest = of_newest(panel, 5)
    assert np.array_equal(fitted.clone().fit(panel).predict(newest), fitted.predict(newest))
    assert not np.array_equal(forecaster(seed=1).fit(panel).predict(newest), fitted.predict(newest))


def test_one_row_has_the_bits_of_many(panel: SamplePanel, fitted: KerasForecaster) -> None:
    newest = of_newest(panel, 21)
    whole = fitted.predict(newest)
    for n in range(21):
        assert np.array_equal(fitted.predict(replace(newest, rows=newest.rows[n : n + 1]))[0], whole[n])


def test_all_folds_share_one_network_and_one_compilation(panel: SamplePanel, fitted: KerasForecaster) -> None:
    already = len(BUILT)
    for seed in range(3):
        copy.deepcopy(forecaster()).clone().fit(samples(590, seed=seed)).predict(of_newest(panel, 1))
    assert len(BUILT) == already


def test_folds_fitted_side_by_side_are_those_fitted_in_turn(panel: SamplePanel) -> None:
    newest, others = of_newest(panel, 3), [samples(seed=seed) for seed in range(4)]
    alone = [forecaster().fit(each).predict(newest) for each in others]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda each: forecaster().fit(each).predict(newest), others))
    assert np.array_equal(alone, together)


def test_one_that_goes_on_moves_less_than_one_that_learned_anew(panel: SamplePanel, fitted: KerasForecaster) -> None:
    later, newest = samples(seed=2), of_newest(panel, 50)
    before, kept = fitted.predict(newest), [value.copy() for value in fitted.values_]
    on, anew = copy.deepcopy(fitted).update(later), fitted.clone().fit(later)
    moved, made = (np.abs(each.predict(newest) - before).mean() for each in (on, anew))
    assert 0 < moved < made
    assert all(np.array_equal(a, b) for a, b in zip(kept, fitted.values_, strict=True))  # the base is still the base


def test_a_saved_one_gives_the_same_bits_and_goes_on_the_same(panel: SamplePanel, fitted: KerasForecaster, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    read = fitted.clone().load(tmp_path)
    newest, later = of_newest(panel, 5), samples(seed=2)
    assert np.array_equal(read.predict(newest), fitted.predict(newest))
    assert read.loss_ == fitted.loss_
    assert np.array_equal(read.update(later).predict(newest), copy.deepcopy(fitted).update(later).predict(newest))
    opened = keras.saving.load_model(tmp_path / "network.keras", safe_mode=True, compile=False)
    said, shown = fitted.predict(newest), opened.predict(newest.windows(12), verbose=0)
    np.testing.assert_allclose(said[..., 0], shown[..., 0], atol=1e-5)
    np.testing.assert_allclose(said[..., 1:], np.sort(shown[..., 1:]), atol=1e-5)


def test_it_travels_between_processes(panel: SamplePanel, fitted: KerasForecaster) -> None:
    newest = of_newest(panel, 5)
    assert np.array_equal(pickle.loads(pickle.dumps(fitted)).predict(newest), fitted.predict(newest))


def test_a_file_that_was_cut_or_is_of_another_network_is_refused(fitted: KerasForecaster, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    with pytest.raises(FingerprintMismatch, match="another network"):
        forecaster(options={"units": 3}).load(tmp_path)
    file = tmp_path / "network.keras"
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(FingerprintMismatch, match="damaged"):
        forecaster().load(tmp_path)
    file.unlink()
    with pytest.raises(FingerprintMismatch):
        forecaster().load(tmp_path)


def test_nothing_that_a_file_names_is_run(panel: SamplePanel, fitted: KerasForecaster, tmp_path: Path) -> None:
    """Its text could name any function; the arrays alone are read."""
    fitted.save(tmp_path)
    with zipfile.ZipFile(tmp_path / "network.keras") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["config.json"] = json.dumps({"module": "os", "class_name": "_exit", "config": {"status": 3}}).encode()
    with zipfile.ZipFile(tmp_path / "network.keras", "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    newest = of_newest(panel, 2)
    assert np.array_equal(fitted.clone().load(tmp_path).predict(newest), fitted.predict(newest))


def test_what_build_closed_over_is_part_of_its_identity() -> None:
    """Else a run with 8 units would be served the models of a run with 4."""

    def made(units: int) -> KerasForecaster:
        return KerasForecaster(lambda inputs: build(inputs, units))

    assert identity(made(4)) == identity(made(4)) != identity(made(8))
    assert identity(forecaster(options={"units": 3})) != identity(forecaster())


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"batch": 0}, "batch is 0; it is at least 1"), ({"horizon_weights": (1.0,)}, "1 horizon_weights for 2 horizons")],
)
def test_a_parameter_out_of_range_is_told_by_its_name(panel: SamplePanel, changes: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidSetting, match=said):
        forecaster(**changes).fit(panel)


def test_one_that_learned_nothing_does_not_forecast(panel: SamplePanel) -> None:
    with pytest.raises(ForecasterFailed, match="before fit"):
        forecaster().predict(panel)


# The example, through a walk-forward of two folds.

FIRST, LAST = datetime(2020, 3, 21, tzinfo=UTC), datetime(2020, 4, 3, tzinfo=UTC)
BARS = simulated_bars(24 * 101, reversal=0.3)
NAMES = ("return_1_ago", "return_2_ago", "move_6")
EXAMPLE = ROOT / "examples" / "keras_gru.py"


def settings(path: Path, **changes: object) -> ModelSettings:
    small = {
        "horizons": (1, 4), "seeds": 2, "train_window": "40d", "retrain_every": "8d", "anew_every": 2, "save_path": str(path), "jobs": 1,
        "forecaster": f"{EXAMPLE}:gru", "params": {"options": {"units": 4}, "epochs": 2},
    }  # fmt: skip
    return ModelSettings.model_validate({**small, **changes})


@pytest.mark.slow
def test_the_example_runs_as_a_user_runs_it_and_its_models_are_served_again(tmp_path: Path) -> None:
    candles, hour = {"A/USD": BARS}, Timeframe.parse("1h")
    given = settings(tmp_path)
    walk = walk_forward(candles, FIRST, LAST, settings=given, timeframe=hour, features=NAMES)
    frame = walk.frame("A/USD", 1).dropna()
    assert frame["location"].corr(frame["realised"], method="spearman") > 0.1
    assert [bool(served.card.goes_on_from) for served in walk.served] in ([True, False], [False, True], [True, False, True])
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) <= 15
    for kept in tmp_path.glob("*/forecasts-*.npz"):
        kept.unlink()
    again = walk_forward(candles, FIRST, LAST, settings=given, timeframe=hour, features=NAMES)
    assert all(served.cached for served in again.served)
    assert again.frame("A/USD", 4).equals(walk.frame("A/USD", 4))
    assert len(ModelRegistry.of(given).network(walk.served[0].card.model_id).members) == 2


def test_a_network_that_diverges_is_told_and_not_kept(tmp_path: Path) -> None:
    given = settings(tmp_path, params={"learning_rate": 1e6, "options": {"units": 4}, "epochs": 2})
    with pytest.raises((TrainingDiverged, ForecasterFailed), match="KerasForecaster, fold 2020"):
        walk_forward({"A/USD": BARS}, FIRST, LAST, settings=given, timeframe=Timeframe.parse("1h"), features=NAMES)
    assert not list(tmp_path.glob("*/card.json"))


def test_networks_are_kept_apart_by_their_options() -> None:
    form = forecaster()._network(4, 2).form
    assert network_of(build, {"units": 3}, form) is network_of(build, {"units": 3}, form) is not network_of(build, {}, form)
