"""Several venues: the first is traded, the others confirm its candles, and lend one where it has none."""

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
_KEPT: Final = 200  # bars of each symbol and venue that are remembered
_REDIAL_S: Final = 30.0
Bars = Mapping[int, Bar]  # by open time, milliseconds UTC


@dataclass(frozen=True)
class MergeRule:
    """When venues agree: closes at most `tolerance_bps` apart, in a bar at most `fresh_bars` older than the newest one."""

    tolerance_bps: float = 50.0
    fresh_bars: int = 2


class Standing(StrEnum):
    """What the other venues say of the traded one."""

    AGREED = "agreed"
    DISAGREED = "disagreed"
    ALONE = "alone"  # no other venue has a bar that is fresh enough


@dataclass(frozen=True)
class Judgement:
    """`apart` is each fresh venue's close against the traded one's, in basis points; `detail` says it in words."""

    standing: Standing
    apart: Mapping[str, float]
    detail: str


@dataclass(frozen=True)
class Witness:
    """Another venue to listen to. `base_url` and `ws_url` as in `open_client`, `clock` tells its time where it is not the wall's."""

    exchange: str
    base_url: str = ""
    ws_url: str = ""
    clock: Clock | None = None


def judge(traded: Bars, others: Mapping[str, Bars], at: int, step: int, rule: MergeRule) -> Judgement:
    """Do the others confirm the traded venue's price? Pure.

    Each is compared in the newest bar that both have and that opened within `fresh_bars` before `at`; the middle of the differences
    decides, so that one odd venue among three says nothing.

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
        return Judgement(Standing.ALONE, apart, "no other venue has fresh bars")
    told = ", ".join(f"{name} {bps:+.1f} bp" for name, bps in apart.items())
    if abs(median(apart.values())) > rule.tolerance_bps:
        return Judgement(Standing.DISAGREED, apart, f"the venues disagree about the price ({told})")
    return Judgement(Standing.AGREED, apart, told)


def lent(traded: Bars, others: Mapping[str, Bars], at: int) -> tuple[str, Bar] | None:
    """The candle that opened at `at`, from the first venue that has it, on the level of the traded venue's prices. Pure.

    Returns:
        The venue's name and the bar; None where no other venue has it together with an earlier bar to compare.
    """
    for name, bars in others.items():
        before = [t for t in bars.keys() & traded.keys() if t < at]
        if at in bars and before:
            level = traded[max(before)].close / bars[max(before)].close
            bar = bars[at]
            return name, Bar(at, bar.open * level, bar.high * level, bar.low * level, bar.close * level, bar.volume)
    return None


class LiveMerge:
    """Listens to the other venues and judges the traded one at each of its bars. Works in the event loop of the traded source.

    Args:
        tell: hears of every change: kind, and its facts. Called in the event loop; must not block.
    """

    def __init__(
        self, witnesses: Sequence[Witness], symbols: Sequence[str], timeframe: Timeframe, *, clock: Clock, rule: MergeRule,
        tell: Callable[..., None],
    ) -> None:  # fmt: skip
        self.counts: Counter[str] = Counter()  # of bars by standing, and of bars lent
        self.clients = [open_client(w.exchange, base_url=w.base_url, ws_url=w.ws_url) for w in witnesses]
        self._rule, self._tell, self._step = rule, tell, timeframe.seconds * 1000
        self.symbols, self.names = tuple(symbols), tuple(w.exchange for w in witnesses)
        self._traded: dict[str, dict[int, Bar]] = {s: {} for s in symbols}
        self._others: dict[str, dict[str, dict[int, Bar]]] = {s: {w.exchange: {} for w in witnesses} for s in symbols}
        self._now: dict[str, Judgement] = {}
        self._ears = [_Ear(self, w, client, clock, timeframe) for w, client in zip(witnesses, self.clients, strict=True)]

    async def connect(self) -> None:
        """Read the other venues' markets.

        Raises:
            UnknownSymbol, UnknownTimeframe: one of them does not have what is traded. One that cannot be reached is tried again later.
        """
        for ear in self._ears:
            await ear.connect()

    async def run(self) -> None:
        """Listen until cancelled."""
        await asyncio.gather(*(ear.run() for ear in self._ears))

    def heard(self, symbol: str, bar: Bar) -> None:
        """The traded venue closed a bar."""
        _keep(self._traded[symbol], bar)
        judgement = self._judge(symbol)
        self.counts[judgement.standing] += 1

    def missing(self, symbol: str, until: int) -> list[Bar]:
        """Bars after the last one heard and before `until` that other venues lend; they count as heard."""
        known = self._traded[symbol]
        found: list[Bar] = []
        for at in range(max(known) + self._step, until, self._step) if known else ():
            told = lent(known, self._others[symbol], at)
            if told is None:
                break
            found.append(told[1])
            _keep(known, told[1])
            self.counts["lent"] += 1
            self._tell("bar_lent", symbol=symbol, at=at, venue=told[0])
        return found

    def objection(self, symbol: str) -> str:
        """Why no position should be entered now; "" where nothing speaks against it. May be called from any thread."""
        judgement = self._now.get(symbol)
        return judgement.detail if judgement is not None and judgement.standing is Standing.DISAGREED else ""

    def standing(self, symbol: str) -> Standing:
        """What the other venues said at the newest bar."""
        judgement = self._now.get(symbol)
        return judgement.standing if judgement is not None else Standing.ALONE

    def told(self, venue: str, symbol: str, bar: Bar) -> None:
        """Another venue closed a bar."""
        _keep(self._others[symbol][venue], bar)
        if self._traded[symbol]:
            self._judge(symbol)

    def _judge(self, symbol: str) -> Judgement:
        traded = self._traded[symbol]
        judgement = judge(traded, self._others[symbol], max(traded), self._step, self._rule)
        before = self._now.get(symbol)
        self._now[symbol] = judgement
        if before is None or before.standing is not judgement.standing:
            log.event(_LOG, "venues_compared", symbol=symbol, standing=judgement.standing, detail=judgement.detail)
            if before is not None or judgement.standing is Standing.DISAGREED:
                self._tell(f"venues_{judgement.standing}", symbol=symbol, detail=judgement.detail)
        return judgement


class _Ear:
    """Hears one other venue for the merge; its troubles are its own."""

    def __init__(self, merge: LiveMerge, witness: Witness, client: Any, clock: Clock, timeframe: Timeframe) -> None:
        self._merge, self._name, self._ready = merge, witness.exchange, False
        self._source = CcxtLiveSource(client, merge.symbols, timeframe, clock=witness.clock or clock, listener=self)

    async def connect(self) -> None:
        try:
            await self._source.connect()
            self._ready = True
        except ConfigError:
            raise
        except TradingError as trouble:
            log.event(_LOG, "witness_not_reached", venue=self._name, reason=str(trouble))

    async def run(self) -> None:
        while True:
            try:
                if not self._ready:
                    await self._source.connect()
                    self._ready = True
                await self._begin()
                await self._source.run()
            except TradingError as trouble:
                log.event(_LOG, "witness_not_reached", venue=self._name, reason=str(trouble))
            await asyncio.sleep(_REDIAL_S)

    async def _begin(self) -> None:
        for symbol in self._source.symbols:
            bars = await self._source.newest(symbol, 3)
            for bar in bars:
                self._merge.told(self._name, symbol, bar)
            self._source.resume(symbol, bars[-1].at if bars else None)

    def on_bar(self, symbol: str, bar: Bar) -> None:
        self._merge.told(self._name, symbol, bar)

    def on_price(self, symbol: str, price: float) -> None:
        """Closed bars say enough."""

    def on_quiet(self, symbol: str, at: int) -> None:
        """It lacks bars; the judgement finds them not fresh."""

    def on_connection(self, alive: bool, reason: str) -> None:
        log.event(_LOG, "witness_connection", venue=self._name, alive=alive, reason=reason)


def _keep(bars: dict[int, Bar], bar: Bar) -> None:
    bars[bar.at] = bar
    while len(bars) > _KEPT:
        del bars[min(bars)]
