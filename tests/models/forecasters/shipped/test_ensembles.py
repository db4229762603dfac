"""Ensembles average what they should, and learn their weights from the past alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.core.errors import FingerprintMismatch, InvalidSetting, TooLittleHistory
from forwardtrader.models.features.catalogue import FEATURES
from forwardtrader.models.features.cross_section import MARKET
from forwardtrader.models.forecasters.shipped.ensembles import MeanForecaster, StackingForecaster, purged_split, simplex_weights
from forwardtrader.models.forecasters.shipped.lightgbm_forecaster import LightGBMForecaster
from forwardtrader.models.forecasters.shipped.linear import LinearRidge
from forwardtrader.models.forecasters.shipped.rules import Zero
from forwardtrader.models.port.base_forecaster import Answer, BaseForecaster
from forwardtrader.models.port.sample_panel import SamplePanel
from tests.models import own_forecasters
from tests.models.forecasters.shipped.samples import asked, learnable, samples, world


class Noise(BaseForecaster):
    """Says something else each time it is fitted with another seed."""

    warm_up = 3

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def fit(self, panel: SamplePanel) -> Noise:
        self.weights_ = np.random.default_rng(self.seed).normal(size=panel.X.shape[1])
        return self

    def predict(self, panel: SamplePanel) -> Answer:
        return panel.windows(3).mean(axis=1) @ self.weights_


def test_the_mean_is_that_of_the_locations() -> None:
    panel = learnable()
    each = [LinearRidge().fit(panel).predict(panel), Zero().fit(panel).predict(panel)]
    assert MeanForecaster(["ridge", "zero"]).fit(panel).predict(panel)[:, 0] == pytest.approx(np.mean(each, axis=0), abs=1e-7)


def test_the_mean_of_quantiles_are_quantiles() -> None:
    panel = learnable(1000)
    two = [LightGBMForecaster(objective="quantile", n_estimators=n) for n in (5, 20)]
    told = MeanForecaster(two).fit(panel).predict(panel)
    expected = np.mean([each.clone().fit(panel).predict(panel) for each in two], axis=0)
    assert told[:, 0, 1:] == pytest.approx(expected, abs=1e-6)
    assert told[:, 0, 0] == pytest.approx(expected[:, 2], abs=1e-6)


def test_who_answers_locations_alone_gets_quantiles_from_what_it_missed_where_others_answer_them() -> None:
    panel = learnable(2000)
    told = MeanForecaster([LightGBMForecaster(objective="quantile", n_estimators=20), "ridge"]).fit(panel).predict(panel)
    assert told.shape == (len(panel), 1, 6)
    below = (panel.y[:, None] < told[:, 0, 1:]).mean(axis=0)
    assert below == pytest.approx([0.05, 0.25, 0.5, 0.75, 0.95], abs=0.06)


def test_each_counts_by_the_share_of_its_location_that_is_believed() -> None:
    panel = learnable(500)
    half = own_forecasters.Ridge()
    half.shrink = 0.5
    told = MeanForecaster([half]).fit(panel).predict(panel)
    assert told[:, 0] == pytest.approx(0.5 * own_forecasters.Ridge().fit(panel).predict(panel), abs=1e-6)


class Asking(BaseForecaster):
    """Keeps the names of the features that it learned from."""

    def __init__(self, wanted: tuple[str, ...] = ()) -> None:
        self.wanted = wanted
        self.features = wanted

    def fit(self, panel: SamplePanel) -> Asking:
        self.names_ = list(panel.names)
        return self

    def predict(self, panel: SamplePanel) -> Answer:
        assert list(panel.names) == self.names_
        return np.zeros(len(panel))


def test_each_sees_the_features_that_it_asks_for_and_all_those_of_factors() -> None:
    names = (*sorted(FEATURES), *MARKET, "a_factor")
    panel = replace(learnable(200), features=np.zeros((200, len(names)), np.float32), names=names)
    ensemble = MeanForecaster([Asking(), Asking(("*", "market_*")), Asking(("move_*",)), "zero"])
    assert ensemble.features == ("*", "market_*", "move_*")
    fitted = ensemble.fit(panel)
    plain, market, moves, _ = [member[0] for member in fitted.members_]
    assert plain.names_ == [name for name in names if name not in MARKET]
    assert market.names_ == list(names)
    assert moves.names_ == [name for name in names if name.startswith("move_")] + ["a_factor"]
    assert fitted.predict(panel) == pytest.approx(0.0)
    assert MeanForecaster(["ridge", "zero"]).features == ()


def test_who_answers_all_horizons_is_fitted_once_and_the_others_for_each(tmp_path: Path) -> None:
    panel = learnable(800)
    two = replace(panel, targets=np.column_stack([panel.targets, -panel.targets]), horizons=(1, 4))
    fitted = MeanForecaster(["panel", "ridge"]).fit(replace(two, symbols=("A/B",)))
    assert [len(member) for member in fitted.members_] == [1, 2]
    told = fitted.predict(two)
    assert told.shape == (len(panel), 2)
    assert np.corrcoef(told[:, 0], told[:, 1])[0, 1] < -0.9
    fitted.save(tmp_path)
    np.testing.assert_array_equal(MeanForecaster(["panel", "ridge"]).load(tmp_path).predict(two), told)


def test_stacking_leaves_out_who_knows_nothing() -> None:
    panel = learnable(6000)
    fitted = StackingForecaster([LinearRidge(), Noise()]).fit(samples(panel.features, panel.targets[:, 0], look_back=3))
    assert fitted.weights_.sum() == pytest.approx(1.0)
    assert (fitted.weights_ >= 0).all()
    assert fitted.weights_[0, 0] > 0.8


def test_it_looks_back_as_far_as_any_of_its_own_and_draws_where_one_draws() -> None:
    assert MeanForecaster([LinearRidge(), Noise()]).warm_up == 3
    assert MeanForecaster([LinearRidge(), Noise()]).is_seeded
    assert not MeanForecaster(["ridge", "zero"]).is_seeded
    assert MeanForecaster([Noise(seed=1)], seed=4)._unfitted()[0].get_params() == {"seed": 4}


@settings(max_examples=30, deadline=None)
@given(symbols=st.integers(1, 3), newer=st.floats(0.1, 0.6), horizon=st.integers(1, 9))
def test_no_target_of_the_older_part_reaches_into_the_newer_one(symbols: int, newer: float, horizon: int) -> None:
    panel = samples(*world(600), symbols=symbols)
    panel = type(panel)(**{**{n: getattr(panel, n) for n in panel.__dataclass_fields__}, "horizons": (horizon,)})
    older, newest = purged_split(panel, newer)
    whole = {row.tobytes(): number for number, row in enumerate(panel.features)}
    for symbol in range(symbols):
        last = max(whole[row.tobytes()] for row in older.features[older.symbol_of == symbol])
        assert last + horizon < newest.rows[newest.symbol_of[newest.rows] == symbol].min()
        assert np.array_equal(older.X, older.features[older.rows])


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 5), scale=st.sampled_from([1e-6, 1.0, 1e4]))
def test_weights_are_shares_and_no_others_are_better(seed: int, count: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    told, truth = rng.normal(size=(80, count)) * scale, rng.normal(size=80) * scale
    weights = simplex_weights(told, truth)
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1.0)
    best = ((told @ weights - truth) ** 2).sum()
    for other in rng.dirichlet(np.ones(count), size=50):
        assert best <= ((told @ other - truth) ** 2).sum() * (1 + 1e-4)


def test_a_forecaster_that_says_nothing_gets_equal_shares_and_no_failure() -> None:
    assert simplex_weights(np.zeros((50, 2)), np.ones(50)).sum() == pytest.approx(1.0)


def test_too_few_samples_for_two_parts_are_told() -> None:
    with pytest.raises(TooLittleHistory, match="longer"):
        StackingForecaster(["ridge", "zero"]).fit(learnable(80))


@pytest.mark.parametrize(("given", "told"), [([], "a list"), ("ridge", "a list"), (["rige"], "did you mean 'ridge'")])
def test_what_is_no_list_of_forecasters_is_refused(given: object, told: str) -> None:
    with pytest.raises(InvalidSetting, match=told):
        MeanForecaster(given).fit(learnable(100))  # type: ignore[arg-type]


def test_a_file_of_other_members_is_refused(tmp_path: Path) -> None:
    MeanForecaster(["ridge", "zero"]).fit(learnable(200)).save(tmp_path)
    with pytest.raises(FingerprintMismatch, match="3 forecasters"):
        MeanForecaster(["ridge", "zero", "majority"]).load(tmp_path)


def test_a_clone_shares_nothing_with_it() -> None:
    ensemble = MeanForecaster([LinearRidge(penalty=2.0), "zero"])
    copied = ensemble.clone()
    copied.forecasters[0].set_params(penalty=3.0)  # type: ignore[union-attr]
    assert ensemble.forecasters[0].get_params() == {"penalty": 2.0}  # type: ignore[union-attr]
    assert np.array_equal(asked(learnable(9), 0, 9).rows, np.arange(9))


@pytest.mark.parametrize("kind", [MeanForecaster, StackingForecaster])
def test_members_that_warm_start_go_on_and_the_others_learn_anew(kind: type[MeanForecaster]) -> None:
    before, panel = learnable(2000), learnable(3000)
    assert kind([own_forecasters.Ridge(), LinearRidge()]).goes_on and not kind([LinearRidge(), "zero"]).goes_on
    fitted = kind([own_forecasters.Ridge(), LinearRidge()]).fit(before)
    alone = own_forecasters.Ridge().fit(before).update(panel)
    old = fitted.members_[0][0].weights_.copy()
    updated = fitted.update(panel)
    np.testing.assert_array_equal(updated.members_[0][0].weights_, alone.weights_)
    assert not np.array_equal(old, alone.weights_)
    anew = kind([own_forecasters.Ridge(), LinearRidge()]).fit(panel)
    np.testing.assert_array_equal(updated.members_[1][0].predict(panel), anew.members_[1][0].predict(panel))
    np.testing.assert_array_equal(updated.weights_, anew.weights_)


def test_an_ensemble_of_ensembles_goes_on_too() -> None:
    before, panel = learnable(2000), learnable(3000)
    inner = MeanForecaster([own_forecasters.Ridge(), "zero"])
    updated = MeanForecaster([inner, "ridge"]).fit(before).update(panel)
    expected = own_forecasters.Ridge().fit(before).update(panel)
    np.testing.assert_array_equal(updated.members_[0][0].members_[0][0].weights_, expected.weights_)
