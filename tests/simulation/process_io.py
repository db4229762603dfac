"""Every step of input and output of one life of the trading process, and where it dies."""

from __future__ import annotations

from collections.abc import Callable


class Crash(KeyboardInterrupt):
    """The process is gone from one instruction to the next. (asyncio lets only this kind of exception out of its loop.)"""


class Gone(BaseException):
    """A process that is dead already has tried to do something; nothing came of it."""


class ProcessIo:
    """Counts the steps of one life, and ends it at the chosen one.

    Args:
        dies_at: the number of the step that it does not survive; 0 for none.
        counts: a part of the name of the steps that count.
        note: writes the step into the log of the run.
    """

    def __init__(self, dies_at: int, counts: str, note: Callable[..., None]) -> None:
        self.steps = 0
        self.is_dead = False
        self.died_at = ""
        self._dies_at, self._counts = dies_at, counts
        self._note = note

    def step(self, what: str) -> None:
        """Pass one step, or die of it. Raises Crash, and Gone from then on."""
        if self.is_dead:
            raise Gone
        self.steps += self._counts in what
        if self.steps == self._dies_at and self._counts in what:
            self.die(what)

    def die(self, what: str) -> None:
        """Raises Crash."""
        self.is_dead, self.died_at = True, what
        self._note("crash", at=what, step=self.steps)
        raise Crash(what)
