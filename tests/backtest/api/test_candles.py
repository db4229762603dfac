"""Candles as frames: what the commands know of them comes along, and what is none is refused."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pytest

from forwardtrader.backtest.api.candles import histories, load_candles, moment
from forwardtrader.core.errors import CandleFileInvalid, InvalidDates, InvalidSetting, TradingError
from forwardtrader.core.types import DataKind
from tests.models.bars import simulated_bars


def test_the_sample_market_is_marked_as_such_all_the_way() -> None:
    frame = load_candles("ETH/USDT", "4h", start="2022-01-01", end="2022-02-01", source="sample")
    assert (len(frame), frame.attrs["symbol"], frame.attrs["kind"]) == (186, "ETH/USDT", "sample")
    [(symbol, history)] = histories(frame).items()
    assert (symbol, str(history.timeframe), history.kind) == ("ETH/USDT", "4h", DataKind.SAMPLE)


def test_a_frame_of_anybodys_is_read_with_any_case_and_without_a_zone() -> None:
    bars = simulated_bars(100)
    theirs = bars.rename(columns=str.capitalize)
    theirs.index = pd.DatetimeIndex(bars.index).tz_localize(None)
    history = histories({"SOL/USDT": theirs})["SOL/USDT"]
    assert history.candles["close"].tolist() == bars["close"].tolist()
    assert history.kind is DataKind.REAL and history.candles.index.equals(bars.index)


def test_what_is_no_candles_is_refused_in_one_line() -> None:
    bars = simulated_bars(50)
    wrong: list[tuple[object, type[TradingError]]] = [
        (bars.reset_index(drop=True), CandleFileInvalid),
        (bars.iloc[:1], CandleFileInvalid),
        (bars.drop(columns="volume"), CandleFileInvalid),
        (bars.assign(high=0.0), CandleFileInvalid),
        ({}, InvalidSetting),
        ({"A/USD": bars, "B/USD": bars.iloc[::4]}, InvalidSetting),
    ]
    for candles, kind in wrong:
        with pytest.raises(kind) as caught:
            histories(candles)  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)


def test_moments_are_utc() -> None:
    assert moment("2022-01-02") == moment(pd.Timestamp("2022-01-02 01:00", tz="Europe/Berlin")) == datetime(2022, 1, 2, tzinfo=UTC)
    for nonsense in ("soon", None, float("nan")):
        with pytest.raises(InvalidDates):
            moment(nonsense)  # type: ignore[arg-type]
