"""Which of several venues of one market can be trusted at a bar. The same object judges a backtest and a live session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import exp, log
from typing import Any, Final

from forwardtrader.core.rooms.confirmation import ConfirmationSettings
from forwardtrader.feeds.candles.bar import Bar
from forwardtrader.feeds.confirmation.pair import Comparison, VenuePair
from forwardtrader.feeds.confirmation.venue_record import VenueRecord, is_sound
from forwardtrader.feeds.confirmation.verdict import Agreement, Fault, Verdict

_LATE_BARS: Final = 1  # a venue that lacks a bar for the first time is compared in the one before
_SILENT_BARS: Final = 4
_CALM: Final = 0.5  # strain below which a venue is on its way back
_DECIMALS: Final = tuple(log(10.0) * power for power in (-3, -2, -1, 1, 2, 3))
_NEAR: Final = 0.05
_VERSION: Final = 1


class VenueJudge:
    """State of the venues of one market. Bars go in with `add`, and `decide` is asked once for each bar, in order of time.

    Causal: a verdict depends on the bars of its own time and of earlier ones that were added before it, in whatever order they came.
    A venue is left at once and taken back after `confirm_return_bars` bars without a fault, one that was only absent after one.

    Args:
        venues: the traded one first; the others in the order in which they stand in for it.
        step: length of a bar in milliseconds.
    """

    def __init__(self, venues: Sequence[str], step: int, settings: ConfirmationSettings) -> None:
        self.venues, self.traded = tuple(venues), venues[0]
        self._step, self._settings = step, settings
        self._records = {venue: VenueRecord(settings) for venue in self.venues}
        self._pairs = {pair: VenuePair(settings) for pair in combinations(self.venues, 2)}
        self._waiting: list[tuple[Bar, str]] = []
        self._faults: dict[str, Fault] = {}
        self._clean: dict[str, int] = {}
        self._disputed = 0  # bars until a dispute without a culprit counts as settled

    def add(self, venue: str, bar: Bar) -> None:
        """Take in a closed bar; one that is newer than the next verdict waits for its own."""
        self._waiting.append((bar, venue))

    def decide(self, at: int) -> Verdict:
        """The verdict at the bar that opened at `at` (ms UTC), by all bars up to it that were added."""
        self._take(at)
        found = {venue: fault for venue in self.venues if (fault := self._own_fault(venue, at)) is not None}
        present = [venue for venue in self.venues if venue not in found]
        agreeing = [venue for venue in present if 2 * sum(self._agree(venue, other, at) for other in present) > len(present)]
        is_disputed = len(present) > 1 and not agreeing
        if agreeing:
            found |= {venue: self._kind(venue, agreeing) for venue in present if venue not in agreeing}
        calm = {venue for venue in present if all(self._strain(venue, other, at) <= _CALM for other in agreeing or present)}
        for venue in self.venues:
            self._note(venue, found.get(venue), is_calm=venue in calm)
        wait = self._settings.confirm_return_bars
        self._disputed = wait if is_disputed else max(self._disputed - (len(calm) == len(present)), 0)
        verdict = self._verdict(at)
        for record in self._records.values():
            record.settle()
        return verdict

    def signal(self, verdict: Verdict) -> Bar | None:
        """The bar that features see: the traded venue's own, or another one's on its level of prices and volumes; None without any."""
        if not verdict.source:
            return None
        bar = self._records[verdict.source].bars[verdict.at]
        if verdict.source == self.traded:
            return bar
        level = exp(self._pairs[(self.traded, verdict.source)].basis)
        usual, own = self._records[verdict.source].usual_volume, self._records[self.traded].usual_volume
        volume = bar.volume * own / usual if usual > 0.0 else bar.volume
        return Bar(bar.at, bar.open * level, bar.high * level, bar.low * level, bar.close * level, volume)

    def known(self, venue: str) -> int:
        """Open time of a venue's newest bar that is judged; -1 before the first."""
        return self._records[venue].last

    # Bars

    def _take(self, at: int) -> None:
        """Have the bars up to one time recorded and compared, the older ones first."""
        due = sorted((entry for entry in self._waiting if entry[0].at <= at), key=lambda entry: entry[0].at)
        self._waiting = [entry for entry in self._waiting if entry[0].at > at]
        for bar, venue in due:
            if self._records[venue].add(bar) and is_sound(bar):
                self._compare(venue, bar)
        for record in self._records.values():
            record.behind = 0 if record.last >= at else record.behind + 1

    def _compare(self, venue: str, bar: Bar) -> None:
        for (first, second), pair in self._pairs.items():
            if venue in (first, second):
                other = self._records[second if venue == first else first].bars.get(bar.at)
                if other is not None and is_sound(other):
                    pair.compare(*((bar, other) if venue == first else (other, bar)))

    # Faults

    def _own_fault(self, venue: str, at: int) -> Fault | None:
        """A fault that needs no comparison of prices."""
        record = self._records[venue]
        if record.last < 0 or at - record.last >= _SILENT_BARS * self._step:
            return Fault.SILENT
        if record.behind > _LATE_BARS:
            return Fault.LATE
        if record.is_out_of_order:
            return Fault.OUT_OF_ORDER
        if not is_sound(record.newest):
            return Fault.INVALID
        moving = any(other.last >= at - self._step and other.streak < record.streak for other in self._records.values())
        return Fault.FROZEN if moving and record.stands_still else None

    def _kind(self, venue: str, agreeing: Sequence[str]) -> Fault:
        """Whether a venue that lies apart from the others does so by a power of ten."""
        apart = [newest.apart for other in agreeing if (newest := self._compared(venue, other)) is not None]
        is_decimal = any(abs(abs(distance) - abs(power)) < _NEAR for distance in apart for power in _DECIMALS)
        return Fault.DECIMAL if is_decimal else Fault.OUTLIER

    def _compared(self, venue: str, other: str) -> Comparison | None:
        pair = self._pairs.get((venue, other)) or self._pairs[(other, venue)]
        return pair.newest

    def _strain(self, venue: str, other: str, at: int) -> float:
        """How much two venues are at odds in their newest common bar; 0 where there is none that counts."""
        newest = self._compared(venue, other) if venue != other else None
        return 0.0 if newest is None or newest.at < at - _LATE_BARS * self._step else newest.strain

    def _agree(self, venue: str, other: str, at: int) -> bool:
        return self._strain(venue, other, at) <= 1.0

    def _note(self, venue: str, fault: Fault | None, *, is_calm: bool) -> None:
        """Leave a venue with a fault at once; take it back after enough bars without any."""
        if fault is not None:
            self._faults[venue], self._clean[venue] = fault, 0
        elif venue in self._faults:
            self._clean[venue] = self._clean[venue] + 1 if is_calm else 0
            was_absent = self._faults[venue] in (Fault.LATE, Fault.SILENT)  # its prices were never in doubt
            if self._clean[venue] >= (1 if was_absent else self._settings.confirm_return_bars):
                del self._faults[venue]

    # The verdict

    def _verdict(self, at: int) -> Verdict:
        others = [venue for venue in self.venues[1:] if venue not in self._faults]
        fault, faults = self._faults.get(self.traded), dict(self._faults)
        if self._disputed:
            objection = f"the venues disagree about the price ({self._distances()})"
            return Verdict(at, Agreement.DISAGREED, self._source([self.traded], at), faults, objection)
        learned = [venue for venue in others if self._pairs[(self.traded, venue)].is_learned]
        if fault is not None and others:
            objection = f"{self.traded}, which is traded, {fault}; trusted: {', '.join(others)}"
            return Verdict(at, Agreement.DISAGREED, self._source([*learned, self.traded], at), faults, objection)
        has_bar = at in self._records[self.traded].bars
        objection = "" if has_bar else f"{self.traded}, which is traded, has no candle of this bar"
        return Verdict(at, Agreement.AGREED if others else Agreement.ALONE, self._source([self.traded, *learned], at), faults, objection)

    def _source(self, wanted: Sequence[str], at: int) -> str:
        """The first venue that has a sound bar of this time."""
        bars = ((venue, self._records[venue].bars.get(at)) for venue in wanted)
        return next((venue for venue, bar in bars if bar is not None and is_sound(bar)), "")

    def _distances(self) -> str:
        """How far the others lie from the traded venue beyond what is usual."""
        pairs = ((other, self._pairs[(self.traded, other)].newest) for other in self.venues[1:])
        return ", ".join(f"{other} {-newest.apart * 1e4:+.1f} bp" for other, newest in pairs if newest is not None)

    # State

    def as_dict(self) -> dict[str, Any]:
        """What must be kept across a restart; plain JSON values."""
        return {
            "version": _VERSION, "venues": list(self.venues), "step": self._step, "window": self._settings.confirm_window,
            "records": {venue: record.as_dict() for venue, record in self._records.items()},
            "pairs": [pair.as_dict() for pair in self._pairs.values()],
            "faults": {venue: fault.name for venue, fault in self._faults.items()}, "clean": dict(self._clean), "disputed": self._disputed,
            "waiting": [[venue, *bar] for bar, venue in self._waiting],
        }  # fmt: skip

    def restore(self, saved: Mapping[str, Any]) -> bool:
        """Go on from what `as_dict` gave; returns False, and changes nothing, where that was of other venues, bars or settings."""
        mine = (_VERSION, list(self.venues), self._step, self._settings.confirm_window)
        if tuple(saved.get(name) for name in ("version", "venues", "step", "window")) != mine:
            return False
        for venue, record in self._records.items():
            record.restore(saved["records"][venue])
        for pair, known in zip(self._pairs.values(), saved["pairs"], strict=True):
            pair.restore(known)
        self._faults = {venue: Fault[name] for venue, name in saved["faults"].items()}
        self._clean, self._disputed = {venue: int(count) for venue, count in saved["clean"].items()}, int(saved["disputed"])
        self._waiting = [(Bar(int(at), *(float(number) for number in row)), str(venue)) for venue, at, *row in saved["waiting"]]
        return True
