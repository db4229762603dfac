"""What a session keeps of the comparison of venues: bars that features saw in place of its own, and the state of the judgement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from forwardtrader.feeds.candles.bar import Bar
from forwardtrader.live.output.store import SessionStore
from forwardtrader.models.signal_bars import NewestForecast, SignalBars, SignalSource


class SessionVenues:
    """Recorded as it comes, in the venue's thread; a bar that is recorded stays, since it was decided on.

    Args:
        confirmed: whether other venues confirm the traded one.

    Attributes:
        books: by symbol, what features see in place of the session's own bars.
    """

    def __init__(self, store: SessionStore, symbols: tuple[str, ...], *, confirmed: bool) -> None:
        self._confirmed = confirmed
        self._store = store
        self.books = {symbol: SignalBars.of(store.signals(symbol)) for symbol in symbols}

    def add(self, symbol: str, bar: Bar) -> None:
        """Features see this bar in place of the one that follows."""
        self._store.signal(symbol, bar)
        self.books[symbol].add(bar.at, bar[1:])

    def source(self, source: NewestForecast, symbol: str) -> NewestForecast:
        """The source as features see its bars."""
        return SignalSource(source, symbol, self.books) if self._confirmed else source

    def load(self, symbol: str) -> Mapping[str, Any] | None:
        """State of the judgement of a symbol's venues, as `save` got it last."""
        return self._store.venue_state(symbol)

    def save(self, symbol: str, state: Mapping[str, Any]) -> None:
        """Keep the state of the judgement of a symbol's venues."""
        self._store.keep_venue_state(symbol, state)
