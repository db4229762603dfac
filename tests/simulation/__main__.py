"""`python -m tests.simulation --seed N` replays one seed; without it, many seeds are tried."""

from __future__ import annotations

import argparse
import logging
import sys
import time

from tests.simulation.defects import DEFECTS, SEEDS
from tests.simulation.scenario import Scenario
from tests.simulation.world import simulate


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="replay this one")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--log", action="store_true", help="print what happened")
    parser.add_argument("--defects", nargs="*", metavar="NAME", help="plant defects, all or these, and say which seed finds each")
    wanted = parser.parse_args()
    logging.disable()
    if wanted.defects is not None:
        return _defects(wanted.defects or list(DEFECTS))
    seeds = [wanted.seed] if wanted.seed is not None else range(wanted.first, wanted.first + wanted.seeds)
    began, days, failed, lives, orders, trades = time.perf_counter(), 0.0, 0, 0, 0, 0
    for seed in seeds:
        outcome = simulate(Scenario.of(seed))
        days, lives, orders, trades = days + outcome.days, lives + outcome.lives, orders + outcome.orders, trades + outcome.trades
        if outcome.violation:
            failed += 1
            print(f"seed {seed}: {outcome.violation}", flush=True)
        if wanted.log:
            print(outcome.scenario, *outcome.log, sep="\n")
            print(outcome.digest)
    took = time.perf_counter() - began
    print(f"{len(seeds)} seeds, {failed} violations, {lives} lives, {orders} orders, {trades} executions, {days:.2f} days in {took:.1f} s")
    return 1 if failed else 0


def _defects(names: list[str]) -> int:
    missed = 0
    for name in names:
        outcome = DEFECTS[name].found_by(SEEDS)
        missed += outcome is None
        found = f"seed {outcome.scenario.seed}: {outcome.violation[:120]}" if outcome else f"not found by {len(SEEDS)} seeds"
        print(f"{name:22} {DEFECTS[name].rule:66} {found}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
