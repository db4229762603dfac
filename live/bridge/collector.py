"""Python's collection of garbage in cycles, moved to where a session waits: a pause of it in a decision costs as much as the decision."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Final

_YOUNG: Final = 5_000  # new objects that are worth a look
_MOST: Final = 200_000  # where nothing ever waits, Python collects by itself after so many
_WHOLE_EVERY_S: Final = 300.0


class Collector:
    """Between the first `idle` and `stop` garbage is collected in `idle`; what was there at the beginning is never looked at again."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._before: tuple[int, int, int] | None = None
        self._next = 0.0

    def idle(self) -> None:
        """Nothing is to be done now."""
        if self._before is None:
            self._begin()
        elif self._monotonic() >= self._next:
            gc.collect()
            self._next = self._monotonic() + _WHOLE_EVERY_S
        elif gc.get_count()[0] > _YOUNG:
            gc.collect(1)

    def stop(self) -> None:
        """Let Python go on as before; a second call does nothing."""
        if self._before is not None:
            gc.set_threshold(*self._before)
            gc.unfreeze()
            self._before = None

    def _begin(self) -> None:
        self._before = gc.get_threshold()
        gc.collect()
        gc.freeze()
        gc.set_threshold(_MOST, 50, 100)
        self._next = self._monotonic() + _WHOLE_EVERY_S
