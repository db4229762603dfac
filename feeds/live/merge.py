"""Several venues: one is traded, the others confirm its prices and supply candles that it lacks."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from typing import Any, Final

from forwardtrader.core import log
from forwardtrader.core.clock import Clock
from forwardtrader.core.errors import ConfigError, TradingError
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.live.bar_sequence import Bar
from forwardtrader.feeds.live.client import open_client
from forwardtrader.feeds.live.source import CcxtLiveSource

_LOG: Final = log.logger("feeds")
_MAX_BARS: Final = 200  # bars kept of each symbol and venue
_RECONNECT_S: Final = 30.0
Bars = Mapping[int, Bar]  # by open time, milliseconds UTC


@dataclass(frozen=True)
class MergeRule:
    """When venues agree: their closes differ by at most `tolerance_bps` in a bar at most `fresh_bars` older than the newest one."""

    tolerance_bps: float = 50.0
    fresh_bars: int = 2


class Agreement(StrEnum):
    """Whether the confirming venues agree with the traded one's price."""

    AGREED = "agreed"
    DISAGREED = "disagreed"
    ALONE = "alone"  # no confirming venue has a fresh bar


@dataclass(frozen=True)
class PriceComparison:
    """Result of `compare_prices`: `apart` is the difference of each fresh venue's close in basis points, `detail` a readable line."""

    agreement: Agreement
    apart: Mapping[str, float]
    detail: str


@dataclass(frozen=True)
class ConfirmingVenue:
    """A confirming venue. `base_url` and `ws_url` as in `open_client`; `clock` is its clock if it is not the wall clock."""

    exchange: str
    base_url: str = ""
    ws_url: str = ""
    clock: Clock | None = None


def compare_prices(traded: Bars, others: Mapping[str, Bars], at: int, step: int, rule: MergeRule) -> PriceComparison:
    """Compare the traded venue's price with the confirming ones. Pure.

    Each is compared in the newest bar that both have and that opened within `fresh_bars` before `at`; the median of the
    differences decides, so that one outlier among three has no effect.

    Args:
        at: open time of the newest bar of the traded venue.
        step: length of a bar; milliseconds, both.
    """
    apart: dict[str, float] = {}
    for name, bars in others.items():
        common = [t for t in bars.keys() & traded.keys() if at - rule.fresh_bars * step <= t <= at]
        if common:
            apart[name] = (bars[max(common)].close / traded[max(common)].close - 1.0) * 1e4
    if not apart:
        return PriceComparison(Agreement.ALONE, apart, "no other venue has fresh bars")
    differences = ", ".join(f"{name} {bps:+.1f} bp" for name, bps in apart.items())
    if abs(median(apart.values())) > rule.tolerance_bps:
        return PriceComparison(Agreement.DISAGREED, apart, f"the venues disagree about the price ({differences})")
    return PriceComparison(Agreement.AGREED, apart, differences)


def substitute(traded: Bars, others: Mapping[str, Bars], at: int) -> tuple[str, Bar] | None:
    """The candle that opened at `at` from the first confirming venue that has it, scaled to the traded venue's price level. Pure.

    Returns:
        The venue's name and the bar; None if no venue has both it and an earlier common bar.
    """
    for name, bars in others.items():
        before = [t for t in bars.keys() & traded.keys() if t < at]
        if at in bars and before:
            level = traded[max(before)].close / bars[max(before)].close
            bar = bars[at]
            return name, Bar(at, bar.open * level, bar.high * level, bar.low * level, bar.close * level, bar.volume)
    return None


