"""What goes with candles at hand: marks and funding of perpetuals, and finer candles; loaded as candles are, or brought by the user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypeVar

import pandas as pd

from forwardtrader.backtest.api.candles import Candles, Moment, feed_settings, optional_moment, timeframe_of, utc_named
from forwardtrader.backtest.market_data import joined_with, require_volumes, traded_bars
from forwardtrader.backtest.request import BacktestRequest
from forwardtrader.core.clock import Clock, SystemClock
from forwardtrader.core.errors import CandleFileInvalid, InvalidSetting
from forwardtrader.core.settings import FeedSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.candles.schema import PRICES, Origin, validate
from forwardtrader.feeds.history.detail import DetailHistory, Whole, inside_history, load_detail
from forwardtrader.feeds.history.loaded_facts import load_known_funding, load_known_marks
from forwardtrader.feeds.history.needs import History, with_facts
from forwardtrader.feeds.history.sample_perpetual import perpetual_funding, perpetual_marks
from forwardtrader.feeds.history.sources import sample_seed
from forwardtrader.feeds.perpetuals.facts import completed, require_marks_of
from forwardtrader.feeds.perpetuals.funding import checked, rates
from forwardtrader.feeds.perpetuals.funding_file import rate_column
from forwardtrader.feeds.venues.contracts import require_one_account

Rates: TypeAlias = "pd.Series[float] | pd.DataFrame"
Funding: TypeAlias = "Rates | Mapping[str, Rates]"
Frame = TypeVar("Frame", pd.DataFrame, "Rates")


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What a user gives beside candles: for the only symbol, or by symbol. `detail` may be a length (`5m`) of the sample market."""

    marks: Candles | None = None
    funding: Funding | None = None
    detail: Candles | str | None = None
    detail_marks: Candles | None = None


def load_marks(
    symbol: str = "BTC/USDT:USDT", timeframe: str = "1h", *, start: Moment | None = None, end: Moment | None = None,
    file: str | Path | None = None, source: str = "auto", exchange: str = "binance",
) -> pd.DataFrame:  # fmt: skip
    """Mark prices of a perpetual: open, high, low, close, indexed by bar-open time (UTC), as `backtest(marks=...)` takes them.

    Args:
        start, end: the first bar wanted and the first one no longer wanted, UTC.
        file: a file as `--mark` reads it, in place of the store.
        source: auto or download (the store, completed by the exchange), store, or sample.

    Raises:
        UnknownSymbol, InvalidSetting: the symbol is no linear perpetual, or its marks are not stored.
        CandleFileInvalid, InvalidDates, VenueUnreachable: as `load_candles`.
    """
    settings = feed_settings(symbol, timeframe, source, exchange)
    found, whose = load_known_marks(
        settings,
        symbol,
        start=optional_moment(start),
        end=optional_moment(end),
        clock=SystemClock(),
        file=None if file is None else Path(file),
    )
    frame = found[list(PRICES)].copy()
    frame.attrs = {"symbol": symbol, "timeframe": timeframe, "source": whose}
    return frame


def load_funding(
    symbol: str = "BTC/USDT:USDT", *, start: Moment | None = None, end: Moment | None = None, file: str | Path | None = None,
    source: str = "auto", exchange: str = "binance",
) -> pd.Series[float]:  # fmt: skip
    """Funding rates of a perpetual, the shares that longs pay shorts, indexed by time of settlement (UTC).

    Args:
        start, end: the first settlement wanted and the first one no longer wanted, UTC.
        file: a file as `--funding` reads it, in place of the store.
        source: auto or download (the store, completed by the exchange), store, or sample.

    Raises:
        UnknownSymbol, InvalidSetting, CandleFileInvalid, InvalidDates, VenueUnreachable: as `load_marks`.
    """
    settings = feed_settings(symbol, "1h", source, exchange)
    found, whose = load_known_funding(
        settings,
        symbol,
        start=optional_moment(start),
        end=optional_moment(end),
        clock=SystemClock(),
        file=None if file is None else Path(file),
    )
    series = found.copy()
    series.attrs = {"symbol": symbol, "source": whose}
    return series


