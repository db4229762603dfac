"""Each fault of the list by its name: it strikes, and the account is right again within a bounded virtual time."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.simulation.faults import ELSEWHERE, scenario_of
from tests.simulation.world import simulate

_LONGEST_S = 1200.0  # up to 600 s that a dead process stays down, and 300 s until somebody acts on a halt, included


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("fault", [f"F{n}" for n in range(1, 41) if f"F{n}" not in ELSEWHERE])
def test_it_recovers_from(fault: str) -> None:
    outcome = simulate(scenario_of(fault, 0))
    assert not outcome.violation
    assert outcome.struck, "it never struck"
    assert max(outcome.recoveries, default=0.0) < _LONGEST_S
