"""Bybit's disconnection protection (DCP), a dead man's switch: open orders are cancelled once the client is gone for the time it set."""

from __future__ import annotations

from typing import Final

from forwardtrader.sandbox.venue import ACCOUNT, SandboxVenue

TOPIC: Final = "dcp"
SHORTEST_S: Final = 3
LONGEST_S: Final = 300


class DisconnectionProtection:
    """Counts the connections that follow the topic `dcp`; the time runs from the moment in which the last one ends."""

    def __init__(self, venue: SandboxVenue) -> None:
        self._venue = venue
        self._following: set[str] = set()
        self._run = 0

    @property
    def window_s(self) -> int:
        """The time that the client has set; 0 for none."""
        return self._venue.protected_s

    def protect(self, seconds: int) -> None:
        """Cancel open orders once the client is gone for `seconds`."""
        self._venue.protected_s = seconds

    def follow(self, connection: str, topics: list[str]) -> None:
        """A connection has subscribed to `topics`."""
        if any(topic.split(".")[0] == TOPIC for topic in topics):
            self._following.add(connection)
            self._run += 1  # an earlier countdown is void

    def leave(self, connection: str) -> None:
        """A connection has ended."""
        if connection not in self._following:
            return
        self._following.discard(connection)
        if not self._following and self.window_s:
            self._run += 1
            run = self._run
            self._venue.host.later(self.window_s, lambda: self._cancel(run))

    def _cancel(self, run: int) -> None:
        if run != self._run:
            return
        exchange = self._venue.exchange
        for order in list(exchange.order_index.all_open(ACCOUNT)):
            if order.is_open:
                exchange.cancel(order)
