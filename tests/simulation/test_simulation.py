"""A short form of `make simulate`: the whole trading process in simulated worlds, one seed each."""

from __future__ import annotations

import pytest

from tests.simulation.scenario import Scenario
from tests.simulation.world import simulate

_SEEDS = 24


@pytest.mark.parametrize("first", range(0, _SEEDS, 8))
def test_no_seed_breaks_an_invariant(first: int) -> None:
    broken = [(seed, outcome.violation) for seed in range(first, first + 8) if (outcome := simulate(Scenario.of(seed))).violation]
    assert not broken, f"replay with `make simulate SEED=n`: {broken}"


def test_the_same_seed_gives_the_same_bytes() -> None:
    first, second = (simulate(Scenario.of(3)) for _ in range(2))
    assert first.log == second.log
    assert first.digest == second.digest
    assert first.orders, "nothing was ordered, so nothing was compared"
