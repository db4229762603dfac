"""Several venues: one is traded, the others confirm its prices, and features see one of them where it cannot be trusted."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from forwardtrader.core import log
from forwardtrader.core.clock import Clock
from forwardtrader.core.errors import ConfigError, TradingError
from forwardtrader.core.rooms.confirmation import ConfirmationSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.candles.bar import Bar
from forwardtrader.feeds.confirmation.judge import VenueJudge
from forwardtrader.feeds.confirmation.judged import stand_in
from forwardtrader.feeds.confirmation.verdict import Agreement, Fault, Verdict
from forwardtrader.feeds.live.client import open_client
from forwardtrader.feeds.live.source import CcxtLiveSource
from forwardtrader.feeds.venues.quotes import at_quote

_LOG: Final = log.logger("feeds")
_KEPT: Final = 200  # verdicts of each symbol
_RECONNECT_S: Final = 30.0
_ABSENT: Final = (Fault.LATE, Fault.SILENT)


@dataclass(frozen=True)
class ConfirmingVenue:
    """A confirming venue. `base_url` and `ws_url` as in `open_client`; `clock` is its clock if it is not the wall clock.

    `quote` is the currency of its prices where that is another one than the traded venue's.
    """

    exchange: str
    base_url: str = ""
    ws_url: str = ""
    clock: Clock | None = None
    quote: str = ""

    @property
    def name(self) -> str:
        """As settings name it."""
        return f"{self.exchange}:{self.quote}" if self.quote else self.exchange

    @classmethod
    def of(cls, text: str, base_url: str = "") -> ConfirmingVenue:
        """A venue as settings name it: `kraken`, or `kraken:USD`."""
        exchange, _, quote = text.partition(":")
        return cls(exchange, base_url=base_url, quote=quote)


class JudgedBars(Protocol):
    """Receives what is to be traded on and what features see, in the venue's thread; must not block."""

    def on_judged(self, symbol: str, at: int, bar: Bar | None, signal: Bar | None) -> None:
        """A bar was judged.

        Args:
            bar: the traded venue's, or what stands for one that it lacks; None where there is neither.
            signal: what features see in its place; None where they see the bar itself.
        """
        ...

    def on_failed(self, error: Exception) -> None:
        """A bar was judged and could not be handed on, or the judgement could not be kept."""
        ...


class JudgedState(Protocol):
    """Keeps the judges' state across restarts. Called in the venue's thread."""

    def load(self, symbol: str) -> Mapping[str, Any] | None:
        """What was saved last; None where there is nothing."""
        ...

    def save(self, symbol: str, state: Mapping[str, Any]) -> None: ...


class _NoState:
    """Nothing is kept."""

    def load(self, symbol: str) -> Mapping[str, Any] | None:
        return None

    def save(self, symbol: str, state: Mapping[str, Any]) -> None:
        """Kept by nobody."""


