"""Each safety rule is taken away in turn, and the simulation must notice within a bounded number of seeds."""

from __future__ import annotations

import pytest

from tests.simulation.defects import DEFECTS, SEEDS


@pytest.mark.slow
@pytest.mark.parametrize("name", DEFECTS)
def test_the_simulation_finds_the_defect(name: str) -> None:
    outcome = DEFECTS[name].found_by(SEEDS)
    assert outcome is not None, f"{DEFECTS[name].rule}: taken away, and {len(SEEDS)} seeds see nothing"


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_can_still_be_planted(name: str) -> None:
    with DEFECTS[name].planted():
        pass
