"""What other venues said against a price when a position was to be entered, kept so that a replay hears the same."""

from __future__ import annotations

from collections.abc import Callable

from forwardtrader.live.output.store import SessionStore


class Confirmations:
    """Asks the venues at new bars, and the record at those that an earlier process saw.

    Args:
        ask: why a symbol should not be entered now; "" for nothing.
        until: open time (ms) of the newest bar that an earlier process recorded.
    """

    def __init__(self, store: SessionStore, ask: Callable[[str], str], until: int | None) -> None:
        self._store = store
        self._ask = ask
        self._until = -1 if until is None else until
        self._known = store.doubts(after=self._until)

    def about(self, symbol: str, at: int) -> str:
        """Why no position in `symbol` may be entered at the bar that opened at `at` (ms)."""
        if at <= self._until:
            return self._store.doubt_of(at, symbol)
        reason = self._ask(symbol)
        if reason or self._known.pop((at, symbol), ""):  # a process that died at this bar may have heard otherwise
            self._store.doubt(at, symbol, reason)
        return reason
