"""The recorded forecasts of a session."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from forwardtrader.live.session.forecasts import SessionForecasts, known_forecasts
from forwardtrader.models.forecaster import IncrementalSource, LastValueForecaster, NewBar
from tests.live.recorded_session import (
    BEGAN,
    STEP,
    moment,
    recorded,
)
from tests.models.bars import simulated_bars

BARS = simulated_bars(200, seed=1)


def test_forecasts_of_an_earlier_process_are_looked_up_bar_by_bar(tmp_path: Path) -> None:
    with recorded(tmp_path / "one", 20) as session:
        known = known_forecasts(session.store, "ETH/USDT", BEGAN + 9 * STEP)
        table = session.store.forecasts()
        told = known(moment(9))
        assert told is not None
        row = table[(table["symbol"] == "ETH/USDT") & (table["timestamp"] == moment(9))].iloc[0]
        assert (told.at, told.location, told.quantiles[4], told.model_id) == (moment(9), row["location"], row["q95"], "momentum")
        assert known(moment(10)) is None, "it was made at a bar that is not past"
        assert known_forecasts(session.store, "ETH/USDT", None)(moment(0)) is None


class Incremental:
    """A source that counts how it is asked."""

    horizon, warm_up = 1, 2

    def __init__(self) -> None:
        self.whole = self.bars = self.prepared = 0

    def latest(self, bars: pd.DataFrame) -> None:
        self.whole += 1

    def on_bar(self, bar: NewBar) -> None:
        self.bars += 1

    def prepare(self) -> None:
        self.prepared += 1


class Whole(LastValueForecaster):
    """A source that can only be asked with a whole frame."""


def new_bar(frame: pd.DataFrame) -> NewBar:
    newest = frame.iloc[-1]
    return NewBar(
        at=frame.index[-1].to_pydatetime(), before=None, open=newest["open"], high=newest["high"], low=newest["low"],
        close=newest["close"], volume=newest["volume"], frame=lambda: frame,
    )  # fmt: skip


def test_a_new_bar_costs_an_incremental_source_one_row() -> None:
    source = Incremental()
    forecasts = SessionForecasts(source, lambda _at: None, BARS.index[0].to_pydatetime())
    assert isinstance(forecasts, IncrementalSource)
    forecasts.prepare()
    forecasts.on_bar(new_bar(BARS))
    assert (source.bars, source.whole, source.prepared) == (1, 0, 1)


def test_a_source_that_is_not_incremental_is_asked_with_its_window() -> None:
    source = Whole()
    forecasts = SessionForecasts(source, lambda _at: None, BARS.index[0].to_pydatetime())
    forecasts.prepare()
    assert forecasts.on_bar(new_bar(BARS)) == source.latest(BARS)