def finer_step(detail: Candles | str | None) -> str:
    """The length of the finer bars, as `feeds.detail` has it; "" where none are given.

    Raises:
        InvalidSetting: they are of different lengths.
        CandleFileInvalid: a frame holds no candles.
    """
    if detail is None or isinstance(detail, str):
        return detail or ""
    frames = {"detail": detail} if isinstance(detail, pd.DataFrame) else detail
    steps = {str(timeframe_of(utc_named(f"detail of {symbol}", frame), symbol)) for symbol, frame in frames.items()}
    if len(steps) != 1:
        raise InvalidSetting(f"detail= has bars of {' and '.join(sorted(steps)) or 'no symbol'}; give all symbols the same")
    return steps.pop()


def beside(markets: Mapping[str, History], given: Beside, request: BacktestRequest, clock: Clock) -> dict[str, History]:
    """The markets with marks and funding, and with the finer candles of `request`; what is not known has last price and prior in its place.

    Raises:
        InvalidSetting: something is given for a symbol that is not traded or has no such thing, or is lacking.
        CandleFileInvalid: what is given cannot be used.
        UnknownSymbol: symbols that no account can trade together.
    """
    require_one_account(list(markets))
    require_volumes(request.settings.strategies, {symbol: history.candles for symbol, history in markets.items()})
    symbols = list(markets)
    marks, funding = _by_symbol("marks", given.marks, symbols), _by_symbol("funding", given.funding, symbols)
    finer_marks = _by_symbol("detail_marks", given.detail_marks, symbols)
    finer = {} if isinstance(given.detail, str) else _by_symbol("detail", given.detail, symbols)
    _check_given(markets, {"marks": marks, "funding": funding, "detail_marks": finer_marks}, finer, finer_marks)
    feeds = request.settings.feeds
    found = {s: _with_facts(h, marks.get(s), funding.get(s), feeds, clock) for s, h in markets.items()}
    return found if not feeds.detail else {s: _with_detail(h, finer.get(s), finer_marks.get(s), request, clock) for s, h in found.items()}


def _check_given(
    markets: Mapping[str, History], of_perpetuals: Mapping[str, Mapping[str, object]], finer: Mapping[str, object],
    finer_marks: Mapping[str, object],
) -> None:  # fmt: skip
    for what, named in of_perpetuals.items():
        for symbol in named:
            if not markets[symbol].rules.is_perpetual:
                raise InvalidSetting(
                    f"{what}= of {symbol}, which is no perpetual and has neither funding nor a mark price; leave it out, or name the "
                    "candles for what they are, as {'BTC/USDT:USDT': candles}"
                )
    lacking = [symbol for symbol in markets if symbol not in finer]
    if finer and lacking:
        raise InvalidSetting(f"detail= lacks {lacking[0]}; give finer candles of every symbol")
    if stray := next((symbol for symbol in finer_marks if symbol not in finer), None):
        raise InvalidSetting(f"detail_marks= of {stray}: give its finer candles too, with detail=")


def _by_symbol(what: str, given: Frame | Mapping[str, Frame] | None, symbols: list[str]) -> dict[str, Frame]:
    """What is given, by symbol: a single one is of the symbol in its `attrs`, or else of the only one."""
    if given is None:
        return {}
    if isinstance(given, Mapping):
        found = dict(given)
    elif isinstance(given, (pd.DataFrame, pd.Series)):
        named = given.attrs.get("symbol", symbols[0] if len(symbols) == 1 else None)
        if named is None:
            raise InvalidSetting(f"{what}= says of no symbol that it is of; write {{'{symbols[0]}': ...}}")
        found = {str(named): given}
    else:
        raise InvalidSetting(f"{what}= is a {type(given).__name__}; give a pandas object, or a mapping of symbols to them")
    if stray := next((symbol for symbol in found if symbol not in symbols), None):
        raise InvalidSetting(f"{what}= of {stray}, which is not among the candles ({', '.join(symbols)}); leave it out, or add its candles")
    return found


