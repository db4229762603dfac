"""A short form of `make simulate`: the whole trading process in simulated worlds, one seed each."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.simulation.scenario import Scenario, of_perpetuals
from tests.simulation.shrink import shrink
from tests.simulation.world import simulate

_SEEDS = 200


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Errors are what these worlds are made of."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("first", range(0, _SEEDS, 8))
def test_no_seed_breaks_an_invariant(first: int) -> None:
    broken = [(seed, outcome.violation) for seed in range(first, first + 8) if (outcome := simulate(Scenario.of(seed))).violation]
    assert not broken, f"replay with `make simulate SEED=n`: {broken}"


@pytest.mark.parametrize("seed", [2, 11, 29, 44, 53, 102])
def test_no_seed_breaks_an_invariant_of_perpetuals(seed: int) -> None:
    assert not simulate(of_perpetuals(seed)).violation


@pytest.mark.parametrize("seed", [8, 10])
def test_the_same_seed_gives_the_same_bytes(seed: int) -> None:
    first, second = (simulate(Scenario.of(seed)) for _ in range(2))
    assert first.log == second.log
    assert first.digest == second.digest
    assert first.orders, "nothing was ordered, so nothing was compared"


def test_a_failing_world_is_shrunk_to_what_matters() -> None:
    small = shrink(Scenario.of(5), lambda scenario: "stop" in scenario.actions and scenario.bars >= 2)
    assert small.actions == ("stop",)
    assert (small.bars, small.deaths, small.faults, small.lost, small.interleaving) == (2, (), {}, 0, 0)
