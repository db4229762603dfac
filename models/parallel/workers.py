"""The worker port: runs independent tasks in parallel.

A task is a function of the module level that is given what all tasks share and one item. What is shared goes to each worker once; items
and results should be small. Results do not depend on where they were made.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol, TypeVar

Shared = TypeVar("Shared")
Item = TypeVar("Item")
Result = TypeVar("Result")

# How often work is given out anew after workers were lost with it.
ROUNDS: Final = 3


class Workers(Protocol):
    """Runs tasks side by side. `models.parallel.local_workers` do so here, `models.parallel.dask_cluster` elsewhere."""

    def run(self, task: Callable[[Shared, Item], Result], shared: Shared, items: Sequence[Item]) -> Iterator[tuple[int, Result]]:
        """Yield the position of each item and its result as it is done, in any order; the first failure is raised."""
        ...


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