def _with_facts(history: History, marks: pd.DataFrame | None, funding: Rates | None, feeds: FeedSettings, clock: Clock) -> History:
    if not history.rules.is_perpetual:
        return history
    symbol, step = history.symbol, history.timeframe
    marked = None if marks is None else _marks(symbol, marks, step)
    settled = None if funding is None else _funding(symbol, funding)
    sources = ["" if each is None else str(each.attrs.get("source", "a frame")) for each in (marks, funding)]
    if history.is_made_up:
        seed, until = sample_seed(history.source), clock.now()
        if marked is None:
            marked, sources[0] = perpetual_marks(symbol, step, seed=seed, until=until), "sample market"
        if settled is None:
            settled, sources[1] = perpetual_funding(symbol, seed=seed, until=until), "sample market"
    require_marks_of(history.candles, marked, symbol, sources[0])
    hours, prior = history.rules.funding_hours, feeds.funding_prior_bps / 1e4
    return with_facts(
        history,
        completed(history.candles, step, marked, settled, hours=hours, prior=prior, mark_source=sources[0], funding_source=sources[1]),
    )


def _marks(symbol: str, frame: pd.DataFrame, step: Timeframe) -> pd.DataFrame:
    name = f"marks of {symbol}"
    if not isinstance(frame, pd.DataFrame):
        raise CandleFileInvalid(f"{name}: a frame with {', '.join(PRICES)} is needed, indexed by bar-open time")
    return validate(utc_named(name, frame).assign(volume=0.0), step, origin=Origin(name), own_grid=True)[list(PRICES)]


def _funding(symbol: str, given: Rates) -> pd.Series[float]:
    name = f"funding of {symbol}"
    if isinstance(given, pd.DataFrame):
        column = rate_column([str(each) for each in given.columns])
        if column is None:
            raise CandleFileInvalid(
                f"{name}: a series of rates, or a frame with the column rate, is needed; found are {list(given.columns)}"
            )
        given = given.iloc[:, column]
    index = given.index
    if not isinstance(index, pd.DatetimeIndex) or not len(index) or index.hasnans:
        raise CandleFileInvalid(f"{name}: rates are needed, indexed by their times of settlement (a DatetimeIndex)")
    times = index.tz_localize("UTC") if index.tz is None else index.tz_convert("UTC")
    return checked(rates(times, pd.to_numeric(given, errors="coerce")), Origin(name))


def _with_detail(
    history: History, finer: pd.DataFrame | None, marks: pd.DataFrame | None, request: BacktestRequest, clock: Clock
) -> History:
    whole = traded_bars(history, request.first, is_of_file=True)
    if whole is None:
        return history
    detail = _inside_sample(history, whole, request, clock) if finer is None else _inside(history, whole, finer, marks)
    return joined_with(history, detail, request.settings.strategies)


def _inside(history: History, whole: Whole, finer: pd.DataFrame, marks: pd.DataFrame | None) -> DetailHistory:
    symbol, name = history.symbol, f"detail of {history.symbol}"
    named = utc_named(name, finer)
    step = timeframe_of(named, name)
    candles = validate(named, step, origin=Origin(name), own_grid=True)
    known = None if marks is None else _marks(f"{symbol} inside", marks, step)
    source, notes = str(finer.attrs.get("source", "a frame")), tuple(finer.attrs.get("notes", ()))
    return inside_history(symbol, whole, candles, step, marks=known, source=source, notes=notes)


def _inside_sample(history: History, whole: Whole, request: BacktestRequest, clock: Clock) -> DetailHistory:
    feeds = request.settings.feeds
    if not history.is_made_up:
        how = f"give them, as detail=load_candles({history.symbol!r}, {feeds.detail!r})"
        raise InvalidSetting(f"detail {feeds.detail}: only the sample market has candles inside its bars by itself; {how}")
    return load_detail(feeds.model_copy(update={"sample_seed": sample_seed(history.source)}), history.symbol, whole, clock=clock)
