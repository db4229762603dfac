"""Which finer candles a run gets, and how it says that there are none of use."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from forwardtrader.core.clock import FixedClock
from forwardtrader.core.errors import CandleFileInvalid, InvalidSetting, TradingError, UnknownTimeframe, VenueUnreachable
from forwardtrader.core.settings import FeedSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.candles.file import StoredInfo
from forwardtrader.feeds.candles.store import MARK, CandleKey, CandleStore
from forwardtrader.feeds.history.detail import DetailHistory, Whole, load_detail
from forwardtrader.feeds.history.sample_perpetual import perpetual_candles, perpetual_marks
from tests.feeds.loopback_venue import LoopbackVenue, closed_address, serving
from tests.strategies.detail.market import PRICES, fine_candles, hourly

HOUR, STEP = Timeframe.parse("1h"), Timeframe.parse("15m")
FINE = fine_candles(30, 4, 1)
BARS = hourly(FINE)
NOW = BARS.index[-1].to_pydatetime() + timedelta(days=3)
CLOCK = FixedClock(NOW)
MARKS = (FINE[PRICES] * 1.001).assign(volume=0.0)


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    return CandleStore(tmp_path / "candles", CLOCK)


def keep(store: CandleStore, frame: pd.DataFrame, symbol: str = "BTC/USDT", kind: str = "", timeframe: Timeframe = STEP) -> None:
    first, last = frame.index[0].to_pydatetime(), frame.index[-1].to_pydatetime() + timeframe.delta
    store.append(CandleKey("binance", symbol, timeframe, kind), frame, StoredInfo(source="binance", covered_from=first, covered_to=last))


def whole(bars: pd.DataFrame = BARS, *, is_made_up: bool = False, is_of_file: bool = False, marks: pd.DataFrame | None = None) -> Whole:
    return Whole(candles=bars, timeframe=HOUR, is_made_up=is_made_up, is_of_file=is_of_file, marks=marks)


def load(store: CandleStore, bars: Whole, *, symbol: str = "BTC/USDT", file: Path | None = None, **more: object) -> DetailHistory:
    settings = FeedSettings(**{"store_path": str(store.root), "source": "store", "detail": "15m", **more})  # type: ignore[arg-type]
    return load_detail(settings, symbol, bars, clock=CLOCK, file=file)


def test_finer_candles_of_the_store_are_laid_inside_the_bars(store: CandleStore) -> None:
    keep(store, FINE)
    found = load(store, whole(BARS.iloc[3:9]))
    pd.testing.assert_frame_equal(found.candles, FINE.iloc[12:36], check_freq=False, check_names=False)
    assert found.opened.to_list() == [at.floor("1h") for at in found.candles.index]
    assert (found.bars, found.source, found.notes, found.marks) == (6, "binance", (), None)


def test_bars_that_are_met_as_a_whole_are_counted_and_told(store: CandleStore) -> None:
    keep(store, FINE.iloc[: 27 * 4].drop(FINE.index[4:8]))
    other = BARS.copy()
    other.loc[BARS.index[4], "high"] += 5.0
    notes = load(store, whole(other)).notes
    assert notes == ("5 of 30 bars are met as a whole, without 15m bars inside: 4 lack some, 1 are not what theirs make up",)


def test_what_the_store_lacks_is_downloaded(store: CandleStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forwardtrader.feeds.venues.port.is_loopback", lambda address: False)
    with serving(LoopbackVenue({"BTC/USDT": FINE}, now=NOW)) as venue:
        found = load(store, whole(BARS.iloc[5:20]), source="auto", exchange_url=venue.url)
    assert (len(found.candles), found.missing) == (60, 0)
    assert load(store, whole(BARS.iloc[5:20])).candles.equals(found.candles)


def test_the_sample_market_never_stands_for_the_inside_of_a_real_bar(store: CandleStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forwardtrader.feeds.venues.port.is_loopback", lambda address: False)
    keep(store, BARS, timeframe=HOUR)
    with pytest.raises(VenueUnreachable, match="not binance BTC/USDT 15m"):
        load(store, whole(), source="auto", exchange_url=closed_address())


def test_an_empty_store_says_how_to_fill_it(store: CandleStore) -> None:
    keep(store, BARS, timeframe=HOUR)
    with pytest.raises(InvalidSetting, match="no 15m candles of BTC/USDT are stored under binance; fetch them with"):
        load(store, whole())


def test_candles_of_a_file_need_another_file(store: CandleStore, tmp_path: Path) -> None:
    keep(store, FINE)
    with pytest.raises(InvalidSetting, match=r"name one of its 15m candles too, with --detail-data BTC/USDT=FILE"):
        load(store, whole(is_of_file=True))
    FINE.to_csv(tmp_path / "fine.csv")
    found = load(store, whole(is_of_file=True), file=tmp_path / "fine.csv")
    assert (len(found.candles), found.source, found.missing, found.disagreeing) == (120, "file fine.csv", 0, 0)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (FINE.assign(**{name: FINE[name] * 0.075 for name in PRICES}), "not one of the 1h bars of BTC/USDT is what"),
        (FINE.assign(**{name: FINE[name] * 100 for name in PRICES}), "take candles of the same market, in the same units"),
        (FINE.assign(volume=FINE["volume"] * FINE["close"]), r"has a volume of .*, and they make one of"),
        (FINE.set_axis(FINE.index + pd.Timedelta(days=60)), r"no 1h bar of BTC/USDT between 2022-01-01 and 2022-01-02 has all"),
    ],
    ids=["another symbol", "another scale of prices", "another unit of volumes", "another time"],
)  # fmt: skip
def test_a_file_that_is_of_no_use_is_refused_in_one_line(store: CandleStore, tmp_path: Path, frame: pd.DataFrame, words: str) -> None:
    frame.to_csv(tmp_path / "f.csv")
    with pytest.raises(InvalidSetting, match=words) as refused:
        load_detail(
            FeedSettings(store_path=str(store.root), detail="15m"), "BTC/USDT", whole(is_of_file=True),
            clock=FixedClock(NOW + timedelta(days=90)), file=tmp_path / "f.csv",
        )  # fmt: skip
    assert refused.value.exit_code == 2
    assert "\n" not in str(refused.value)


def test_a_file_of_other_bars_is_refused(store: CandleStore, tmp_path: Path) -> None:
    BARS.to_csv(tmp_path / "hours.csv")
    with pytest.raises(CandleFileInvalid):
        load(store, whole(is_of_file=True), file=tmp_path / "hours.csv")


@pytest.mark.parametrize("detail", ["1h", "2h", "1d", "7m", "40m"])
def test_bars_that_do_not_divide_the_timeframe_are_refused(detail: str) -> None:
    with pytest.raises(ValueError, match=f"bars of 1h are not made up of bars of {detail}; choose a finer one that divides them"):
        FeedSettings(detail=detail)
    with pytest.raises((TradingError, ValueError)):
        FeedSettings(detail="1min")
    with pytest.raises(UnknownTimeframe):
        Timeframe.parse("1min")


def test_marks_are_those_of_the_store_where_they_make_up_the_mark_of_the_bar(store: CandleStore) -> None:
    symbol, marks = "BTC/USDT:USDT", hourly(MARKS)[PRICES]
    keep(store, FINE, symbol)
    keep(store, MARKS.drop(MARKS.index[46]), symbol, MARK)
    marks.loc[marks.index[3], "low"] *= 0.9
    found = load(store, whole(marks=marks), symbol=symbol)
    assert found.marks is not None
    unknown = found.marks.isna().any(axis=1)
    assert sorted(set(found.opened[unknown])) == [BARS.index[3], BARS.index[11]]
    pd.testing.assert_frame_equal(
        found.marks.loc[~unknown], MARKS.loc[found.candles.index[~unknown], PRICES], check_freq=False, check_names=False
    )
    assert found.notes == (
        "the mark price inside 2 of 30 bars is unknown; a liquidation there goes by the mark of the whole bar, before any order that rests",
    )


def test_where_the_last_price_stands_for_the_mark_it_does_inside_too(store: CandleStore) -> None:
    symbol = "BTC/USDT:USDT"
    keep(store, FINE, symbol)
    found = load(store, whole(marks=BARS[PRICES]), symbol=symbol)
    assert found.marks is not None
    assert found.marks.equals(found.candles[PRICES])
    assert found.notes == ()


def test_the_sample_market_has_a_path_inside_each_bar(store: CandleStore) -> None:
    symbol = "BTC/USDT:USDT"
    bars, marks = (made(symbol, HOUR, seed=0, until=NOW).iloc[5000:5100] for made in (perpetual_candles, perpetual_marks))
    found = load(store, whole(bars, is_made_up=True, marks=marks), symbol=symbol, source="sample")
    assert (len(found.candles), found.missing, found.disagreeing, found.unknown_marks) == (400, 0, 0, 0)
