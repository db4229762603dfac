"""An honest learner loses its skill with its labels; one that peeks keeps it."""

from __future__ import annotations

import numpy as np
import pytest

from forwardtrader.models.checks.label_proofs import label_shift, label_shuffle, shuffled
from forwardtrader.models.checks.look_ahead import Leak, LookAheadResult
from forwardtrader.models.forecasters.shipped.linear import LinearRidge
from tests.models.forecasters.shipped.samples import samples

T, CUT = 6000, 3000


@pytest.fixture(scope="module")
def world() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(T, 5)).astype(np.float32)
    targets = (0.15 * features[:, 0] + rng.normal(size=T)).astype(np.float32)
    return features, targets


def rank_ic(location: np.ndarray, truth: np.ndarray) -> float:
    ranks = [np.argsort(np.argsort(x)).astype(float) for x in (location, truth)]
    return float(np.corrcoef(*ranks)[0, 1])


def learner(world: tuple[np.ndarray, np.ndarray], *, peeks: bool):
    features, truth = world

    def score(targets: np.ndarray) -> float:
        model = LinearRidge().fit(samples(features[:CUT], targets[:CUT]))
        leaked = 0.1 * truth[CUT:] if peeks else 0.0
        return rank_ic(model.predict(samples(features[CUT:], targets[CUT:])) + leaked, truth[CUT:])

    return score


def test_the_learner_has_skill_to_lose(world) -> None:
    assert learner(world, peeks=False)(world[1]) > 0.1


@pytest.mark.parametrize("proof", [label_shuffle, label_shift])
def test_an_honest_learner_loses_its_skill(world, proof) -> None:
    assert proof(learner(world, peeks=False), world[1], T - CUT).passed


@pytest.mark.parametrize("proof", [label_shuffle, label_shift])
def test_a_learner_that_peeks_is_caught(world, proof) -> None:
    found = proof(learner(world, peeks=True), world[1], T - CUT)
    assert not found.passed
    assert found.leak is Leak.AROUND_LABELS
    assert "nothing to learn" in found.detail


@pytest.mark.parametrize("proof", [label_shuffle, label_shift])
def test_too_few_outcomes_clear_nobody_and_still_convict(world, proof) -> None:
    """With 400 outcomes behind each score a rank IC of 0.1 would hide in chance."""
    honest = proof(learner(world, peeks=False), world[1], 400)
    assert (honest.result, honest.leak) == (LookAheadResult.NOT_TESTABLE, Leak.NONE)
    assert "400 outcomes behind each score, 534 are needed" in honest.detail
    assert proof(lambda _: 0.3, world[1], 400).result is LookAheadResult.FAILED
    assert proof(lambda _: float("nan"), world[1], 3000).result is LookAheadResult.NOT_TESTABLE


def test_shuffling_keeps_every_label_and_its_neighbours() -> None:
    targets = np.arange(50, dtype=np.float32)
    mixed = shuffled(targets, 8, seed=1)
    assert sorted(mixed) == sorted(targets)
    assert not np.array_equal(mixed, targets)
    assert (np.diff(mixed) == 1).mean() > 0.8
