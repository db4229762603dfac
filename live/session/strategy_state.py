"""A strategy's own state across a restart. Indicators need none of it: the bars of the history build them again.

A strategy takes part by two methods: `state()` returns plain JSON values after every bar, `restore(saved)` gets the newest of them before
the first new bar. On paper neither is needed, since every recorded bar is replayed.
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
    """A strategy's state with real orders, recorded in one transaction with the bar and the fills that led to it.

    Args:
        failed: called with place and error where a state cannot be recorded.

    Attributes:
        saved: the newest state; None where there is none.
    """

    def __init__(self, store: SessionStore, journal: Journal, failed: Failed) -> None:
        self._failed = failed
        kept = store.snapshot()
        self.saved: Mapping[str, Any] | None = (
            journal.recall(_NAME) if kept is None else kept[1].get(_NAME)
        )  # the journal had it in earlier versions

    def snapshot(self, strategy: bt.Strategy, at: int) -> tuple[int, dict[str, Any]] | None:
        """The state after the bar that opened at `at` (ms UTC), for `SessionStore.record`; None where the newest one stays."""
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
            self._restore_in_time()
            super().prenext()

        def nextstart(self) -> None:
            self._restore_in_time()
            super().nextstart()

        def next(self) -> None:
            self._restore_in_time()
            super().next()

        def notify_order(self, order: bt.Order) -> None:
            if order.info.get("client_id"):  # an update of an order at the venue: it comes when the bars of the past are over
                self._restore()
            super().notify_order(order)

        def _restore_in_time(self) -> None:
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
