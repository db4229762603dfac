"""What has come from a venue that is played bar by bar, so that nobody runs ahead of its reports."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from forwardtrader.live.execution.events import AccountEvent, Filled

_REMEMBERED: Final = 256  # executions
_LOOK_S: Final = 0.002


class Arrivals:
    """Waits, for a bounded time, for bars, executions and prices that the venue has sent; in Backtrader's thread.

    Args:
        wake: notified whenever a bar or an account event was queued.
        prices: of the running bars, by symbol.
        has_bars: whether every bar that opened by a time (ms UTC) was queued for the feeds, or is known not to exist.
        monotonic: the machine's time.
    """

    def __init__(
        self, wake: threading.Condition, prices: Mapping[str, float], has_bars: Callable[[int], bool], monotonic: Callable[[], float]
    ) -> None:
        self._wake, self._prices, self._has_bars, self._monotonic = wake, prices, has_bars, monotonic
        self._told: deque[str] = deque(maxlen=_REMEMBERED)

    def note(self, event: AccountEvent) -> None:
        """An account event was queued."""
        if isinstance(event, Filled):
            self._told.append(event.execution.trade_id)

    def await_bar(self, at: int, trades: Sequence[str], patience_s: float = 2.0) -> bool:
        """Wait until every bar that opened by `at` was queued, and the broker can know of the executions `trades`.

        Args:
            trades: the venue's ids; of the newest executions.
            patience_s: how long; what the venue keeps to itself comes later, or never.

        Returns:
            Whether all of it came.
        """
        with self._wake:
            return self._wake.wait_for(lambda: set(trades) <= set(self._told) and self._has_bars(at), patience_s)

    def await_prices(self, prices: Mapping[str, str], patience_s: float = 2.0) -> bool:
        """Wait until these prices of the running bars are known, not longer than `patience_s` seconds; returns whether they are."""
        until = self._monotonic() + patience_s
        while any(self._prices.get(symbol) != float(price) for symbol, price in prices.items()):
            if self._monotonic() > until:
                return False
            with self._wake:
                self._wake.wait(_LOOK_S)  # nobody is woken by a price
        return True
