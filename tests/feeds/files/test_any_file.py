"""Whatever notation, order, language and grid a file is written in: the same candles come out, or a refusal that says why; never others."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.core.clock import FixedClock
from forwardtrader.core.errors import CandleFileInvalid
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.files.import_file import read_file
from forwardtrader.feeds.files.times import notation_of

CLOCK = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]
TIMES = [
    "{t:%Y-%m-%d %H:%M:%S}", "{t:%Y-%m-%d %H:%M}", "{t:%d.%m.%Y %H:%M}", "{t:%m/%d/%Y %I:%M %p}", "{t:%d/%m/%y %H:%M}",
    "{t:%d-%b-%Y %H:%M:%S}", "{t:%b %d %Y %H:%M}", "{t:%Y%m%d %H%M%S}", "{t:%Y%m%d%H%M}", "{t:%Y-%m-%dT%H:%M:%S%z}",
    "{t:%m-%d-%Y %H:%M}", "{s}", "{ms}", "{us}",
    "{ns}", "{x:.10f}", "{t:%Y.%m.%d}{sep}{t:%H:%M}", "{t:%d.%m.%Y}{sep}{t:%H:%M:%S}", "{t:%Y%m%d}{sep}{t:%H%M%S}",
]  # fmt: skip
NAMES = [
    ("Date", "Open", "High", "Low", "Close", "Volume"), ("timestamp", "open", "high", "low", "close", "vol"),
    ("<DATE>", "<OPEN>", "<HIGH>", "<LOW>", "<CLOSE>", "<VOL>"), ("Datum", "Erster", "Hoch", "Tief", "Schlusskurs", "Stuecke"),
    ("t", "o", "h", "l", "c", "v"), ("time", "Price Open", "Price High", "Price Low", "Price Close", "Volume"),
]  # fmt: skip


@st.composite
def files(draw: st.DrawFn) -> tuple[pd.DataFrame, str, str, str]:
    """Candles, their timeframe, the text of a file of them, and the zone its times are written in."""
    timeframe = draw(st.sampled_from(["1m", "7m", "15m", "1h", "4h", "1d"]))
    bars = draw(st.integers(3, 60))
    start = draw(st.datetimes(datetime(1950, 1, 1), datetime(2024, 12, 1))).replace(hour=0, minute=0, second=0, microsecond=0)  # noqa: DTZ001
    index = pd.date_range(start, periods=bars, freq=Timeframe.parse(timeframe).delta, tz="UTC", unit="ns", name="timestamp")
    draws = np.random.default_rng(draw(st.integers(0, 99))).random((bars, 5))
    scale = draw(st.sampled_from([1e-6, 1.0, 1000.0, 60_000.0]))
    prices = np.round(scale * np.sort(draws[:, :4] + 1, axis=1), 9)
    frame = pd.DataFrame(
        {"open": prices[:, 1], "high": prices[:, 3], "low": prices[:, 0], "close": prices[:, 2], "volume": np.round(draws[:, 4] * 1e4, 3)},
        index,
    )
    return frame, timeframe, *_text(draw, frame)


def _text(draw: st.DrawFn, frame: pd.DataFrame) -> tuple[str, str]:
    comma = draw(st.booleans())
    separator = draw(st.sampled_from([";", "\t", "|"] if comma else [",", ";", "\t", "|"]))
    form, zone = draw(st.sampled_from(TIMES)), draw(st.sampled_from(ZONES))
    names = dict(zip("tohlcv", draw(st.sampled_from(NAMES)), strict=True))
    split = "{sep}" in form
    names["t"] = f"Date{separator}Time" if split else names["t"]
    order = "t" + "".join(draw(st.permutations("ohlcv")))
    local = pd.DatetimeIndex(frame.index).tz_convert(zone)
    made = []
    for at, cells in zip(local, frame.to_numpy().tolist(), strict=True):
        seconds = int(at.timestamp())
        numbers = [np.format_float_positional(cell, trim="-") for cell in cells]
        values: dict[str, Any] = dict(zip("ohlcv", [n.replace(".", ",") if comma else n for n in numbers], strict=True))
        local_days = (at.tz_localize(None) - pd.Timestamp("1899-12-30")) / pd.Timedelta(days=1)
        values["t"] = form.format(t=at, s=seconds, ms=seconds * 10**3, us=seconds * 10**6, ns=seconds * 10**9, x=local_days, sep=separator)
        made.append(separator.join(values[column] for column in order))
    made = made[::-1] if draw(st.booleans()) else made
    if draw(st.booleans()):
        made = [f"{n}{separator}{line}" for n, line in enumerate(made)]
        order = "#" + order
    head = separator.join(names.get(column, "") for column in order)
    foot = [draw(st.sampled_from(["End of data", "Source: somebody", "# done"]))] if draw(st.booleans()) else []
    return "\n".join([head, *made, *foot]) + "\n", zone


@settings(max_examples=60, deadline=None)
@given(files())
def test_a_file_in_any_notation_gives_its_candles_or_a_reason(
    tmp_path_factory: pytest.TempPathFactory, made: tuple[pd.DataFrame, str, str, str]
) -> None:
    frame, timeframe, text, zone = made
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_text(text)
    try:
        found = read_file(path, "any", Timeframe.parse(timeframe), CLOCK, notation=notation_of("", zone)).candles
    except CandleFileInvalid as refused:
        assert "\n" not in str(refused)
    else:
        pd.testing.assert_frame_equal(found, frame, check_freq=False, check_exact=True)
