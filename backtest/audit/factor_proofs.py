"""Factor proofs: values are used from their publication on, and files do not claim to be published early."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Final

import numpy as np
import pandas as pd

from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.factors.book import PREFIX, Factor, FactorBook, joined
from forwardtrader.feeds.factors.calendar import EventCalendar
from forwardtrader.feeds.factors.series import FactorTable
from forwardtrader.models.checks.look_ahead import MORE, Leak, Proof, publication, untested
from forwardtrader.models.features.bars import Bars
from forwardtrader.models.features.catalogue import matrix
from forwardtrader.models.features.factor_features import feature_names

# A factor whose changes correlate this closely with the market's NEXT move anticipates it: nothing honest does, and good forecasts reach
# a tenth of that.
TOO_CLOSE: Final = 0.15
TOO_CERTAIN: Final = 5.0
LEAST_CHANGES: Final = 30


def factor_proofs(book: FactorBook, candles: pd.DataFrame, timeframe: Timeframe) -> Iterator[Proof]:
    """For each factor: its features without what was published later, and whether its times can be true.

    Args:
        candles: one symbol's, whole; features are proven on all of them.
    """
    for factor in book.factors():
        yield published_later(factor, candles, timeframe)
        if not isinstance(factor.source, EventCalendar):  # hours until an event have no direction that a market's move could go along with
            yield knows_the_next_move(factor, candles, timeframe)


def published_later(factor: Factor, candles: pd.DataFrame, timeframe: Timeframe) -> Proof:
    """Features at a bar must be the same bits without the values, or the events of a calendar, that became known after its close."""
    names, source = feature_names([PREFIX + factor.name]), factor.source
    stated = source.events if isinstance(source, EventCalendar) else source.observations()

    def compute(bars: pd.DataFrame, facts: pd.DataFrame) -> pd.DataFrame:
        some = replace(source, events=facts) if isinstance(source, EventCalendar) else FactorTable(factor.name, facts)
        known = replace(factor, source=some)
        beside = bars.assign(**{PREFIX + factor.name: joined(pd.DatetimeIndex(bars.index), timeframe, known)})
        return pd.DataFrame(matrix(Bars.of(beside), names), index=bars.index, columns=list(names))

    proof = publication(compute, candles, stated, pd.Timedelta(timeframe.delta))
    return replace(proof, detail=f"factor {factor.name}: {proof.detail}")


def knows_the_next_move(factor: Factor, candles: pd.DataFrame, timeframe: Timeframe) -> Proof:
    """What is new in a value must not go along with the market's move over the time that follows its publication.

    A value joined on the date it describes does: a day's mood, or another market's candle, follows the prices of that very time.
    """
    stated, name = factor.source.observations(), "publication times"
    delay = pd.Timedelta((stated["known_at"] - stated["describes"]).median()).to_pytimedelta() if len(stated) else timeframe.delta
    if delay < factor.soonest:
        detail = (
            f"factor {factor.name} counts as known {delay} after its time stamp, a value of this kind is known {factor.soonest} after it"
        )
        return _guilty(name, factor, f"{detail} at the earliest; correct known_after")
    changes, moves = _changes_and_moves(stated, candles, timeframe, max(factor.spacing, timeframe.delta))
    if len(changes) < LEAST_CHANGES:
        few = f"{len(changes)} changes of its value in these bars are too few, {LEAST_CHANGES} are needed"
        return untested(name, f"factor {factor.name}: {few}; {MORE}")
    if len(set(changes)) < 2 or len(set(moves)) < 2:
        return untested(name, f"factor {factor.name}: its {len(changes)} changes, or the moves after them, are all the same")
    closeness = float(pd.Series(changes).rank().corr(pd.Series(moves).rank()))
    found = f"rank correlation {closeness:+.3f} of its changes with the market's next move, over {len(changes):,} values"
    if abs(closeness) > TOO_CLOSE and abs(closeness) * math.sqrt(len(changes)) > TOO_CERTAIN:
        return _guilty(name, factor, f"factor {factor.name} {Leak.REFERENCE_DATE.value}: {found}; correct known_after")
    return Proof(name=name, passed=True, detail=f"factor {factor.name}: {found}")


def _guilty(name: str, factor: Factor, detail: str) -> Proof:
    return Proof(name=name, passed=False, detail=detail, leak=Leak.REFERENCE_DATE, offenders=(factor.name,))


def _changes_and_moves(
    stated: pd.DataFrame, candles: pd.DataFrame, timeframe: Timeframe, span: timedelta
) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """The change of each value since the one before, and the log return from its publication to `span` later."""
    closes = pd.DatetimeIndex(candles.index) + timeframe.delta
    logs = np.log(candles["close"].to_numpy(dtype=np.float64))
    known = pd.DatetimeIndex(stated["known_at"])
    first, last = (closes.searchsorted(moment, side="right") - 1 for moment in (known, known + pd.Timedelta(span)))
    changes = stated["value"].diff().to_numpy(dtype=np.float64)
    inside = np.isfinite(changes) & (changes != 0.0) & (first >= 0) & (last > first) & (known <= closes[-1])
    return changes[inside], (logs[last] - logs[first])[inside]
