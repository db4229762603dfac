"""Results of many worlds, one line each, kept as they come: a run that was stopped goes on where it was."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.simulation.world import Outcome


@dataclass
class Totals:
    """What was played."""

    seeds: int = 0
    lives: int = 0
    orders: int = 0
    trades: int = 0
    struck: int = 0
    days: float = 0.0
    violations: tuple[tuple[int, str], ...] = ()

    def __str__(self) -> str:
        return (
            f"{self.seeds} seeds, {len(self.violations)} violations, {self.lives} lives, {self.orders} orders, {self.trades} executions, "
            f"{self.struck} faults and deaths, {self.days:.1f} days"
        )


class Results:
    """In memory, and in a file where one is given."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._rows: dict[int, dict[str, object]] = {}
        if path is not None and path.exists():
            self._rows = {int(row["seed"]): row for row in _rows(path.read_text())}

    def left(self, seeds: Iterable[int]) -> list[int]:
        """Those that were not played yet."""
        return [seed for seed in seeds if seed not in self._rows]

    def add(self, outcome: Outcome) -> None:
        row: dict[str, object] = {
            "seed": outcome.scenario.seed, "violation": outcome.violation, "digest": outcome.digest[:16], "lives": outcome.lives,
            "orders": outcome.orders, "trades": outcome.trades, "struck": outcome.struck, "days": round(outcome.days, 4),
        }  # fmt: skip
        self._rows[outcome.scenario.seed] = row
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(json.dumps(row) + "\n")

    def totals(self) -> Totals:
        sums: Counter[str] = Counter()
        for row in self._rows.values():
            sums.update({name: row[name] for name in ("lives", "orders", "trades", "struck")})  # type: ignore[misc]
        broken = tuple((seed, str(row["violation"])) for seed, row in sorted(self._rows.items()) if row["violation"])
        days = sum(float(str(row["days"])) for row in self._rows.values())
        return Totals(len(self._rows), sums["lives"], sums["orders"], sums["trades"], sums["struck"], days, broken)


def _rows(text: str) -> Iterator[dict[str, object]]:
    """All lines but one that was cut off in the middle."""
    for line in text.splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            continue
