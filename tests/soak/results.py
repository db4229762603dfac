"""What came out of the lives, kept line by line."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class LifeResult:
    """How one life went.

    Attributes:
        end: kill, stop or term, as planned; "" for the last one of a series, which ends by itself.
        start_s: from its start until its first decision; 0 for one that ended before.
        is_checked: whether all books were compared.
        trouble: what was wrong; "" for nothing.
    """

    seed: int
    life: int
    end: str
    faults: tuple[str, ...]
    start_s: float
    is_checked: bool
    trouble: str


@dataclass
class Totals:
    ends: int = 0
    mixes: int = 0
    checks: int = 0
    by_end: Counter[str] = field(default_factory=Counter)
    starts: list[float] = field(default_factory=list)
    troubles: list[LifeResult] = field(default_factory=list)

    def start_s(self, share: float) -> float:
        found = sorted(self.starts)
        return found[min(len(found) - 1, int(share * len(found)))] if found else 0.0

    def __str__(self) -> str:
        return (
            f"{self.ends} ends ({dict(self.by_end)}), {self.mixes} fault mixes, {self.checks} comparisons, {len(self.troubles)} troubles, "
            f"start to first decision p50 {self.start_s(0.5):.2f} s, p95 {self.start_s(0.95):.2f} s"
        )


class Results:
    """Kept in a file of one JSON object a line, where one is given."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        lines = path.read_text().splitlines() if path is not None and path.exists() else []
        self._rows = [LifeResult(**{**row, "faults": tuple(row["faults"])}) for row in map(json.loads, lines)]

    @property
    def next_seed(self) -> int:
        return max((row.seed for row in self._rows), default=-1) + 1

    def add(self, row: LifeResult) -> None:
        self._rows.append(row)
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(json.dumps(asdict(row)) + "\n")

    def totals(self) -> Totals:
        totals = Totals()
        for row in self._rows:
            totals.ends += bool(row.end)
            totals.by_end[row.end or "by itself"] += 1
            totals.mixes += bool(row.faults)
            totals.checks += row.is_checked
            totals.starts += [row.start_s] if row.start_s and row.life else []
            totals.troubles += [row] if row.trouble else []
        return totals

    def table(self) -> str:
        totals = self.totals()
        lines = ["| what | number |", "|---|---|"]
        lines += [f"| ended by {name} | {count} |" for name, count in sorted(totals.by_end.items())]
        lines += [
            f"| lives with faults of the venue | {totals.mixes} |", f"| comparisons of all books | {totals.checks} |",
            f"| troubles | {len(totals.troubles)} |",
            f"| start to first decision after an end, p50 / p95 | {totals.start_s(0.5):.2f} s / {totals.start_s(0.95):.2f} s |",
        ]  # fmt: skip
        return "\n".join(lines)
