"""What a strategy wants to know after a restart. Indicators need nothing of it: the bars of the history build them again.

A strategy takes part by two methods: `state()` gives plain JSON values after every bar, `restore(saved)` takes the last of them back before
the first bar that is new. On paper neither is needed, since every recorded bar is played again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import backtrader as bt

from forwardtrader.live.execution.journal import Journal
from forwardtrader.live.output.store import SessionStore
from forwardtrader.strategies.backtrader.bars_frame import epoch_seconds
from forwardtrader.strategies.backtrader.strategy import LSTMStrategy

_NAME: Final = "strategy"
Failed = Callable[[str, Exception], None]


def takes_part(strategy: type[bt.Strategy]) -> bool:
    """Whether the class has both methods."""
    return callable(getattr(strategy, "state", None)) and callable(getattr(strategy, "restore", None))


class SavedState:
    """A strategy's state with real orders; it is kept with the bar and the fills that led to it, all of them or none.

    Args:
        failed: hears of a state that cannot be kept: where and what.
    """

    def __init__(self, store: SessionStore, journal: Journal, failed: Failed) -> None:
        self._failed = failed
        kept = store.snapshot()
        self.saved: Any = journal.recall(_NAME) if kept is None else kept[1].get(_NAME)  # the journal had it in earlier versions

    def snapshot(self, strategy: bt.Strategy, at: int) -> tuple[int, dict[str, Any]] | None:
        """What `SessionStore.record` keeps of the bar that opened at `at` (ms); None where what was kept before stands."""
        if not takes_part(type(strategy)):
            return None
        try:
            return at, {_NAME: json.loads(json.dumps(strategy.state(), allow_nan=False))}
        except Exception as error:  # noqa: BLE001 - the method is the user's, and so is whatever it raises
            self._failed("state", error)
            return None


def restoring(strategy: type[bt.Strategy], saved: Mapping[str, Any], since: float, failed: Failed) -> type[bt.Strategy]:
    """A subclass that restores `saved` before the first bar that opens at or after `since` (UTC epoch seconds).

    Ours is left as it is: it takes its state at the start and looks at no bar before.
    """
    if issubclass(strategy, LSTMStrategy) or not takes_part(strategy):
        return strategy

    class Restoring(strategy):
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

        def notify_order(self, order: Any) -> None:
            if order.info.get("client_id"):  # of an order at the venue: such news comes when the bars of the past are over
                self._restore()
            super().notify_order(order)

        def _take_back(self) -> None:
            if epoch_seconds(self.lines.datetime[0]) >= since:
                self._restore()

        def _restore(self) -> None:
            if self._is_restored:
                return
            self._is_restored = True
            try:
                self.restore(saved)
            except Exception as error:  # noqa: BLE001 - as above; it trades on with what its bars gave it
                failed("restore", error)

    Restoring.__name__ = strategy.__name__
    return Restoring
