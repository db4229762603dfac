"""`python -m tests.simulation --seed N` replays one seed; without it, many seeds are tried."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path

from forwardtrader.sandbox.faults.catalogue import CATALOGUE
from tests.simulation.defects import DEFECTS, SEEDS
from tests.simulation.faults import ALL, ELSEWHERE, OF_THE_PROCESS, scenario_of
from tests.simulation.results import Results
from tests.simulation.scenario import Scenario, of_perpetuals
from tests.simulation.shrink import shrink
from tests.simulation.world import simulate


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="replay this one")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--keep", type=Path, metavar="FILE", help="keep the results there, and go on where they end")
    parser.add_argument("--log", action="store_true", help="print what happened")
    parser.add_argument("--perpetuals", action="store_true", help="trade perpetuals in place of spot")
    parser.add_argument("--faults", action="store_true", help="strike with each fault alone, and say how long it takes to recover")
    parser.add_argument("--defects", nargs="*", metavar="NAME", help="plant defects, all or these, and say which seed finds each")
    wanted = parser.parse_args()
    logging.disable()
    if wanted.faults:
        return _faults(wanted.seeds)
    if wanted.defects is not None:
        return _defects(wanted.defects or list(DEFECTS))
    scenario = of_perpetuals if wanted.perpetuals else Scenario.of
    if wanted.seed is not None:
        return _replay(scenario(wanted.seed), log=wanted.log)
    return _play(range(wanted.first, wanted.first + wanted.seeds), wanted.keep, scenario)


def _play(seeds: range, keep: Path | None, scenario: Callable[[int], Scenario]) -> int:
    """Play what was not played yet."""
    results, began = Results(keep), time.perf_counter()
    left = results.left(seeds)
    for number, seed in enumerate(left, 1):
        outcome = simulate(scenario(seed))
        results.add(outcome)
        if outcome.violation:
            print(f"seed {seed}: {outcome.violation}\n  replay it with `make simulate SEED={seed}`", flush=True)
        if number % 100 == 0:
            print(f"  {results.totals()}", flush=True)
    totals = results.totals()
    print(f"{totals} in all; {len(left)} seeds in {time.perf_counter() - began:.1f} s")
    return 1 if totals.violations else 0


def _replay(scenario: Scenario, *, log: bool) -> int:
    """Play one, and make it smaller where it breaks."""
    outcome, seed = simulate(scenario), scenario.seed
    if log:
        print(outcome.scenario, *outcome.log, sep="\n")
    print(f"seed {seed}: {outcome.violation or 'holds'} ({outcome.digest})")
    if outcome.violation:
        smallest = shrink(outcome.scenario, lambda scenario: bool(simulate(scenario).violation))
        print(f"  the smallest that breaks: {smallest}\n  {simulate(smallest).violation}")
    return 1 if outcome.violation else 0


def _faults(seeds: int) -> int:
    """The tables of docs/reliability.md."""
    broken = 0
    print("| fault | what happens | strikes | median s | longest s | violations |\n|---|---|---|---|---|---|")
    for fault in (fault for fault in ALL if fault not in ELSEWHERE):
        outcomes = [simulate(scenario_of(fault, seed)) for seed in range(seeds)]
        times = sorted(seconds for outcome in outcomes for seconds in outcome.recoveries)
        broken += (bad := sum(bool(outcome.violation) for outcome in outcomes))
        title = OF_THE_PROCESS.get(fault) or CATALOGUE[fault].title
        middle, longest = (times[len(times) // 2], times[-1]) if times else (0.0, 0.0)
        print(f"| {fault} | {title} | {sum(o.struck for o in outcomes)} | {middle:.1f} | {longest:.1f} | {bad} |", flush=True)
    print("\n| fault | what happens | where it is tested instead |\n|---|---|---|")
    for fault, (title, tests) in ELSEWHERE.items():
        print(f"| {fault} | {title} | {', '.join(f'`{test}`' for test in tests)} |")
    return 1 if broken else 0


def _defects(names: list[str]) -> int:
    missed = 0
    print("| rule | taken away | seeds needed | what was seen |\n|---|---|---|---|")
    for name in names:
        found = DEFECTS[name].found_by(SEEDS)
        missed += found is None
        seen = f"{found[0]} | {found[1].violation[:100].replace('|', ' ')}" if found else f"not found by {len(SEEDS)} |"
        print(f"| {DEFECTS[name].rule} | {name} | {seen} |", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
