"""Facts of a venue about one symbol: funding, mark, index and basis, open interest, long/short ratio, taker buys and trades."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np

from forwardtrader.core.errors import InvalidSetting, VenueRefused
from forwardtrader.core.rooms.factor import OF_CANDLES, FactorSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.factors.kinds import spacing
from forwardtrader.feeds.factors.record import Fetched
from forwardtrader.feeds.fetching.json_rows import number
from forwardtrader.feeds.fetching.port import Page
from forwardtrader.feeds.venues.exchange import CcxtVenue

_ABILITIES: Final[dict[str, tuple[str, ...]]] = {
    "funding": ("fetchFundingRateHistory",),
    "mark": ("fetchMarkOHLCV",),
    "index": ("fetchIndexOHLCV",),
    "basis": ("fetchMarkOHLCV", "fetchIndexOHLCV"),
    "open_interest": ("fetchOpenInterestHistory",),
    "long_short_ratio": ("fetchLongShortRatioHistory",),
    "taker_volume": ("fetchOHLCV",),
    "trades": ("fetchOHLCV",),
}
_ROWS: Final = 200  # the least that every venue gives at once
_FUNDING: Final = timedelta(days=30)  # asked for at once
_SHALLOW: Final = timedelta(days=29)  # what venues keep of open interest and ratios, at least
_MS: Final = 1_000_000
Points = dict[int, float]  # milliseconds UTC -> value
Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class VenueSource:
    """One kind of fact about one symbol of one venue."""

    venue: CcxtVenue
    kind: str
    symbol: str
    step: Timeframe

    def page(self, since: datetime, now: datetime) -> Page:
        """As `Source.page`. Where the venue keeps a month only, older days are left out."""
        if self.kind == "funding":
            return self._funding(since, now)
        try:
            return self._window(since, now)
        except VenueRefused:
            if self.kind not in ("open_interest", "long_short_ratio") or since >= now - _SHALLOW:
                raise
            return self._window(now - _SHALLOW, now)

    def _funding(self, since: datetime, now: datetime) -> Page:
        until = min(since + _FUNDING, now)
        if since >= until:
            return Page(Fetched.of([]))
        rates = self.venue.funding_page(self.symbol, since, until)
        found = {int(at.timestamp() * 1000): float(rate) for at, rate in rates.items()}  # type: ignore[attr-defined]
        return Page(_fetched(found), until if until < now else None)

    def _window(self, since: datetime, now: datetime) -> Page:
        """Whatever lies in one window of time; a step that is not over yet may still change and is left out."""
        length = self.step.seconds * 1000
        start = -(-int(since.timestamp() * 1000) // length) * length
        last = int(now.timestamp() * 1000) - length
        end = min(start + _ROWS * length, last + 1)
        points = self._points(start, end) if start <= last else {}
        inside = {at: value for at, value in points.items() if start <= at < end}
        return Page(_fetched(inside), datetime.fromtimestamp(max(start, end) / 1000, UTC) if end <= last else None)

    def _points(self, start: int, end: int) -> Points:
        if self.kind in ("mark", "index"):
            return self._closes(self.kind, start)
        if self.kind == "basis":
            mark, index = self._closes("mark", start), self._closes("index", start)
            return {at: mark[at] / index[at] - 1.0 for at in mark.keys() & index.keys() if index[at] > 0.0}
        if self.kind in OF_CANDLES:
            rows = self.venue.klines(self.symbol, self.step, start, _ROWS)
            return of_candles(self.kind, rows[:, 0], rows[:, 5:].T)
        return self._listed(start, end)

    def _closes(self, price: str, start: int) -> Points:
        def ask(client: Any) -> Any:
            return client.fetch_ohlcv(self.symbol, str(self.step), start, _ROWS, {"price": price})

        return _pairs((row[0], row[4]) for row in self.venue.ask(self.symbol, ask))

    def _listed(self, start: int, end: int) -> Points:
        """Rows of ccxt's structures for open interest and ratios."""

        def ask(client: Any) -> Any:
            fetch: Callable[..., Any] = {
                "open_interest": client.fetch_open_interest_history, "long_short_ratio": client.fetch_long_short_ratio_history
            }[self.kind]  # fmt: skip
            return fetch(self.symbol, str(self.step), start, _ROWS, {"until": end - 1})

        return _pairs((row.get("timestamp"), self._value(row)) for row in self.venue.ask(self.symbol, ask))

    def _value(self, row: dict[str, Any]) -> Any:
        if self.kind == "long_short_ratio":
            return row.get("longShortRatio")
        amount = row.get("openInterestAmount")
        return row.get("openInterestValue") if amount is None else amount


def of_candles(kind: str, times_ms: Floats, columns: Floats) -> Points:
    """The share of each bar's volume that takers bought, a half where nothing was traded; or the number of trades.

    Args:
        columns: volume, volume bought by takers, and number of trades: float64 [3, T].
    """
    volume, taken, trades = columns
    traded = volume > 0.0
    share = np.where(traded, taken / np.where(traded, volume, 1.0), 0.5)
    values, most = (trades, np.inf) if kind == "trades" else (share, 1.0)
    return {int(at): float(value) for at, value in zip(times_ms, values, strict=True) if 0.0 <= value <= most and np.isfinite(value)}


def venue_source(entry: FactorSettings, open_venue: Callable[[str], CcxtVenue]) -> VenueSource:
    """The source of a located entry.

    Raises:
        UnknownVenue: ccxt has no such exchange.
        InvalidSetting: the venue does not serve this kind of fact.
    """
    venue = open_venue(entry.exchange)
    if not venue.serves(*_ABILITIES[entry.kind]) or (entry.kind in OF_CANDLES and not venue.counts_takers):
        raise InvalidSetting(
            f"feeds.factors: {entry.exchange} does not serve {entry.kind}; name another exchange for it, as exchange: binance"
        )
    step = int(spacing(entry).total_seconds())
    return VenueSource(venue, entry.kind, entry.symbol, Timeframe.parse(f"{step // 60}m" if step < 3600 else "1h"))


def _pairs(rows: Any) -> Points:
    read = ((number(at), number(value)) for at, value in rows)
    return {int(at): value for at, value in read if at is not None and value is not None}


def _fetched(points: Points) -> Fetched:
    return Fetched.of([(at * _MS, value, 0) for at, value in sorted(points.items())])
