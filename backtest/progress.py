"""Progress of a run on a terminal, in a file for another program, or nowhere."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeAlias

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Stage: TypeAlias = Callable[[int, int], None]
DONE: Final = "done"
_TOLD_EVERY_S: Final = 0.2


class ProgressFile:
    """One JSON object for whoever watches a run from outside: stage, what is being done in words, how much of how much; at last the page.

    Whole whenever it is read, and never worth an error: the run goes on where it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._next = 0.0

    def tell(self, stage: str, what: str, done: int = 0, total: int = 0, *, page: str = "") -> None:
        """Write how things stand; calls that follow each other closely within a stage are left out."""
        now = time.monotonic()
        if done and done < total and now < self._next:
            return
        self._next = now + _TOLD_EVERY_S
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        with suppress(OSError):
            temporary.write_text(json.dumps({"stage": stage, "what": what, "done": done, "total": total, "page": page}), encoding="utf-8")
            temporary.replace(self._path)


class RunProgress:
    """Shows stages with their bars and measures what each one took.

    Args:
        told: a file that is told of them too.
    """

    def __init__(self, console: Console, *, shown: bool, told: Path | None = None) -> None:
        self._told = None if told is None else ProgressFile(told)
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
        self._tell(name, description)

        def advance(done: int, total: int) -> None:
            self._bars.update(task, completed=done, total=total)
            self._tell(name, description, done, total)

        try:
            yield advance
        finally:
            self._bars.remove_task(task)
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began

    def _tell(self, name: str, description: str, done: int = 0, total: int = 0) -> None:
        if self._told is not None:
            self._told.tell(name, description, done, total)