class LiveMerge:
    """Streams the confirming venues and compares prices at each bar. Runs in the event loop of the traded source.

    Args:
        notify: called with the kind and the facts of every change, in the event loop; must not block.
    """

    def __init__(
        self, confirming: Sequence[ConfirmingVenue], symbols: Sequence[str], timeframe: Timeframe, *, clock: Clock, rule: MergeRule,
        notify: Callable[..., None],
    ) -> None:  # fmt: skip
        self.counts: Counter[str] = Counter()  # bars by agreement, and substituted bars ("lent")
        linear = any(":" in symbol for symbol in symbols)
        self.clients = [open_client(each.exchange, linear=linear, base_url=each.base_url, ws_url=each.ws_url) for each in confirming]
        self._rule, self._notify, self._step = rule, notify, timeframe.seconds * 1000
        self.symbols, self.names = tuple(symbols), tuple(each.exchange for each in confirming)
        self._traded: dict[str, dict[int, Bar]] = {s: {} for s in symbols}
        self._others: dict[str, dict[str, dict[int, Bar]]] = {s: {each.exchange: {} for each in confirming} for s in symbols}
        self._now: dict[str, PriceComparison] = {}
        self._sources = [
            _ConfirmingSource(self, each, client, clock, timeframe) for each, client in zip(confirming, self.clients, strict=True)
        ]

    async def connect(self) -> None:
        """Load the markets of the confirming venues.

        Raises:
            UnknownSymbol, UnknownTimeframe: one of them does not have what is traded. One that is unreachable is retried later.
        """
        for source in self._sources:
            await source.connect()

    async def run(self) -> None:
        """Stream until cancelled."""
        await asyncio.gather(*(source.run() for source in self._sources))

    def add_traded(self, symbol: str, bar: Bar) -> None:
        """Add a closed bar of the traded venue."""
        _keep(self._traded[symbol], bar)
        comparison = self._compare(symbol)
        self.counts[comparison.agreement] += 1

    def substitutes(self, symbol: str, until: int) -> list[Bar]:
        """Substitutes for bars that the traded venue lacks, from its last one up to `until`; they count as its own from now on."""
        known = self._traded[symbol]
        found: list[Bar] = []
        for at in range(max(known) + self._step, until, self._step) if known else ():
            substituted = substitute(known, self._others[symbol], at)
            if substituted is None:
                break
            found.append(substituted[1])
            _keep(known, substituted[1])
            self.counts["lent"] += 1
            self._notify("bar_lent", symbol=symbol, at=at, venue=substituted[0])
        return found

    def objection(self, symbol: str) -> str:
        """Why no position should be entered now, or "". May be called from any thread."""
        comparison = self._now.get(symbol)
        return comparison.detail if comparison is not None and comparison.agreement is Agreement.DISAGREED else ""

    def agreement(self, symbol: str) -> Agreement:
        """The agreement at the newest bar."""
        comparison = self._now.get(symbol)
        return comparison.agreement if comparison is not None else Agreement.ALONE

    def add_confirming(self, venue: str, symbol: str, bar: Bar) -> None:
        """Add a closed bar of a confirming venue."""
        _keep(self._others[symbol][venue], bar)
        if self._traded[symbol]:
            self._compare(symbol)

    def _compare(self, symbol: str) -> PriceComparison:
        traded = self._traded[symbol]
        comparison = compare_prices(traded, self._others[symbol], max(traded), self._step, self._rule)
        before = self._now.get(symbol)
        self._now[symbol] = comparison
        if before is None or before.agreement is not comparison.agreement:
            log.event(_LOG, "venues_compared", symbol=symbol, agreement=comparison.agreement, detail=comparison.detail)
            if before is not None or comparison.agreement is Agreement.DISAGREED:
                self._notify(f"venues_{comparison.agreement}", symbol=symbol, detail=comparison.detail)
        return comparison


class _ConfirmingSource:
    """Streams one confirming venue for the merge; its errors stay here."""

    def __init__(self, merge: LiveMerge, venue: ConfirmingVenue, client: Any, clock: Clock, timeframe: Timeframe) -> None:
        self._merge, self._name, self._ready = merge, venue.exchange, False
        self._source = CcxtLiveSource(client, merge.symbols, timeframe, clock=venue.clock or clock, listener=self)

    async def connect(self) -> None:
        try:
            await self._source.connect()
            self._ready = True
        except ConfigError:
            raise
        except TradingError as error:
            log.event(_LOG, "confirming_venue_unreachable", venue=self._name, reason=str(error))

    async def run(self) -> None:
        while True:
            try:
                if not self._ready:
                    await self._source.connect()
                    self._ready = True
                await self._begin()
                await self._source.run()
            except TradingError as error:
                log.event(_LOG, "confirming_venue_unreachable", venue=self._name, reason=str(error))
            await asyncio.sleep(_RECONNECT_S)

    async def _begin(self) -> None:
        for symbol in self._source.symbols:
            bars = await self._source.newest(symbol, 3)
            for bar in bars:
                self._merge.add_confirming(self._name, symbol, bar)
            self._source.resume(symbol, bars[-1].at if bars else None)

    def on_bar(self, symbol: str, bar: Bar) -> None:
        self._merge.add_confirming(self._name, symbol, bar)

    def on_price(self, symbol: str, price: float) -> None:
        """Prices inside a bar are not compared."""

    def on_quiet(self, symbol: str, at: int) -> None:
        """Missing bars show as not fresh in the comparison."""

    def on_connection(self, alive: bool, reason: str) -> None:
        log.event(_LOG, "confirming_venue_connection", venue=self._name, alive=alive, reason=reason)


def _keep(bars: dict[int, Bar], bar: Bar) -> None:
    bars[bar.at] = bar
    while len(bars) > _MAX_BARS:
        del bars[min(bars)]
