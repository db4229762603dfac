"""What a session keeps of other venues: recorded as it comes, seen by features alone, and there after a restart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.venues import STEP, simulated
from forwardtrader.core.rooms.confirmation import ConfirmationSettings
from forwardtrader.feeds.candles.bar import Bar
from forwardtrader.feeds.confirmation.judge import VenueJudge
from forwardtrader.feeds.confirmation.judged import frame_of
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.output.venues import SessionVenues
from forwardtrader.live.session.candles import SessionCandles, write_history
from forwardtrader.models.features.bars import Bars
from forwardtrader.models.features.catalogue import FEATURES, matrix, warm_up
from forwardtrader.models.features.incremental_rows import FeatureRows
from forwardtrader.models.forecaster import IncrementalSource, LastValueForecaster, NewBar
from forwardtrader.models.signal_bars import SignalBars, SignalSource
from tests.models.bars import simulated_bars

SYMBOLS = ("BTC/USDT",)


def test_what_features_saw_and_how_venues_were_judged_is_there_after_a_restart(tmp_path: Path) -> None:
    store = SessionStore(tmp_path / "session.db")
    bars = simulated(1, 60)["traded"]
    write_history(tmp_path, {"BTC/USDT": frame_of(bars[:50])})
    store.record([("BTC/USDT", bar) for bar in bars[50:]], [])
    kept = SessionVenues(store, SYMBOLS, confirmed=True)
    judge = VenueJudge(("binance", "kraken"), STEP, ConfirmationSettings(confirm_window=51))
    for bar in bars:
        judge.add("binance", bar)
        judge.decide(bar.at)
    other = Bar(bars[55].at, 1.0, 4.0, 0.5, 2.0, 9.0)
    kept.add("BTC/USDT", other)
    kept.add("BTC/USDT", other._replace(close=3.0))  # a bar that was decided on stays
    kept.save("BTC/USDT", judge.as_dict())
    store.close()

    again = SessionStore(tmp_path / "session.db")
    restored = SessionVenues(again, SYMBOLS, confirmed=True)
    assert restored.books["BTC/USDT"].at(other.at) == other[1:]
    state = restored.load("BTC/USDT")
    assert state is not None
    fresh = VenueJudge(("binance", "kraken"), STEP, ConfirmationSettings(confirm_window=51))
    assert fresh.restore(state) and fresh.as_dict() == judge.as_dict()
    seen = SessionCandles(tmp_path, again, SYMBOLS, signals=restored.books)["BTC/USDT"]
    own = SessionCandles(tmp_path, again, SYMBOLS)["BTC/USDT"]
    assert list(seen.iloc[55]) == list(other[1:])
    pd.testing.assert_frame_equal(seen.drop(seen.index[55]), own.drop(own.index[55]))


def test_a_damaged_state_is_learned_anew(tmp_path: Path) -> None:
    store = SessionStore(tmp_path / "session.db")
    store.keep_venue_state("BTC/USDT", {"version": 1})
    store._db.run("update venues set state = '{'")
    assert SessionVenues(store, SYMBOLS, confirmed=True).load("BTC/USDT") is None
    assert SessionVenues(store, SYMBOLS, confirmed=True).load("ETH/USDT") is None


class Followed:
    """A forecaster whose answer is every feature of the newest bar, followed bar by bar."""

    horizon = 1
    names = tuple(FEATURES)
    warm_up = warm_up(tuple(FEATURES))

    def __init__(self) -> None:
        self.rows = FeatureRows(self.names, 1, 1)
        self.seen: list[np.ndarray] = []

    def on_bar(self, bar: NewBar) -> None:
        if self.rows.at is None:
            self.rows.fill(bar.frame().iloc[-self.warm_up :])
        else:
            self.rows.follow(bar)
        self.seen.append(self.rows.window[0].copy())

    def latest(self, bars: pd.DataFrame) -> None:
        self.seen.append(matrix(Bars.of(bars.iloc[-self.warm_up :]), self.names)[-1])

    def prepare(self) -> None:
        """Nothing is done ahead."""


def test_bars_that_are_followed_are_those_that_features_see_to_the_bit() -> None:
    frame = simulated_bars(Followed.warm_up + 30, seed=3)
    frame.index = pd.date_range("2022-01-01", periods=len(frame), freq="h", tz="UTC").as_unit("ns")
    book, places = SignalBars(), [Followed.warm_up + n for n in (-3, 4, 5, 12)]
    for place in places:
        book.add(int(frame.index[place].timestamp() * 1000), tuple(float(value) * 1.01 for value in frame.iloc[place]))  # type: ignore[arg-type]
    follower, whole = Followed(), matrix(Bars.of(book.seen(frame)), Followed.names)
    source = SignalSource(follower, "BTC/USDT", {"BTC/USDT": book})  # type: ignore[arg-type]
    assert isinstance(source, IncrementalSource)
    for row in range(Followed.warm_up - 1, len(frame)):
        bar, at = frame.iloc[row], [moment.to_pydatetime() for moment in frame.index[row - 1 : row + 1]]
        source.on_bar(
            NewBar(at=at[1], before=at[0], open=bar["open"], high=bar["high"], low=bar["low"], close=bar["close"], volume=bar["volume"],
                   frame=lambda row=row: frame.iloc[: row + 1])  # type: ignore[misc]
        )  # fmt: skip
    np.testing.assert_array_equal(np.array(follower.seen), whole[Followed.warm_up - 1 :])
    assert not np.array_equal(whole, matrix(Bars.of(frame), Followed.names))
    assert frame["close"].iloc[places[1]] != book.seen(frame)["close"].iloc[places[1]]


def test_a_source_that_follows_nothing_and_other_symbols_are_seen_too() -> None:
    frame = simulated_bars(300, seed=4)
    frame.index = pd.date_range("2022-01-01", periods=len(frame), freq="h", tz="UTC").as_unit("ns")
    book = SignalBars([(int(frame.index[290].timestamp() * 1000), (1.0, 2.0, 0.5, 1.5, 3.0))])
    books = {"BTC/USDT": book, "ETH/USDT": SignalBars()}
    plain = LastValueForecaster()
    source = SignalSource(plain, "BTC/USDT", books)
    assert source.latest(frame) == plain.latest(book.seen(frame)) != plain.latest(frame)
    pd.testing.assert_frame_equal(source.batch(frame), plain.batch(book.seen(frame)))
    unchanged = SignalSource(plain, "ETH/USDT", books)
    assert unchanged.latest(frame) == plain.latest(frame)
    assert source.trained_at(frame.index[0].to_pydatetime()) is None