class _SymbolVenues:
    """One symbol: its judge, the bars that wait to be judged, and the verdicts so far."""

    def __init__(self, venues: Sequence[str], step: int, settings: ConfirmationSettings) -> None:
        self.judge = VenueJudge(venues, step, settings)
        self.waiting: deque[tuple[int, Bar | None]] = deque()
        self.arrived = dict.fromkeys(venues, -1)
        self.decided, self.price = -1, 0.0
        self.verdicts: dict[int, Verdict] = {}
        self.newest: Verdict | None = None
        self.timer: asyncio.TimerHandle | None = None

    def add(self, venue: str, bar: Bar) -> None:
        self.judge.add(venue, bar)
        self.arrived[venue] = max(self.arrived[venue], bar.at)

    def awaits(self, at: int) -> bool:
        """Whether a venue that was there lately has no bar of this time yet."""
        faults = {} if self.newest is None else self.newest.faults
        return any(last < at and faults.get(venue) not in _ABSENT for venue, last in self.arrived.items() if venue != self.judge.traded)

    def decide(self, at: int) -> tuple[Verdict, Bar | None]:
        """The verdict, and the bar that features see in place of the traded venue's own; None where they see that."""
        verdict = self.judge.decide(at)
        signal = None if verdict.source in ("", self.judge.traded) else self.judge.signal(verdict)
        self.decided, self.newest, self.verdicts[at] = at, verdict, verdict
        while len(self.verdicts) > _KEPT:
            del self.verdicts[min(self.verdicts)]
        return verdict, signal

    def as_dict(self) -> dict[str, Any]:
        """What must be kept across a restart; plain JSON values."""
        return self.judge.as_dict() | {"newest": None if self.newest is None else self.newest.as_dict()}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on from what `as_dict` gave, where that is of the same venues and settings."""
        if self.judge.restore(saved):
            self.decided = self.judge.known(self.judge.traded)
            if saved.get("newest") is not None:
                self.newest = Verdict.of(saved["newest"])
                self.decided, self.verdicts[self.newest.at] = max(self.decided, self.newest.at), self.newest


class LiveMerge:
    """Streams the confirming venues and has each bar judged before it is traded on. Runs in the event loop of the traded source.

    A closed bar waits `confirm_wait_s` at most for those of the venues that were there lately.

    Args:
        traded: the name of the traded venue.
        notify: called with the kind, the level and the facts of every change, in the event loop; must not block.
        listener: receives the bars.
        state: keeps the judges' state.
    """

    def __init__(
        self, traded: str, confirming: Sequence[ConfirmingVenue], symbols: Sequence[str], timeframe: Timeframe, *, clock: Clock,
        settings: ConfirmationSettings, notify: Callable[..., None], listener: JudgedBars, state: JudgedState | None = None,
    ) -> None:  # fmt: skip
        self.counts: Counter[str] = Counter()  # bars by agreement, bars in whose place features saw others ("moved"), and lent ones
        linear = any(":" in symbol for symbol in symbols)
        self.clients = [open_client(each.exchange, linear=linear, base_url=each.base_url, ws_url=each.ws_url) for each in confirming]
        self._settings, self._notify, self._listener, self._step = settings, notify, listener, timeframe.seconds * 1000
        self._state: JudgedState = state or _NoState()
        self.symbols, self.names = tuple(symbols), tuple(each.name for each in confirming)
        self._traded = traded
        self._venues = {symbol: _SymbolVenues((traded, *self.names), self._step, settings) for symbol in symbols}
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

    async def learn(self, symbol: str, past: Sequence[Bar]) -> list[Bar]:
        """Judge the bars before the first live one, going on from the state that was kept; returns what features saw in place of some."""
        venues = self._venues[symbol]
        saved = self._state.load(symbol)
        if saved is not None:
            venues.restore(saved)
        venues.price = past[-1].close if past else 0.0
        recent = [bar for bar in past[-2 * self._settings.confirm_window :] if bar.at > venues.decided]
        if not recent:
            return []
        for source in self._sources:
            for bar in await source.history(symbol, recent[0].at, recent[-1].at + self._step):
                venues.add(source.name, bar)
        own, seen = {bar.at: bar for bar in recent}, []
        for at in range(recent[0].at, recent[-1].at + 1, self._step):
            if at in own:
                venues.add(self._traded, own[at])
            _, signal = venues.decide(at)
            if signal is not None and at in own:
                seen.append(signal)
        return seen

    async def run(self) -> None:
        """Stream until cancelled."""
        await asyncio.gather(*(source.run() for source in self._sources))

    def add_traded(self, symbol: str, bar: Bar) -> None:
        """A closed bar of the traded venue; it is handed on once it is judged."""
        venues = self._venues[symbol]
        if bar.at <= venues.decided:
            log.event(_LOG, "bar_after_its_verdict", symbol=symbol, at=bar.at)
            return
        venues.waiting = deque(entry for entry in venues.waiting if entry[0] < bar.at)
        venues.add(self._traded, bar)
        self._expect(venues, bar.at - self._step)
        venues.waiting.append((bar.at, bar))
        self._advance(symbol)

    def add_missing(self, symbol: str, until: int) -> None:
        """The traded venue has no bar up to and with the one that would have opened at `until` (ms)."""
        self._expect(self._venues[symbol], until)
        self._advance(symbol)

    def add_confirming(self, venue: str, symbol: str, bar: Bar) -> None:
        """A closed bar of a confirming venue."""
        self._venues[symbol].add(venue, bar)
        self._advance(symbol)

    def objection(self, symbol: str, at: int | None = None) -> str:
        """Why no position should be entered at the bar that opened at `at`, at the newest one where None; "" for no reason.

        May be called from any thread.
        """
        venues = self._venues[symbol]
        verdict = venues.newest if at is None else venues.verdicts.get(at, venues.newest)
        return verdict.objection if verdict is not None else ""

    def agreement(self, symbol: str) -> Agreement:
        """The agreement at the newest bar."""
        verdict = self._venues[symbol].newest
        return verdict.agreement if verdict is not None else Agreement.ALONE

    def _expect(self, venues: _SymbolVenues, until: int) -> None:
        """Have the bars up to one time judged that the traded venue does not have."""
        last = max(venues.decided, venues.waiting[-1][0] if venues.waiting else -1)
        venues.waiting.extend((at, None) for at in range(last + self._step, until + 1, self._step) if last >= 0)

    def _advance(self, symbol: str, *, is_overdue: bool = False) -> None:
        """Judge the bars that wait, as far as every venue that is awaited has its own.

        Whoever calls is a timer, or takes an error for one of a venue: what goes wrong here is told to the listener.
        """
        try:
            self._judge_waiting(symbol, is_overdue=is_overdue)
        except Exception as error:  # noqa: BLE001 - handed over whole, whatever it is
            self._listener.on_failed(error)

    def _judge_waiting(self, symbol: str, *, is_overdue: bool) -> None:
        venues = self._venues[symbol]
        while venues.waiting:
            if venues.awaits(venues.waiting[0][0]) and not is_overdue and self._settings.confirm_wait_s:
                if venues.timer is None:
                    loop = asyncio.get_running_loop()
                    venues.timer = loop.call_later(self._settings.confirm_wait_s, lambda: self._advance(symbol, is_overdue=True))
                return
            if venues.timer is not None:
                venues.timer.cancel()
                venues.timer = None
            is_overdue = False
            self._judge(symbol, *venues.waiting.popleft())

    def _judge(self, symbol: str, at: int, bar: Bar | None) -> None:
        venues = self._venues[symbol]
        before = venues.newest
        verdict, signal = venues.decide(at)
        self.counts[verdict.agreement] += 1
        if bar is not None:
            venues.price = bar.close
        elif signal is not None and venues.price:
            bar = stand_in(at, venues.price)
            self.counts["lent"] += 1
            self._notify("bar_lent", "warning", symbol=symbol, at=at, venue=verdict.source)
        self.counts["moved"] += signal is not None
        self._listener.on_judged(symbol, at, bar, signal)
        if verdict.differs(before):
            self._report(symbol, verdict, before)
        self._state.save(symbol, venues.as_dict())  # after the bar was handed on, which is not to wait for it

    def _report(self, symbol: str, verdict: Verdict, before: Verdict | None) -> None:
        """One alert for each change; a start where all is well is none."""
        log.event(_LOG, "venues_compared", symbol=symbol, agreement=verdict.agreement, detail=verdict.detail)
        is_well = verdict.agreement is Agreement.AGREED and not verdict.faults
        has_changed = before is None or before.agreement is not verdict.agreement
        if before is not None or not is_well:
            kind, level = f"venues_{verdict.agreement if has_changed else 'changed'}", "info" if is_well else "warning"
            self._notify(kind, level, symbol=symbol, detail=verdict.detail)


class _ConfirmingSource:
    """Streams one confirming venue for the merge; its errors stay here."""

    def __init__(self, merge: LiveMerge, venue: ConfirmingVenue, client: Any, clock: Clock, timeframe: Timeframe) -> None:
        self._merge, self.name, self._ready = merge, venue.name, False
        self._there = {symbol: at_quote(symbol, venue.quote) for symbol in merge.symbols}
        self._here = {there: symbol for symbol, there in self._there.items()}
        self._source = CcxtLiveSource(client, tuple(self._here), timeframe, clock=venue.clock or clock, listener=self)

    async def connect(self) -> None:
        try:
            await self._source.connect()
            self._ready = True
        except ConfigError:
            raise
        except TradingError as error:
            log.event(_LOG, "confirming_venue_unreachable", venue=self.name, reason=str(error))

    async def history(self, symbol: str, since: int, until: int) -> list[Bar]:
        """The venue's bars that open in [since, until); none where it cannot be reached."""
        if not self._ready:
            return []
        try:
            return await self._source.history(self._there[symbol], since, until)
        except TradingError as error:
            log.event(_LOG, "confirming_venue_unreachable", venue=self.name, reason=str(error))
            return []

    async def run(self) -> None:
        while True:
            try:
                if not self._ready:
                    await self._source.connect()
                    self._ready = True
                await self._begin()
                await self._source.run()
            except TradingError as error:
                log.event(_LOG, "confirming_venue_unreachable", venue=self.name, reason=str(error))
            await asyncio.sleep(_RECONNECT_S)

    async def _begin(self) -> None:
        for there, symbol in self._here.items():
            bars = await self._source.newest(there, 3)
            for bar in bars:
                self._merge.add_confirming(self.name, symbol, bar)
            self._source.resume(there, bars[-1].at if bars else None)

    def on_bar(self, symbol: str, bar: Bar) -> None:
        self._merge.add_confirming(self.name, self._here[symbol], bar)

    def on_price(self, symbol: str, price: float) -> None:
        """Prices inside a bar are not compared."""

    def on_quiet(self, symbol: str, at: int) -> None:
        """A venue without a bar is late in the verdict."""

    def on_connection(self, alive: bool, reason: str) -> None:
        log.event(_LOG, "confirming_venue_connection", venue=self.name, alive=alive, reason=reason)
