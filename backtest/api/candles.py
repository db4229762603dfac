"""Candles as frames: loaded from where the commands have them, or brought by the user."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final, TypeAlias

import pandas as pd

from forwardtrader.core.clock import SystemClock
from forwardtrader.core.config import changed
from forwardtrader.core.errors import CandleFileInvalid, InvalidDates, InvalidSetting
from forwardtrader.core.settings import FeedSettings, Settings
from forwardtrader.core.types import DataKind, Timeframe
from forwardtrader.feeds.candles.schema import Origin, find_gaps, times_of, validate
from forwardtrader.feeds.history.needs import History, history_fingerprint, load_candle_history
from forwardtrader.feeds.venues.market_rules import market_rules

Candles: TypeAlias = pd.DataFrame | Mapping[str, pd.DataFrame]
Moment: TypeAlias = str | date | datetime | pd.Timestamp
_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "m"))


def load_candles(
    symbol: str = "BTC/USDT", timeframe: str = "1h", *, start: Moment | None = None, end: Moment | None = None,
    file: str | Path | None = None, source: str = "auto", exchange: str = "binance",
) -> pd.DataFrame:  # fmt: skip
    """Closed candles of one symbol: open, high, low, close, volume, indexed by bar-open time (UTC).

    `attrs` of the frame say what it is: `symbol`, `timeframe`, `source`, `kind` (real or sample), `exchange` (whose rules it is traded
    by), `notes`.

    Args:
        start, end: the first bar wanted and the first one no longer wanted, UTC.
        file: a candle file of any shape that `--data` reads, in place of the store.
        source: auto, store, download or sample.

    Raises:
        CandleFileInvalid, InvalidDates, UnknownSymbol, UnknownVenue, VenueUnreachable: as `feeds.history.needs.load_history`.
    """
    settings = feed_settings(symbol, timeframe, source, exchange)
    history, venue = load_candle_history(
        settings,
        symbol,
        start=optional_moment(start),
        end=optional_moment(end),
        clock=SystemClock(),
        file=None if file is None else Path(file),
    )
    frame = history.candles.copy()
    frame.attrs = {
        "symbol": symbol, "timeframe": timeframe, "source": history.source, "kind": str(history.kind), "exchange": venue,
        "notes": list(history.notes),
    }  # fmt: skip
    return frame


def feed_settings(symbol: str, timeframe: str, source: str, exchange: str) -> FeedSettings:
    """The settings of what is loaded. Raises `ConfigError`."""
    named = {"feeds.timeframe": timeframe, "feeds.source": source, "feeds.exchange": exchange, "feeds.symbols": [symbol]}
    return changed(Settings(), named).feeds


def histories(candles: Candles) -> dict[str, History]:
    """What the commands know of candles: their rules, gaps and fingerprint, by symbol.

    Args:
        candles: one frame, whose symbol is `attrs["symbol"]` or else `DATA/USD`, or one for each symbol.

    Raises:
        CandleFileInvalid: a frame holds no candles.
        InvalidSetting: the frames have bars of different lengths.
    """
    frames = {str(candles.attrs.get("symbol", "DATA/USD")): candles} if isinstance(candles, pd.DataFrame) else dict(candles)
    if not frames:
        raise InvalidSetting("there are no candles; give a frame, or a mapping of symbols to frames")
    found = {symbol: _history(symbol, frame) for symbol, frame in frames.items()}
    lengths = {str(history.timeframe) for history in found.values()}
    if len(lengths) > 1:
        raise InvalidSetting(f"the symbols have bars of {' and '.join(sorted(lengths))}; give all the same")
    return found


def _history(symbol: str, frame: pd.DataFrame) -> History:
    named = utc_named(symbol, frame)
    timeframe = timeframe_of(named, symbol)
    bars = validate(named, timeframe, origin=Origin(symbol), own_grid=True)
    factors = [name for name in named.columns if name.startswith("factor_")]
    bars = bars.join(named[factors].astype("float64")) if factors else bars
    venue = str(frame.attrs.get("exchange", ""))
    return History(
        symbol=symbol,
        timeframe=timeframe,
        candles=bars,
        kind=DataKind(frame.attrs.get("kind", "real")),
        source=str(frame.attrs.get("source", "a frame")),
        gaps=find_gaps(times_of(bars), timeframe),
        fingerprint=history_fingerprint(bars),
        rules=market_rules(symbol, venue, store_path=FeedSettings().store_path if venue else None, frame=bars),
        notes=tuple(frame.attrs.get("notes", ())),
    )


def utc_named(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with lower-case names and an index in UTC.

    Raises:
        CandleFileInvalid: it is no frame of two bars or more, indexed by times.
    """
    if not isinstance(frame, pd.DataFrame) or not isinstance(frame.index, pd.DatetimeIndex) or len(frame) < 2:
        raise CandleFileInvalid(f"{name}: at least two bars are needed, indexed by their open times (a DatetimeIndex)")
    index, named = frame.index, frame.rename(columns=lambda column: str(column).lower())
    named.index = (index.tz_localize("UTC") if index.tz is None else index.tz_convert("UTC")).as_unit("ns").rename("timestamp")
    return named


def timeframe_of(frame: pd.DataFrame, name: str) -> Timeframe:
    """The commonest step between bars."""
    seconds = int(pd.Series(times_of(frame)).diff().mode().iloc[0].total_seconds())
    unit = next(((length, letter) for length, letter in _UNITS if seconds > 0 and seconds % length == 0), None)
    if unit is None:
        raise CandleFileInvalid(f"{name}: bars are {seconds} seconds apart; rising whole minutes are needed")
    return Timeframe.parse(f"{seconds // unit[0]}{unit[1]}")


def optional_moment(given: Moment | None) -> datetime | None:
    return None if given is None else moment(given)


def moment(given: Moment) -> datetime:
    """A moment in UTC. Raises InvalidDates where it is none."""
    try:
        found = pd.Timestamp(given)
    except (ValueError, TypeError) as error:
        raise InvalidDates(f"{given!r} is no date; write it as 2022-01-31") from error
    if pd.isna(found):
        raise InvalidDates("a date is missing; write it as 2022-01-31")
    return (found.tz_localize(UTC) if found.tz is None else found.tz_convert(UTC)).to_pydatetime()
