"""Smaller worlds that break as well: whatever can be left out is left out, one thing at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from tests.simulation.scenario import Scenario

_CALM: Final = ("lost", "unanswered", "reset", "slow_strategy", "interleaving", "stops", "errors", "disk_full", "fill_cap")


def shrink(scenario: Scenario, breaks: Callable[[Scenario], bool], most: int = 200) -> Scenario:
    """The smallest scenario found within `most` runs that still breaks."""
    runs = 0
    while True:
        for smaller in _smaller(scenario):
            runs += 1
            if runs > most:
                return scenario
            if breaks(smaller):
                scenario = smaller
                break
        else:
            return scenario


def _smaller(scenario: Scenario) -> Iterator[Scenario]:
    """Each with one thing less, the largest things first."""
    for name in scenario.faults:
        yield replace(scenario, faults={other: options for other, options in scenario.faults.items() if other != name})
    for number in range(len(scenario.deaths)):
        yield replace(scenario, deaths=scenario.deaths[:number] + scenario.deaths[number + 1 :])
    if len(scenario.symbols) > 1:
        yield replace(scenario, symbols=scenario.symbols[:1])
    for name in _CALM:
        if getattr(scenario, name):
            yield replace(scenario, **{name: 0})
    if len(scenario.actions) > 1:
        for action in scenario.actions:
            yield replace(scenario, actions=tuple(other for other in scenario.actions if other != action))
    for bars in sorted({scenario.bars // 2, scenario.bars - 1}):
        if bars > 0:
            yield replace(scenario, bars=bars)
    for number, death in enumerate(scenario.deaths):
        if death.power_cut:
            plain = replace(death, power_cut=False)
            yield replace(scenario, deaths=(*scenario.deaths[:number], plain, *scenario.deaths[number + 1 :]))
