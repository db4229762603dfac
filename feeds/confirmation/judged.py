"""The verdicts about a whole history, and the candles that its features see."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from forwardtrader.core.rooms.confirmation import ConfirmationSettings
from forwardtrader.core.types import OHLCV, Timeframe
from forwardtrader.feeds.candles.bar import Bar
from forwardtrader.feeds.confirmation.judge import VenueJudge
from forwardtrader.feeds.confirmation.verdict import Verdict

_MS: Final = 1_000_000


@dataclass(frozen=True)
class JudgedHistory:
    """Several venues' candles of one market, judged bar by bar.

    Attributes:
        venues: their names, the traded one first.
        verdicts: one for each bar from the first to the last one of the traded venue.
        signals: by open time, the bars that features see in place of the traded venue's own.
        filled: bars that stand for those that the traded venue lacks and another one has (`stand_in`).
    """

    venues: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    signals: pd.DataFrame
    filled: pd.DataFrame

    def objections(self) -> dict[int, str]:
        """Why no position should be entered, by the open time (ms UTC) of the bars at which that is so."""
        return {verdict.at: verdict.objection for verdict in self.verdicts if verdict.objection}

    def changes(self) -> Iterator[tuple[Verdict | None, Verdict]]:
        """The verdicts that say something else than the one before, with that one."""
        before: Verdict | None = None
        for verdict in self.verdicts:
            if verdict.differs(before):
                yield before, verdict
            before = verdict


def judge(frames: Mapping[str, pd.DataFrame], timeframe: Timeframe, settings: ConfirmationSettings) -> JudgedHistory:
    """Judge the venues from the first to the last bar of the traded one.

    Args:
        frames: candle frames (`feeds.candles.schema`) by the name of their venue, the traded one first.
    """
    venues, step = tuple(frames), timeframe.seconds * 1000
    waiting = {venue: deque(bars_of(frame)) for venue, frame in frames.items()}
    own = {bar.at: bar for bar in waiting[venues[0]]}
    judging, verdicts, signals, filled = VenueJudge(venues, step, settings), [], [], []
    price = 0.0
    for at in range(min(own), max(own) + 1, step):
        for venue, bars in waiting.items():
            while bars and bars[0].at <= at:
                judging.add(venue, bars.popleft())
        verdict = judging.decide(at)
        verdicts.append(verdict)
        seen = judging.signal(verdict)
        if seen is not None and verdict.source != venues[0]:
            signals.append(seen)
            if at not in own:
                filled.append(stand_in(at, price))
        price = own[at].close if at in own else price
    return JudgedHistory(venues, tuple(verdicts), frame_of(signals), frame_of(filled))


def stand_in(at: int, price: float) -> Bar:
    """The bar of a venue that has none: its last price drawn on and no volume, so that nothing is executed in it."""
    return Bar(at, price, price, price, price, 0.0)


def bars_of(frame: pd.DataFrame) -> list[Bar]:
    """The rows of a candle frame."""
    times = (pd.DatetimeIndex(frame.index).as_unit("ns").asi8 // _MS).tolist()
    columns = (frame[name].to_numpy(dtype=np.float64).tolist() for name in OHLCV)
    return [Bar(*row) for row in zip(times, *columns, strict=True)]


def frame_of(bars: list[Bar]) -> pd.DataFrame:
    """A candle frame of bars."""
    index = pd.DatetimeIndex(pd.to_datetime([bar.at for bar in bars], unit="ms", utc=True)).as_unit("ns")
    return pd.DataFrame([bar[1:] for bar in bars], index=index, columns=list(OHLCV), dtype=np.float64)


def count_faults(judged: JudgedHistory) -> dict[str, dict[str, int]]:
    """How often each venue was left, by the name of the fault."""
    found: dict[str, Counter[str]] = {}
    for before, verdict in judged.changes():
        known = {} if before is None else before.faults
        for venue, fault in verdict.faults.items():
            if known.get(venue) is not fault:
                found.setdefault(venue, Counter())[fault.name.lower()] += 1
    return {venue: dict(counts) for venue, counts in found.items()}
