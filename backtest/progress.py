"""Progress of a run on a terminal, or nowhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Stage: TypeAlias = Callable[[int, int], None]


class RunProgress:
    """Shows stages with their bars and measures what each one took."""

    def __init__(self, console: Console, *, shown: bool) -> None:
        self._bars = Progress(
            *(SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()),
            *(TimeElapsedColumn(), TimeRemainingColumn()),
            console=console,
            transient=True,
            disable=not (shown and console.is_terminal),
        )
        self.seconds: dict[str, float] = {}

    def __enter__(self) -> RunProgress:
        if not self._bars.disable:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if not self._bars.disable:  # ending a disabled one prints an empty line in older versions of rich
            self._bars.stop()

    def describe(self, what: str) -> None:
        """Say on the newest bar what is being done now."""
        self._bars.update(self._bars.task_ids[-1], description=what)

    @contextmanager
    def stage(self, name: str, description: str) -> Iterator[Stage]:
        """Time a stage under `name`; the yielded function takes (done, total)."""
        began = time.perf_counter()
        task = self._bars.add_task(description, total=None)

        def advance(done: int, total: int) -> None:
            self._bars.update(task, completed=done, total=total)

        try:
            yield advance
        finally:
            self._bars.remove_task(task)
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began
