"""Taker volume and number of trades beside candles: stored where they are known, and in nobody's way where they are not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forwardtrader.core.clock import FixedClock
from forwardtrader.core.settings import FeedSettings
from forwardtrader.core.types import FLOW, OHLCV
from forwardtrader.feeds.candles import schema
from forwardtrader.feeds.candles.file import StoredInfo
from forwardtrader.feeds.candles.schema import Origin
from forwardtrader.feeds.candles.store import CandleKey, CandleStore
from forwardtrader.feeds.factors.book import FactorBook
from forwardtrader.feeds.fetching.history import complete
from forwardtrader.feeds.files.import_file import import_file
from forwardtrader.feeds.history.pager import Download, TimeRange
from forwardtrader.feeds.venues.exchange import CcxtVenue
from tests.feeds.loopback_venue import LoopbackVenue, serving
from tests.feeds.made_candles import HOUR, made

KEY = CandleKey("binance", "BTC/USDT", HOUR)
BARS = made(100)
START = BARS.index[0].to_pydatetime()
INFO = StoredInfo(source="here", covered_from=START, covered_to=START + timedelta(hours=100))
CLOCK = FixedClock(datetime(2024, 6, 1, tzinfo=UTC))


def with_flow(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(taker_volume=frame["volume"] * 0.25, trades=np.arange(len(frame), dtype=np.float64))


def test_a_store_without_it_stays_readable_and_is_filled_in(tmp_path: Path) -> None:
    store = CandleStore(tmp_path)
    store.append(KEY, BARS.iloc[:60], INFO)
    plain = store.read(KEY)
    assert plain is not None
    assert plain.flow is None
    assert store.append(KEY, with_flow(BARS), INFO) == 40
    stored = store.read(KEY)
    assert stored is not None
    assert stored.flow is not None
    pd.testing.assert_frame_equal(stored.candles, BARS, check_freq=False)
    pd.testing.assert_frame_equal(stored.flow, with_flow(BARS)[list(FLOW)], check_freq=False)
    assert list(store.load(KEY).columns) == list(OHLCV)


def test_bars_that_say_nothing_of_it_keep_what_is_stored(tmp_path: Path) -> None:
    store = CandleStore(tmp_path)
    store.append(KEY, with_flow(BARS.iloc[:60]), INFO)
    store.append(KEY, BARS, INFO)
    stored = store.read(KEY)
    assert stored is not None
    assert stored.flow is not None
    assert stored.flow["trades"].notna().sum() == 60
    assert len(stored.flow) == len(stored.candles) == 100


def test_what_is_impossible_is_not_known_and_no_reason_to_refuse_a_bar() -> None:
    frame = with_flow(BARS)
    frame.loc[frame.index[3], "taker_volume"] = frame["volume"].iloc[3] * 2
    frame.loc[frame.index[4], "trades"] = -1.0
    checked = schema.validate(frame.astype({"trades": object}), HOUR, origin=Origin("here"))
    assert np.flatnonzero(checked["taker_volume"].isna()).tolist() == [3]
    assert np.flatnonzero(checked["trades"].isna()).tolist() == [4]


def test_a_download_brings_it_where_the_venue_has_it(tmp_path: Path) -> None:
    store = CandleStore(tmp_path)
    busy = BARS.assign(volume=BARS["volume"] + 1.0)
    with serving(LoopbackVenue({"BTC/USDT": busy}, now=START + timedelta(hours=99, minutes=30))) as venue:
        clock = FixedClock(venue.now)
        Download(CcxtVenue("binance", base_url=venue.url), KEY, store, clock).run(TimeRange(START, START + timedelta(hours=50)))
    stored = store.read(KEY)
    assert stored is not None
    assert stored.flow is not None
    assert stored.flow["trades"].unique().tolist() == [3.0]
    assert stored.flow["taker_volume"].unique().tolist() == [0.5]
    pd.testing.assert_frame_equal(stored.candles, busy.iloc[:50], check_freq=False)


@pytest.mark.parametrize("has_header", [True, False])
def test_it_is_imported_from_the_dumps_of_binance_and_becomes_a_factor(tmp_path: Path, has_header: bool) -> None:
    rows, names = (
        with_flow(BARS),
        "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore",
    )
    lines = [names] if has_header else []
    for at, row in rows.iterrows():
        opened = int(pd.Timestamp(at).timestamp() * 1000)  # type: ignore[arg-type]
        o, h, low, c, v, taken, trades = (repr(float(value)) for value in row)
        quote = repr(float(row["volume"] * (row["high"] + row["low"]) / 2))
        lines.append(f"{opened},{o},{h},{low},{c},{v},{opened + 3_599_999},{quote},{int(float(trades))},{taken},{float(quote) / 4!r},0")
    (tmp_path / "BTCUSDT-1h-2024-01.csv").write_text("\n".join(lines) + "\n")
    import_file(tmp_path / "BTCUSDT-1h-2024-01.csv", KEY, CandleStore(tmp_path / "store"), CLOCK)
    feeds = FeedSettings.model_validate(
        {
            "factors": ["taker_volume", "trades"], "factor_path": str(tmp_path / "factors"), "store_path": str(tmp_path / "store"),
            "source": "store",
        }
    )  # fmt: skip
    assert complete(feeds, START, CLOCK.now(), CLOCK) == ()
    columns = FactorBook(feeds.located_factors, HOUR).columns(pd.DatetimeIndex(BARS.index))
    # What a bar says is known a step and the time between two questions after it opened: at the close of the next bar.
    np.testing.assert_allclose(columns["factor_taker_volume"].iloc[1:], 0.25)
    assert columns["factor_trades"].iloc[1:].tolist() == list(range(99))
    assert columns.iloc[0].isna().all()
