"""The factors of a session: the same join as in a backtest, with alerts about what a backtest would not see."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

import numpy as np
import pandas as pd

from forwardtrader.core import log
from forwardtrader.core.errors import DataError
from forwardtrader.feeds.factors.book import FactorBook
from forwardtrader.feeds.fetching.opened import collectors
from forwardtrader.feeds.fetching.poller import FactorPoller, tell
from forwardtrader.live.request import LiveRequest
from forwardtrader.live.session.setup import SessionMarket

NOT_KNOWN: Final = "factor_not_known"
KNOWN_AGAIN: Final = "factor_known_again"
LATE: Final = "factor_late"
_LOG: Final = log.logger("live")
_SLACK: Final = timedelta(days=60)  # before the bars that models are trained on


class LiveFactors:
    """The factor columns of bars, by their open times; files are read again when they have changed.

    Point-in-time: a bar gets the values published by its close. A value that reaches the file later than its publication time is an alert,
    since a backtest will take it for known earlier; so is a factor that has no value any more.

    Args:
        notify: sends an alert: kind, level and facts.
        poller: fetches those that are fetched; None where there are none.
    """

    def __init__(self, book: FactorBook, notify: Callable[..., None], poller: FactorPoller | None = None) -> None:
        self._book = book
        self._notify = notify
        self._poller = poller
        self._seen: pd.DataFrame | None = None
        self._missing: set[str] = set()

    def __call__(self, index: pd.DatetimeIndex) -> pd.DataFrame:
        is_new = self._seen is None or index[-1] > self._seen.index[-1]
        if is_new:
            self._seal(index)
        columns = self._book.columns(index)
        newest = columns.iloc[[-1]]
        if is_new:
            self._check_missing(newest)
            self._check_late(columns)
            self._seen = columns
        return columns

    def _seal(self, index: pd.DatetimeIndex) -> None:
        """From now on nothing is recorded as known at the newest close, which is joined below: a backtest would join it too."""
        if self._poller is None:
            return
        tell(self._poller, self._notify)
        try:
            self._book.seal(index)
        except (DataError, OSError) as error:
            log.event(_LOG, "factor_record_not_sealed", reason=str(error))

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


def open_poller(request: LiveRequest, market: SessionMarket, pace: float) -> FactorPoller | None:
    """Asks the sources of a session's factors; None where none is fetched. Not started yet.

    Args:
        pace: seconds of the market in one of this machine's; 0 in lockstep.

    Raises:
        UnknownVenue, InvalidSetting: as `collectors`.
    """
    feeds, models = request.settings.feeds, request.settings.models
    url = market.practice.address.url if market.practice is not None else ""
    found = collectors(feeds, market.clock, venue_url=url)
    if not found or not market.forecasts:
        return None
    learned = models.train_window + models.retrain_every * models.anew_every + _SLACK
    return FactorPoller(found, learned + (market.clock.now() - market.first_live), minute_s=60.0 / pace if pace else 0.0)


def _facts(name: str, at: pd.Timestamp) -> dict[str, str]:
    return {"factor": name.removeprefix("factor_"), "bar": f"{at:%Y-%m-%dT%H:%MZ}"}
