"""Each fault of the list by its name: it strikes, and the account is right again within a bounded virtual time."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests import ROOT
from tests.simulation.faults import ALL, ELSEWHERE, scenario_of
from tests.simulation.world import simulate

_LONGEST_S = 1200.0  # up to 600 s that a dead process stays down, and 300 s until somebody acts on a halt, included


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("fault", [fault for fault in ALL if fault not in ELSEWHERE])
def test_it_recovers_from(fault: str) -> None:
    outcome = simulate(scenario_of(fault, 0))
    assert not outcome.violation
    assert outcome.struck, "it never struck"
    assert max(outcome.recoveries, default=0.0) < _LONGEST_S


@pytest.mark.parametrize("fault", ELSEWHERE)
def test_what_no_world_has_is_tested_by_name_elsewhere(fault: str) -> None:
    for name in ELSEWHERE[fault][1]:
        file, _, test = name.partition("::")
        assert f"def {test}(" in (ROOT / file).read_text(), name


@pytest.mark.parametrize("fault", ALL)
def test_the_page_lists_how_long_it_takes_to_recover(fault: str) -> None:
    assert f"\n| {fault} | " in (ROOT / "docs/reliability.md").read_text(), "print the table with `make simulate-faults`"
