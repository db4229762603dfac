"""Each baseline does what its name says, on what it was given and nothing else."""

from __future__ import annotations

import time

import numpy as np
import pytest

from forwardtrader.core.errors import NotTrained, UnknownSetting
from forwardtrader.models.forecasters.baselines import BASELINES, HuberLinear, Majority, Momentum, Reversal, Ridge, chosen, huber_weights

NAMES = ("return_1_ago", "move_24", "noise")


def world(n: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The last return is taken back, the trend goes on, with tails that pull at a squared loss."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, 3)).astype(np.float32)
    target = -0.15 * features[:, 0] + 0.1 * features[:, 1] + np.clip(rng.standard_t(3, n), -5, 5)
    return features, target.astype(np.float32)


def rank_ic(x: np.ndarray, y: np.ndarray) -> float:
    ranks = [np.argsort(np.argsort(v)).astype(float) for v in (x, y)]
    return float(np.corrcoef(*ranks)[0, 1])


@pytest.mark.parametrize("name", BASELINES)
def test_equal_seeds_give_equal_forecasts(name: str) -> None:
    features, target = world()
    first, second = (BASELINES[name](NAMES).fit(features, target, 1).forecast(features[:200]) for _ in range(2))
    assert np.array_equal(first.location, second.location)
    assert np.array_equal(first.quantiles, second.quantiles)


@pytest.mark.parametrize("name", BASELINES)
def test_a_forecast_is_a_distribution(name: str) -> None:
    features, target = world()
    forecast = BASELINES[name](NAMES).fit(features[:3000], target[:3000]).forecast(features[3000:])
    assert forecast.location.dtype == np.float32
    assert forecast.quantiles.shape == (1000, 5)
    assert (np.diff(forecast.quantiles, axis=1) >= 0).all()
    assert ((forecast.p_up >= 0) & (forecast.p_up <= 1)).all()
    inside = (forecast.quantiles[:, 0] <= target[3000:]) & (target[3000:] <= forecast.quantiles[:, 4])
    assert 0.87 < inside.mean() < 0.93


@pytest.mark.parametrize("name", BASELINES)
def test_one_row_alone_is_forecast_as_in_company(name: str) -> None:
    features, target = world()
    fitted = BASELINES[name](NAMES).fit(features, target)
    assert fitted.predict(features[7:8])[0] == pytest.approx(fitted.predict(features[:50])[7], abs=1e-6)


@pytest.mark.parametrize("name", ["reversal", "momentum", "ridge", "huber_linear", "lightgbm"])
def test_skill_that_is_there_is_found(name: str) -> None:
    features, target = world(8000)
    location = BASELINES[name](NAMES).fit(features[:6000], target[:6000]).predict(features[6000:])
    assert rank_ic(location, target[6000:]) > 0.03


def test_zero_says_nothing() -> None:
    features, target = world(500)
    assert not BASELINES["zero"]().fit(features, target).predict(features).any()


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_majority_says_the_direction_that_was_more_frequent(sign: float) -> None:
    features, target = world(501)
    tilted = (np.abs(target) * np.where(np.arange(501) % 3 == 0, -sign, sign)).astype(np.float32)
    assert np.sign(Majority().fit(features, tilted).predict(features[:3])).tolist() == [sign] * 3


def test_reversal_and_momentum_never_turn_round() -> None:
    features, target = world()
    against = Reversal(NAMES).fit(features, -target).predict(features)
    assert (np.sign(against) == -np.sign(features[:, 0])).all()
    with_trend = Momentum(NAMES).fit(features, -target).predict(features)
    assert (np.sign(with_trend) == np.sign(features[:, 1])).all()


def test_ridge_is_that_of_scikit_learn() -> None:
    from sklearn.linear_model import Ridge as Theirs

    features, target = world()
    ours = Ridge().fit(features, target)
    standard = (features - features.mean(0)) / features.std(0)
    theirs = Theirs(alpha=1e-3 * len(target)).fit(np.clip(standard, -5, 5), target)
    assert ours.predict(features) == pytest.approx(theirs.predict(np.clip(standard, -5, 5)), abs=2e-4)


def test_huber_regression_minimises_the_huber_loss() -> None:
    from scipy.optimize import minimize

    features, target = world(1500)

    def loss(weights: np.ndarray) -> float:
        error = np.abs(target - features @ weights[:3] - weights[3])
        return float(np.where(error < 1, error**2 / 2, error - 0.5).mean())

    best = minimize(loss, np.zeros(4), tol=1e-10).x
    assert huber_weights(features, target, ridge=0.0, rounds=60) == pytest.approx(best, abs=2e-3)


def test_huber_regression_heeds_outliers_less_than_ridge() -> None:
    features, target = world(seed=3)
    wild = target.copy()
    wild[:40] = 60.0 * np.sign(features[:40, 2])
    truth = np.array([-0.15, 0.1, 0.0])
    errors = [np.abs(kind().fit(features, wild).weights_[:3] - truth).max() for kind in (Ridge, HuberLinear)]
    assert errors[1] < errors[0] / 3


def test_a_baseline_that_was_not_fitted_says_so() -> None:
    with pytest.raises(NotTrained, match="after fit"):
        Ridge().predict(np.zeros((1, 3), dtype=np.float32))
    with pytest.raises(NotTrained, match="after fit"):
        BASELINES["zero"]().forecast(np.zeros((1, 3), dtype=np.float32))


def test_all_none_and_names_are_understood() -> None:
    assert chosen(["all"]) == tuple(BASELINES)
    assert chosen(["none"]) == ()
    assert chosen(["ridge", "zero"]) == ("zero", "ridge")


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(UnknownSetting, match="did you mean 'lightgbm'"):
        chosen(["lightgb"])


def test_a_fold_of_two_years_is_fitted_quickly() -> None:
    rng = np.random.default_rng(0)
    features, target = rng.normal(size=(17_520, 40)).astype(np.float32), rng.normal(size=17_520).astype(np.float32)
    BASELINES["lightgbm"]().fit(features[:500], target[:500])
    started = time.process_time()
    for kind in BASELINES.values():
        kind().fit(features, target).forecast(features[:672])
    assert time.process_time() - started < 1.5
