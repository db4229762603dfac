"""What a strategy wants to know after a restart. Indicators need nothing of it: the bars of the history build them again.

A strategy takes part by two methods: `state()` gives plain JSON values after every bar, `restore(saved)` takes the last of them back before
the first bar that is new. On paper neither is needed, since every recorded bar is played again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import backtrader as bt

from live.journal import Journal
from strategies.bars_frame import epoch_seconds
from strategies.forecast_strategy import LSTMStrategy

_NAME: Final = "strategy"
Failed = Callable[[str, Exception], None]


def takes_part(strategy: type[bt.Strategy]) -> bool:
    """Whether the class has both methods."""
    return callable(getattr(strategy, "state", None)) and callable(getattr(strategy, "restore", None))


class StrategyMemory:
    """Keeps a strategy's state in the journal of its account.

    Args:
        failed: hears of a state that cannot be kept: where and what.
    """

    def __init__(self, journal: Journal, failed: Failed) -> None:
        self._journal = journal
        self._failed = failed
        self.saved: Any = journal.recall(_NAME)

    def keep(self, strategy: bt.Strategy) -> None:
        """Called after every new bar. A failure is told, and what was kept before stands."""
        if not takes_part(type(strategy)):
            return
        try:
            text: Any = json.loads(json.dumps(strategy.state(), allow_nan=False))
        except Exception as error:  # noqa: BLE001 - the method is the user's, and so is whatever it raises
            self._failed("state", error)
            return
        self._journal.remember(_NAME, text)


def remembering(strategy: type[bt.Strategy], saved: Mapping[str, Any], since: float, failed: Failed) -> type[bt.Strategy]:
    """A subclass that restores `saved` before the first bar that opens at or after `since` (UTC epoch seconds).

    Ours is left as it is: it takes its state at the start and looks at no bar before.
    """
    if issubclass(strategy, LSTMStrategy) or not takes_part(strategy):
        return strategy

    class Remembering(strategy):
        _is_restored = False

        def prenext(self) -> None:
            self._take_back()
            super().prenext()

        def nextstart(self) -> None:
            self._take_back()
            super().nextstart()

        def next(self) -> None:
            self._take_back()
            super().next()

        def _take_back(self) -> None:
            if self._is_restored or epoch_seconds(self.lines.datetime[0]) < since:
                return
            self._is_restored = True
            try:
                self.restore(saved)
            except Exception as error:  # noqa: BLE001 - as above; it trades on with what its bars gave it
                failed("restore", error)

    Remembering.__name__ = strategy.__name__
    return Remembering
