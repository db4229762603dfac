"""LightGBM's own numbers, from arrays that are looked at before they are used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.core.errors import FingerprintMismatch, InvalidSetting
from forwardtrader.models.forecasters.shipped.forest import Forest
from forwardtrader.models.forecasters.shipped.lightgbm_forecaster import LightGBMForecaster
from forwardtrader.models.forecasters.trees import PARAMETERS
from tests.models.forecasters.shipped.samples import asked, learnable

DEEP = {"num_leaves": 40, "min_data_in_leaf": 5, "n_estimators": 12}


def theirs(chosen: LightGBMForecaster, panel, alpha: float | None = None) -> np.ndarray:
    import lightgbm

    given = {name: value for name, value in chosen.get_params().items() if name != "n_estimators"} | {"num_threads": 1}
    given |= {} if alpha is None else {"alpha": alpha}
    params = PARAMETERS | given
    data = lightgbm.Dataset(panel.standardised, label=panel.y, params=params)
    return lightgbm.train(params, data, chosen.n_estimators).predict(panel.standardised, num_threads=1).astype(np.float32)


@pytest.mark.parametrize("params", [{}, DEEP, DEEP | {"objective": "regression", "max_depth": 4}, {"extra_trees": True, "seed": 5}])
def test_it_answers_what_lightgbm_answers_bit_for_bit(params: dict[str, object]) -> None:
    panel, chosen = learnable(2000), LightGBMForecaster(**params)
    assert np.array_equal(chosen.fit(panel).predict(panel), theirs(chosen, panel))


def test_trees_for_quantiles_answer_the_five_of_them() -> None:
    panel, chosen = learnable(2000), LightGBMForecaster(objective="quantile", n_estimators=10)
    told = chosen.fit(panel).predict(panel)
    expected = np.column_stack([theirs(chosen, panel, level) for level in (0.05, 0.25, 0.5, 0.75, 0.95)])
    assert np.array_equal(told, np.sort(expected, axis=1))


@settings(max_examples=8, deadline=None)
@given(leaves=st.integers(2, 60), least=st.integers(1, 40), seed=st.integers(0, 99), rows=st.integers(30, 700))
def test_trees_of_any_size_are_saved_and_answer_the_same(
    leaves: int, least: int, seed: int, rows: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    panel, folder = learnable(rows, seed), tmp_path_factory.mktemp("trees")
    fitted = LightGBMForecaster(num_leaves=leaves, min_data_in_leaf=least, n_estimators=3, seed=seed).fit(panel)
    fitted.save(folder)
    assert np.array_equal(fitted.clone().load(folder).predict(panel), fitted.predict(panel))
    assert np.array_equal(fitted.predict(panel), theirs(fitted, panel))


@pytest.mark.parametrize("params", [{"objective": "poisson"}, {"objective": "no such"}, {"num_leaves": 1}, {"bagging_fraction": 7.0}])
def test_a_parameter_that_cannot_be_is_refused_in_one_line(params: dict[str, object]) -> None:
    with pytest.raises(InvalidSetting, match=r"LightGBM") as told:
        LightGBMForecaster(**params).fit(learnable(500))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("array", "value"),
    [
        ("0.feature", 3), ("0.feature", -1), ("0.left", 0), ("0.right", 10_000), ("0.left", -10_000), ("0.root", 10_000),
        ("0.value", np.nan), ("0.threshold", np.nan), ("mean", np.nan),
    ],
)  # fmt: skip
def test_a_file_that_leads_where_there_is_nothing_is_refused(array: str, value: float, tmp_path: Path) -> None:
    LightGBMForecaster(**DEEP).fit(learnable(500)).save(tmp_path)
    with np.load(tmp_path / "trees.npz") as stored:
        arrays = {name: stored[name].copy() for name in stored.files}
    arrays[array][-1] = value
    np.savez(tmp_path / "trees.npz", **arrays)
    with pytest.raises(FingerprintMismatch, match="train again"):
        LightGBMForecaster(**DEEP).load(tmp_path)


def test_a_file_that_is_cut_short_or_compressed_is_refused(tmp_path: Path) -> None:
    LightGBMForecaster().fit(learnable(500)).save(tmp_path)
    whole = (tmp_path / "trees.npz").read_bytes()
    for content in (whole[:100], b"", whole[:-30]):
        (tmp_path / "trees.npz").write_bytes(content)
        with pytest.raises(FingerprintMismatch):
            LightGBMForecaster().load(tmp_path)
    np.savez_compressed(tmp_path / "trees.npz", mean=np.zeros(10_000_000, np.float32))
    with pytest.raises(FingerprintMismatch, match="compressed"):
        LightGBMForecaster().load(tmp_path)


def test_other_columns_than_it_learned_from_are_refused() -> None:
    fitted, wide = LightGBMForecaster().fit(learnable(500)), learnable(500)
    narrow = type(wide)(**{**{name: getattr(wide, name) for name in wide.__dataclass_fields__}, "features": wide.features[:, :2]})
    with pytest.raises(ValueError, match="2 features, 3 is"):
        fitted.predict(narrow)


def test_a_tree_without_a_test_is_a_leaf() -> None:
    none = np.zeros(0, np.int32)
    forest = Forest(none, np.zeros(0), none, none, np.array([0.5, 0.25]), np.array([-1, -2], np.int32))
    assert forest.predict(asked(learnable(3), 0, 3).X).tolist() == [0.75] * 3


def test_one_that_draws_nothing_is_fitted_once() -> None:
    assert LightGBMForecaster().is_seeded
    assert not LightGBMForecaster(feature_fraction=1.0, bagging_fraction=1.0).is_seeded
