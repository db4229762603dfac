"""Regressors of scikit-learn as forecasters: their own numbers, and files without pickle."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    BaggingRegressor,
    ExtraTreesRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
    StackingRegressor,
)
from sklearn.linear_model import BayesianRidge, ElasticNet, HuberRegressor, QuantileRegressor, Ridge
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from forwardtrader.core.errors import FingerprintMismatch, ForecasterFailed, InvalidSetting, NotTrained
from forwardtrader.models.forecasters.shipped.sklearn_file import packed, unpacked
from forwardtrader.models.forecasters.shipped.sklearn_forecaster import SklearnForecaster
from tests.models.forecasters.shipped.samples import NAMES, learnable, samples, world

SAVED = [
    Ridge(), ElasticNet(alpha=0.01), HuberRegressor(), BayesianRidge(), RandomForestRegressor(4, max_depth=4), ExtraTreesRegressor(3),
    GradientBoostingRegressor(n_estimators=4), HistGradientBoostingRegressor(max_iter=4), BaggingRegressor(n_estimators=2),
    make_pipeline(StandardScaler(), PCA(2), Ridge()), StackingRegressor([("a", Ridge()), ("b", RandomForestRegressor(2, max_depth=3))]),
    make_pipeline(StandardScaler(), RandomForestRegressor(2, max_depth=3)),
]  # fmt: skip
NAMED = [type(each).__name__ for each in SAVED]


@pytest.mark.parametrize("regressor", SAVED, ids=NAMED)
def test_what_was_saved_answers_the_same(regressor: Any, tmp_path: Path) -> None:
    panel = learnable(400)
    fitted = SklearnForecaster(regressor).fit(panel)
    fitted.save(tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.suffix not in (".skops", ".json")]
    np.testing.assert_array_equal(fitted.clone().load(tmp_path).predict(panel), fitted.predict(panel))


def test_it_answers_what_scikit_learn_answers() -> None:
    panel = learnable()
    assert np.array_equal(SklearnForecaster(Ridge()).fit(panel).predict(panel), Ridge().fit(panel.X, panel.y).predict(panel.X))


def test_a_window_is_given_side_by_side_the_oldest_first() -> None:
    panel = samples(*world(300), look_back=3)
    forecaster = SklearnForecaster(Ridge(), window=3)
    assert forecaster.warm_up == 3
    expected = Ridge().fit(np.hstack([panel.features[k : 298 + k] for k in range(3)]), panel.y)
    np.testing.assert_allclose(forecaster.fit(panel).regressors_[0].coef_, expected.coef_, rtol=1e-4)


@pytest.mark.parametrize(
    "regressor",
    [
        QuantileRegressor(alpha=0.0), HistGradientBoostingRegressor(loss="quantile", quantile=0.5, max_iter=5),
        GradientBoostingRegressor(loss="quantile", n_estimators=5), make_pipeline(StandardScaler(), QuantileRegressor(alpha=0.0)),
    ],
    ids=["linear", "histogram", "boosting", "pipeline"],
)  # fmt: skip
def test_one_that_answers_a_quantile_answers_five(regressor: Any, tmp_path: Path) -> None:
    panel = learnable(600)
    fitted = SklearnForecaster(regressor).fit(panel)
    told = fitted.predict(panel)
    assert told.shape == (600, 5)
    assert (np.diff(told, axis=1) >= 0).all()
    covered = [(panel.y <= told[:, k]).mean() for k in range(5)]
    assert covered == pytest.approx([0.05, 0.25, 0.5, 0.75, 0.95], abs=0.12)
    fitted.save(tmp_path)
    assert np.array_equal(fitted.clone().load(tmp_path).predict(panel), told)


def test_one_that_knows_its_deviation_answers_it() -> None:
    panel = learnable(400)
    location, scale = SklearnForecaster(BayesianRidge()).fit(panel).predict(panel)
    assert (scale > 0.5).all()
    assert location.shape == scale.shape == (400,)


def test_the_seed_reaches_every_step_and_one_that_draws_nothing_has_none() -> None:
    forest = SklearnForecaster(make_pipeline(StandardScaler(), RandomForestRegressor(2)), seed=5)
    assert forest.is_seeded
    assert forest.fit(learnable(100)).regressors_[0].steps[-1][1].random_state == 5
    assert not any(SklearnForecaster(each).is_seeded for each in (HuberRegressor(), Ridge(), ElasticNet()))


def test_parameters_of_the_regressor_are_set_by_name_and_the_users_own_object_stays() -> None:
    mine = Ridge(alpha=1.0)
    changed = SklearnForecaster(mine).set_params(regressor__alpha=7.0, window=2)
    assert (changed.regressor.alpha, changed.window, mine.alpha) == (7.0, 2, 1.0)
    with pytest.raises(InvalidSetting, match="alhpa"):
        changed.set_params(regressor__alhpa=1.0)
    with pytest.raises(InvalidSetting, match="no parameter depth"):
        changed.set_params(depth=1)


@pytest.mark.parametrize(
    "regressor",
    [KNeighborsRegressor(), make_pipeline(FunctionTransformer(lambda x: x), Ridge())],
    ids=["neighbours", "lambda"],
)
def test_one_that_is_not_known_to_be_safe_is_refused_in_one_line(regressor: Any, tmp_path: Path) -> None:
    with pytest.raises(ForecasterFailed, match=r"skops does not know|without pickle") as told:
        SklearnForecaster(regressor).fit(learnable(60)).save(tmp_path)
    assert "\n" not in str(told.value)


def test_that_of_lightgbm_is_told_of_ours(tmp_path: Path) -> None:
    from lightgbm import LGBMRegressor

    with pytest.raises(ForecasterFailed, match="take LightGBMForecaster"):
        SklearnForecaster(LGBMRegressor(n_estimators=2, verbose=-1)).fit(learnable(100)).save(tmp_path)


@pytest.mark.parametrize("columns", [list(NAMES[1:3]), make_column_selector(pattern="move_24|noise")], ids=["list", "selector"])
def test_columns_may_be_chosen_by_name(columns: Any, tmp_path: Path) -> None:
    panel = learnable(400)

    def chosen(which: Any) -> SklearnForecaster:
        return SklearnForecaster(make_pipeline(ColumnTransformer([("some", StandardScaler(), which)]), Ridge())).fit(panel)

    by_name = chosen(columns)
    assert np.array_equal(by_name.predict(panel), chosen([1, 2]).predict(panel))
    if isinstance(columns, list):  # a function is nothing that a file could hold
        by_name.save(tmp_path)
        assert np.array_equal(by_name.clone().load(tmp_path).predict(panel), by_name.predict(panel))


def test_names_of_a_window_say_how_many_bars_before() -> None:
    panel, name = samples(*world(300), look_back=3), NAMES[1]
    chooses = ColumnTransformer([("some", "passthrough", [name, f"{name}_2_before"])])
    fitted = SklearnForecaster(make_pipeline(chooses, Ridge()), window=3).fit(panel)
    seen = panel.windows(3)[:, [2, 0], 1]
    np.testing.assert_allclose(fitted.predict(panel), Ridge().fit(seen, panel.y).predict(seen), rtol=1e-4)


def test_one_that_learns_several_targets_at_once_is_told_that_each_horizon_has_its_own() -> None:
    with pytest.raises(InvalidSetting, match=r"MultiOutputRegressor learns several targets at once; .* give it the inner one"):
        SklearnForecaster(MultiOutputRegressor(Ridge())).fit(learnable(100))


@pytest.mark.parametrize("regressor", [Ridge, "ridge", None])
def test_what_is_no_regressor_is_refused(regressor: object) -> None:
    with pytest.raises(InvalidSetting, match="no regressor"):
        SklearnForecaster(regressor).fit(learnable(100))


def test_a_pickle_in_place_of_a_file_is_never_read(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (open, (str(tmp_path / "sprung"),))

    SklearnForecaster(Ridge()).fit(learnable(60)).save(tmp_path)
    (tmp_path / "0.skops").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(FingerprintMismatch, match="train again"):
        SklearnForecaster(Ridge()).load(tmp_path)
    assert not (tmp_path / "sprung").exists()


def test_a_file_of_another_regressor_or_another_version_is_refused(tmp_path: Path) -> None:
    SklearnForecaster(Ridge()).fit(learnable(60)).save(tmp_path)
    with pytest.raises(FingerprintMismatch, match="no HuberRegressor"):
        SklearnForecaster(HuberRegressor()).load(tmp_path)
    (tmp_path / "versions.json").write_text(json.dumps({"scikit-learn": "0.1"}))
    with pytest.raises(FingerprintMismatch, match="another version"):
        SklearnForecaster(Ridge()).load(tmp_path)


@pytest.mark.parametrize("way", ["children_left", "feature"])
def test_a_tree_that_leads_or_reads_where_there_is_nothing_is_refused(way: str, tmp_path: Path) -> None:
    fitted = SklearnForecaster(RandomForestRegressor(1, max_depth=3)).fit(learnable(100))
    getattr(fitted.regressors_[0].estimators_[0].tree_, way)[0] = 10_000
    with pytest.raises(ForecasterFailed, match="a tree"):
        packed(fitted.regressors_[0])
    sound = RandomForestRegressor(1, max_depth=3).fit(learnable(100).X, learnable(100).y)
    data = packed(sound)
    (tmp_path / "0.skops").write_bytes(data)
    assert unpacked(tmp_path / "0.skops").n_features_in_ == 3


def test_one_that_was_not_fitted_says_so() -> None:
    with pytest.raises(NotTrained, match="after fit"):
        SklearnForecaster(Ridge()).predict(learnable(60))
