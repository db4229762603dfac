"""The candles of every symbol of a run, with the history its first models learn from and the factors beside them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from forwardtrader.backtest.request import BacktestRequest
from forwardtrader.core.clock import Clock
from forwardtrader.core.errors import InvalidDates, InvalidSetting
from forwardtrader.core.settings import ModelSettings, StrategySettings
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.candles import schema as candles
from forwardtrader.feeds.factors.book import PREFIX, FactorBook
from forwardtrader.feeds.fetching.history import complete
from forwardtrader.feeds.history.confirmed import confirmed
from forwardtrader.feeds.history.detail import DetailHistory, Whole, load_detail
from forwardtrader.feeds.history.needs import History, history_fingerprint, load_history
from forwardtrader.feeds.history.perpetual_facts import NO_FILES
from forwardtrader.feeds.universe import TopByVolume, members_between, parse_universe, read_universe, top_by_volume
from forwardtrader.feeds.venues.contracts import require_one_account
from forwardtrader.models.features.selection import look_back
from forwardtrader.models.walk_forward import lead_bars, open_share
from forwardtrader.strategies.orders.entries import volume_objection

# Room for outages and, with daily bars, for weekends and holidays.
SLACK: Final = 1.1
DAILY_SLACK: Final = 1.6
DAY_S: Final = 86_400


def load_markets(request: BacktestRequest, clock: Clock) -> dict[str, History]:
    """The history of each symbol from the first training bar up to the last traded one, factors joined as of their publication.

    Raises:
        InvalidDates: a symbol has no bar in the days to trade.
        UnknownSymbol: symbols that no account can trade together.
        InvalidSetting: the universe cannot be read, or orders that rest are to be filled by volumes that are unknown.
        CandleFileInvalid, InvalidSetting: a factor cannot be read; see `FactorBook`.
    """
    feeds = request.settings.feeds
    require_one_account(feeds.symbols)
    book = FactorBook(feeds.located_factors, Timeframe.parse(feeds.timeframe))
    universe = parse_universe(feeds.universe) if feeds.universe else None
    markets = _ranked(request, clock, universe.count) if isinstance(universe, TopByVolume) else _listed(request, clock, universe)
    for symbol, history in markets.items():
        newest = history.candles.index[-1]
        if newest < pd.Timestamp(request.first):
            raise InvalidDates(
                f"{symbol} ends at {newest:%Y-%m-%d %H:%M} in {history.source}; choose a --from before that, or get newer candles"
            )
    markets = {s: confirmed(history, feeds, clock, request.confirm.get(s, ())) for s, history in markets.items()}
    require_volumes(request.settings.strategies, {symbol: history.candles for symbol, history in markets.items()})
    first_bar = min(history.candles.index[0] for history in markets.values()).to_pydatetime()
    failed = complete(feeds, first_bar, request.last, clock)
    found = {
        symbol: with_factors(replace(history, notes=(*history.notes, *(failed if n == 0 else ()))), book, request.first)
        for n, (symbol, history) in enumerate(markets.items())
    }
    return {symbol: with_detail(history, request, clock) for symbol, history in found.items()} if feeds.detail else found


def with_detail(history: History, request: BacktestRequest, clock: Clock) -> History:
    """The history with finer candles inside the bars traded, of a file, the store, the venue or the sample market.

    Raises:
        InvalidSetting: there are none, or none that make up a bar, or orders that rest are to be filled by volumes that they lack.
        CandleFileInvalid, StoreDamaged, VenueUnreachable: as `load_detail`.
    """
    symbol = history.symbol
    whole = traded_bars(history, request.first, is_of_file=symbol in request.files)
    if whole is None:
        return history
    files = {"file": request.detail.get(symbol), "mark_file": request.detail_marks.get(symbol)}
    return joined_with(history, load_detail(request.settings.feeds, symbol, whole, clock=clock, **files), request.settings.strategies)


def traded_bars(history: History, first: datetime, *, is_of_file: bool) -> Whole | None:
    """The bars that finer ones are wanted for; None where none is traded."""
    bars = history.candles.loc[pd.Timestamp(first) :]
    marks = None if history.perpetual is None else history.perpetual.marks.loc[bars.index]
    whole = Whole(candles=bars, timeframe=history.timeframe, is_made_up=history.is_made_up, is_of_file=is_of_file, marks=marks)
    return whole if len(bars) else None


def joined_with(history: History, detail: DetailHistory, settings: StrategySettings) -> History:
    """The history with these finer candles, which are in its fingerprint, and a note on bars that lack them.

    Raises:
        InvalidSetting: orders that rest are to be filled by volumes that they lack.
    """
    require_volumes(settings, {f"{history.symbol} {detail.timeframe}": detail.candles})
    known = (*history.notes, *detail.source_notes, *(f"{history.symbol}: {note}" for note in detail.notes))
    return replace(
        history, detail=detail, notes=known, fingerprint=history_fingerprint(history.candles, history.perpetual, detail, history.venues)
    )


def require_volumes(settings: StrategySettings, candles: Mapping[str, pd.DataFrame]) -> None:
    """Raise `InvalidSetting` where orders that rest are to be filled by volumes that are not known."""
    volumes = {name: frame["volume"].to_numpy(dtype=np.float64) for name, frame in candles.items()}
    if objection := volume_objection(settings, volumes):
        raise InvalidSetting(objection)


def _listed(request: BacktestRequest, clock: Clock, file: Path | None) -> dict[str, History]:
    """The histories of all symbols, with their spans in the file of a universe."""
    members = read_universe(file) if file is not None else {}
    return {symbol: replace(_history(request, symbol, clock), members=members.get(symbol)) for symbol in request.settings.feeds.symbols}


def _ranked(request: BacktestRequest, clock: Clock, count: int) -> dict[str, History]:
    """The histories of those symbols that are among the largest at some time, each with when it is.

    Raises:
        InvalidDates: none has a bar before or in the days to trade.
    """
    found = {}
    for symbol in request.settings.feeds.symbols:
        with suppress(InvalidDates):  # listed after the last day, or delisted before the first: never a member
            found[symbol] = _history(request, symbol, clock)
    candles = {symbol: history.candles for symbol, history in found.items()}
    members = top_by_volume(candles, count, request.first, request.last)
    chosen = members_between(members, request.first, request.last)
    if not chosen:
        raise InvalidDates(f"no symbol of {request.settings.feeds.universe} has candles in the days to trade; choose others, or other days")
    return {symbol: replace(found[symbol], members=members[symbol]) for symbol in chosen}


def _history(request: BacktestRequest, symbol: str, clock: Clock) -> History:
    """The history of one symbol; of a market that rests from so much earlier that as many bars are there."""
    feeds, models = request.settings.feeds, request.settings.models
    timeframe = Timeframe.parse(feeds.timeframe)

    def since(share: float) -> History:
        start = history_start(request.first, models, timeframe, share)
        start = start and min(start, request.first - request.window)
        file, facts = request.files.get(symbol), request.facts.get(symbol, NO_FILES)
        return load_history(feeds, symbol, start=start, end=request.last, clock=clock, file=file, facts=facts)

    found = since(1.0)
    share = open_share(candles.times_of(found.candles), timeframe)
    return since(share) if share < 1.0 and timeframe.seconds < DAY_S and not models.expanding else found


def with_factors(history: History, book: FactorBook, first: datetime) -> History:
    """The history with the columns of the factors, and a note for each that was not known at some bars traded; as it is without any."""
    if not book:
        return history
    frame = book.beside(history.candles)
    notes = [_note(frame[name].loc[pd.Timestamp(first) :], name) for name in frame.columns if str(name).startswith(PREFIX)]
    known = (*history.notes, *(note for note in notes if note))
    return replace(
        history, candles=frame, fingerprint=history_fingerprint(frame, history.perpetual, history.detail, history.venues), notes=known
    )


def _note(column: pd.Series, name: str) -> str:
    unknown = int(column.isna().sum())
    if not unknown:
        return ""
    what = f"factor {name.removeprefix(PREFIX)} was not known at {unknown:,} of {len(column):,} bars traded"
    return f"{what}, where it counts as neutral"


def history_start(first: datetime, settings: ModelSettings, timeframe: Timeframe, share: float = 1.0) -> datetime | None:
    """Open of the first bar worth having; None for all there is. `share` is that of the time in which the market has bars within a day."""
    if settings.expanding:
        return None
    slack = DAILY_SLACK if timeframe.seconds >= 86400 else SLACK
    bars = lead_bars(settings, look_back(settings.features, timeframe))
    # The boundary in force on the first day may lie up to one retraining span before it, and the base of its warm start further.
    before = settings.retrain_every * settings.anew_every
    return first - settings.train_window - before - timedelta(seconds=bars * timeframe.seconds * slack / share)


def charges_of(markets: Mapping[str, History]) -> dict[str, pd.Series[float]]:
    """Per perpetual, what a long of one unit pays in funding at each bar's open, in quote."""
    return {symbol: h.perpetual.charges(h.timeframe) for symbol, h in markets.items() if h.perpetual is not None}
