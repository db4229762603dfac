"""The factors of a session: the same join as in a backtest, with alerts about what a backtest would not see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import pandas as pd

from forwardtrader.feeds.factors.book import FactorBook

NOT_KNOWN: Final = "factor_not_known"
KNOWN_AGAIN: Final = "factor_known_again"
LATE: Final = "factor_late"


class LiveFactors:
    """The factor columns of bars, by their open times; files are read again when they have changed.

    Point-in-time: a bar gets the values published by its close. A value that reaches the file later than its publication time is an alert,
    since a backtest will take it for known earlier; so is a factor that has no value any more.

    Args:
        notify: sends an alert: kind, level and facts.
    """

    def __init__(self, book: FactorBook, notify: Callable[..., None]) -> None:
        self._book = book
        self._notify = notify
        self._seen: pd.DataFrame | None = None
        self._missing: set[str] = set()

    def __call__(self, index: pd.DatetimeIndex) -> pd.DataFrame:
        columns = self._book.columns(index)
        newest = columns.iloc[[-1]]
        if self._seen is None or newest.index[0] > self._seen.index[-1]:
            self._check_missing(newest)
            self._check_late(columns)
            self._seen = columns
        return columns

    def _check_missing(self, newest: pd.DataFrame) -> None:
        missing = {str(name) for name in newest.columns[newest.iloc[0].isna()]}
        for name in sorted(missing - self._missing):
            self._notify(NOT_KNOWN, "warning", **_facts(name, newest.index[0]))
        for name in sorted(self._missing - missing):
            self._notify(KNOWN_AGAIN, "info", **_facts(name, newest.index[0]))
        self._missing = missing

    def _check_late(self, columns: pd.DataFrame) -> None:
        if self._seen is None:
            return
        earlier, now_asked = (pd.DatetimeIndex(frame.index).asi8 for frame in (self._seen, columns))
        _, of_seen, of_columns = np.intersect1d(earlier, now_asked, assume_unique=True, return_indices=True)
        before, now = self._seen.to_numpy()[of_seen], columns.to_numpy()[of_columns]
        changed = ~((before == now) | (np.isnan(before) & np.isnan(now)))
        for place in np.flatnonzero(changed.any(axis=0)).tolist():
            first = columns.index[of_columns[int(changed[:, place].argmax())]]
            self._notify(LATE, "warning", **_facts(str(columns.columns[place]), first))


def _facts(name: str, at: pd.Timestamp) -> dict[str, str]:
    return {"factor": name.removeprefix("factor_"), "bar": f"{at:%Y-%m-%dT%H:%MZ}"}
