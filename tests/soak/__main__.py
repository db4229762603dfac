"""`python -m tests.soak`: a session with real orders on the practice exchange, killed again and again as a process of its own.

Each series is one session on one account. Each life but the last is ended by SIGKILL, by SIGSTOP and SIGKILL, or by SIGTERM, at a random
moment of its start or after its first decision, with faults of the exchange or without. The next one compares what the venue, the journal,
the broker and the table of fills know, before the market moves on.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from tests.soak.plan import LIVES
from tests.soak.results import Results
from tests.soak.series import play


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="stop after so many")
    parser.add_argument("--seed", type=int, help="play this series only")
    parser.add_argument("--lives", type=int, default=LIVES, help="of a series, beside its last one")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="keep the results there, and go on where they end")
    wanted = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that nothing is left running
    results = Results(wanted.keep)
    seed = wanted.seed if wanted.seed is not None else results.next_seed
    while results.totals().ends < wanted.kills or wanted.seed is not None:
        for row in play(seed, wanted.lives):
            results.add(row)
            if row.trouble:
                print(f"series {seed}, life {row.life}: {row.trouble}\n  repeat it with `python -m tests.soak --seed {seed}`", flush=True)
        print(f"series {seed}: {results.totals()}", flush=True)
        if wanted.seed is not None:
            break
        seed += 1
    print(results.table())
    return 1 if results.totals().troubles else 0


if __name__ == "__main__":
    sys.exit(main())
