"""Paper across a restart: whatever bar a session is cut at, going on from its snapshot equals never having stopped."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forwardtrader.core.settings import LearningSettings, RiskSettings, StrategySettings
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.backtrader_data import frame_data
from forwardtrader.feeds.candles import schema as candles
from forwardtrader.feeds.venues.market_rules import market_rules
from forwardtrader.live.output.tables import (
    SCHEMA,
    Rows,
    SessionTables,
    fresh_rows,
    joined,
    kept_tables,
    marks_of,
    rows_of,
    tables_of,
    write_rows,
)
from forwardtrader.live.session.paper_broker import PaperBroker
from forwardtrader.live.session.snapshot import can_be_frozen, freeze, thaw
from forwardtrader.live.session.strategy_guard import BarHook
from forwardtrader.live.sqlite_file import SqliteFile
from forwardtrader.strategies.backtrader.assembly import Feed, build_cerebro, venue_broker
from forwardtrader.strategies.backtrader.bars_frame import epoch_seconds
from forwardtrader.strategies.backtrader.recorders.order_recorder import OrderRecorder
from forwardtrader.strategies.backtrader.recorders.stop_recorder import stops_frame
from forwardtrader.strategies.backtrader.strategy import LSTMStrategy
from forwardtrader.strategies.trading_state.guard import TradingGuard
from forwardtrader.strategies.trading_state.limits import TradingState
from tests.live.session_runner import Momentum

SYMBOLS = ("BTC/USDT", "ETH/USDT")
BARS, FIRST = 400, 60
HOUR = 3_600_000
NOTHING = LearningSettings()
SETTINGS = StrategySettings(cooldown=timedelta(hours=2), fee_bps=1.0, cash=10_000.0)
RESTING = SETTINGS.model_copy(update={"entry": "maker", "entry_deadline": 5, "spread_bps": 100.0, "margin": 0.0, "volume_share": 0.3})


def made_bars(seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    close = np.round(100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.012, BARS))), 2)
    opened = np.round(np.concatenate([[100.0], close[:-1]]) * np.exp(rng.normal(0.0, 0.001, BARS)), 2)
    high, low = np.maximum(opened, close) * 1.004, np.minimum(opened, close) * 0.996
    return candles.from_arrays(np.arange(BARS, dtype=np.int64) * HOUR, opened, high, low, close, np.full(BARS, 5.0))


FRAMES = {symbol: made_bars(seed) for seed, symbol in enumerate(SYMBOLS, start=3)}


def play(
    frames: dict[str, pd.DataFrame], since: int, done: Any, *, exactbars: int = 0, risk: RiskSettings | None = None,
    settings: StrategySettings = SETTINGS, learning: LearningSettings = NOTHING,
) -> Any:  # fmt: skip
    """The strategy on these bars, trading from the bar opened at `since` (ms); `done(strategy, at)` after each."""
    feeds = []
    for symbol, frame in frames.items():
        data = frame_data(frame, Timeframe.parse("1h"), name=symbol)
        feeds.append(Feed(data=data, rules=market_rules(symbol, "binance"), timeframe=Timeframe.parse("1h"), source=Momentum()))
    broker = venue_broker([feed.rules for feed in feeds], settings, kind=PaperBroker)
    hook = {"done": lambda strategy, number: done(strategy, round(epoch_seconds(number) * 1000)), "_name": "hook"}
    cerebro = build_cerebro(
        feeds, settings, broker=broker, analyzers=[(OrderRecorder, {"_name": "orders"}), (BarHook, hook)], runonce=False, preload=False,
        trade_from=pd.Timestamp(since, unit="ms", tz="UTC").to_pydatetime(), exactbars=exactbars,
        guard=TradingGuard.of(risk or RiskSettings()), learning=learning,
    )  # fmt: skip
    [run] = cerebro.run()
    return run


@dataclass(frozen=True)
class Whole:
    """A run that was never cut: after each bar (ms) its snapshot, and what its recorders had collected since the bar before."""

    frozen: dict[int, str]
    rows: dict[int, Rows]
    last: SessionTables
    settings: StrategySettings = SETTINGS
    learning: LearningSettings = NOTHING

    def tables(self, folder: Path, until: int) -> SqliteFile:
        db = SqliteFile(folder / f"{until}.db", SCHEMA)
        for at, rows in self.rows.items():
            if at <= until:
                write_rows(db, rows)
        return db


@pytest.fixture(scope="module")
def whole() -> Whole:
    return run_whole(SETTINGS)


@pytest.fixture(scope="module")
def resting() -> Whole:
    return run_whole(RESTING)


@pytest.fixture(scope="module")
def taught() -> Whole:
    return run_whole(RESTING, LearningSettings(costs=True, costs_prior=1.0, edge=True, volatility=True, volatility_memory="3d"))


def run_whole(settings: StrategySettings, learning: LearningSettings = NOTHING) -> Whole:
    frozen: dict[int, str] = {}
    rows: dict[int, Rows] = {}

    def done(strategy: Any, at: int) -> None:
        frozen[at], rows[at] = json.dumps(freeze(strategy)), rows_of(strategy)

    run = play(FRAMES, FIRST * HOUR, done, settings=settings, learning=learning)
    return Whole(frozen, rows, tables_of(fresh_rows(run)), settings, learning)


def test_what_is_cut_holds_orders_of_every_kind(whole: Whole) -> None:
    saved = [json.loads(text) for text in whole.frozen.values()]
    assert sum(len(rows.fills) for rows in whole.rows.values()) > 40
    assert {"Market", "Stop"} <= {order[4] for rows in whole.rows.values() for order in rows.orders}
    for name in ("submitted", "pending", "news"):
        assert sum(bool(one[name]) for one in saved) > 20
    assert sum(any(size for _, size, _ in one["positions"]) for one in saved) > 100


@pytest.mark.parametrize("cut", (67, 140, 213, 305, 371))
def test_a_run_that_goes_on_from_a_snapshot_equals_one_that_never_stopped(whole: Whole, cut: int, tmp_path: Path) -> None:
    goes_on_alike(whole, cut, tmp_path)


def test_a_snapshot_of_an_earlier_version_knows_of_no_entry_that_rests(whole: Whole, tmp_path: Path) -> None:
    cut = 140
    saved = json.loads(whole.frozen[cut * HOUR])
    for desk in saved["desks"].values():
        del desk["entering"], desk["entry"], desk["entry_price"]
    goes_on_alike(replace(whole, frozen=whole.frozen | {cut * HOUR: json.dumps(saved)}), cut, tmp_path)


def test_a_run_that_is_cut_while_an_entry_rests_half_filled_equals_one_that_never_stopped(resting: Whole, tmp_path: Path) -> None:
    orders = {at // HOUR: json.loads(text)["orders"] for at, text in resting.frozen.items()}
    halves = [at for at, known in orders.items() if any(o["entry"]["executed"][0] for o in known if "entry" in o)]
    fresh = [at for at, known in orders.items() if any(o["entry"]["tried_at"] is None for o in known if "entry" in o)]
    assert len(halves) > 3
    for cut in (halves[-1], fresh[-1]):
        (tmp_path / str(cut)).mkdir()
        goes_on_alike(resting, cut, tmp_path / str(cut))


def test_what_was_learned_from_outcomes_goes_on_from_a_snapshot_to_the_bit(taught: Whole, tmp_path: Path) -> None:
    orders = {at // HOUR: json.loads(text)["orders"] for at, text in taught.frozen.items()}
    halves = [at for at, known in orders.items() if any(o["entry"]["executed"][0] for o in known if "entry" in o)]
    learned = [json.loads(text)["strategy"]["learning"] for text in taught.frozen.values()]
    assert len({json.dumps(one["edge"]) for one in learned}) > 100
    assert any(one["fills"] > 5 for one in learned[-1]["symbols"].values())
    goes_on_alike(taught, halves[len(halves) // 2], tmp_path)


def goes_on_alike(whole: Whole, cut: int, tmp_path: Path) -> None:
    at, db = cut * HOUR, whole.tables(tmp_path, cut * HOUR)
    seen: dict[int, str] = {}

    def go_on(strategy: Any, now: int) -> None:
        if now == at:
            thaw(strategy, json.loads(whole.frozen[at]))
            rows_of(strategy)  # of bars that are kept
        elif now > at:
            write_rows(db, rows_of(strategy))
            seen[now] = json.dumps(freeze(strategy))

    warm = {s: f.iloc[cut + 1 - Momentum.warm_up :] for s, f in FRAMES.items()}
    run = play(warm, at + HOUR, go_on, exactbars=1, settings=whole.settings, learning=whole.learning)
    assert len(run) == BARS - cut - 1 + Momentum.warm_up  # no older bar was played
    everything = whole.tables(tmp_path, BARS * HOUR)
    since = pd.Timestamp(FIRST * HOUR, unit="ms", tz="UTC")
    got = joined(kept_tables(db, SYMBOLS, marks_of(db)), tables_of(fresh_rows(run)), since)
    due = joined(kept_tables(everything, SYMBOLS, marks_of(everything)), whole.last, since)
    for name in ("fills", "orders", "equity"):
        pd.testing.assert_frame_equal(getattr(got, name), getattr(due, name), check_exact=True)
    pd.testing.assert_frame_equal(stops_frame(got.stops), stops_frame(due.stops), check_exact=True)
    assert {now: numbered(text) for now, text in seen.items()} == {now: numbered(whole.frozen[now]) for now in seen}
    db.close()
    everything.close()


def test_limits_of_the_account_go_on_from_a_snapshot_too() -> None:
    risk = RiskSettings(max_drawdown=0.02, drawdown_rearm=timedelta(days=2), max_daily_loss=0.004, max_losing_streak=2)
    cut, frames, whole, seen = 160 * HOUR, {s: f.iloc[:240] for s, f in FRAMES.items()}, {}, {}
    compared = range(cut, 240 * HOUR, 20 * HOUR)

    def never_cut(strategy: Any, now: int) -> None:
        if now in compared:
            whole[now] = json.dumps(freeze(strategy))

    def go_on(strategy: Any, now: int) -> None:
        if now == cut:
            thaw(strategy, json.loads(whole[now]))
        if now in compared:
            seen[now] = json.dumps(freeze(strategy))

    play(frames, FIRST * HOUR, never_cut, risk=risk)
    play({s: f.iloc[161 - Momentum.warm_up :] for s, f in frames.items()}, cut + HOUR, go_on, exactbars=1, risk=risk)
    assert {now: numbered(text) for now, text in seen.items()} == {now: numbered(text) for now, text in whole.items()}
    limits = numbered(whole[max(whole)])["limits"]
    assert limits["count"] > 3
    assert sum(limits["refused"].values()) > 20


def test_a_snapshot_of_a_version_without_limits_starts_active(whole: Whole) -> None:
    cut, states = 371 * HOUR, []

    def go_on(strategy: Any, now: int) -> None:
        if now == cut:
            thaw(strategy, json.loads(whole.frozen[now]))
        states.append(strategy.broker.guard.trading_state)

    play({s: f.iloc[372 - Momentum.warm_up :] for s, f in FRAMES.items()}, cut + HOUR, go_on, risk=RiskSettings(max_drawdown=0.5))
    assert set(states) == {TradingState.ACTIVE}


def numbered(text: str) -> dict[str, Any]:
    """A snapshot in which orders are numbered from the oldest one on, as Backtrader counts them anew in each process."""
    saved = json.loads(text)
    short = {order["ref"]: number for number, order in enumerate(saved["orders"])}
    for order in saved["orders"]:
        order["ref"] = short[order["ref"]]
    for name in ("submitted", "pending", "told"):
        saved[name] = [short[ref] for ref in saved[name]]
    saved["news"] = [[short[ref], status] for ref, status in saved["news"]]
    saved["numbers"][1] = sorted([short[ref], number] for ref, number in saved["numbers"][1] if ref in short)
    for desk in saved["desks"].values():
        desk["trade"], desk["stop"], desk["entry"] = (short.get(desk[name], -1) for name in ("trade", "stop", "entry"))
        desk["behind"] = min(desk["behind"], 1)  # whether this bar was decided on
    saved["refused"] = {}
    return saved


def test_only_a_strategy_whose_memory_is_known_is_frozen() -> None:
    class Theirs(LSTMStrategy):
        pass

    assert can_be_frozen(LSTMStrategy)
    assert not can_be_frozen(Theirs)


def test_the_names_in_a_snapshot_are_those_that_earlier_versions_wrote(whole: Whole) -> None:
    """A running `var/` is resumed after an upgrade: what is renamed in the code keeps its name in the file."""
    saved = json.loads(next(iter(whole.frozen.values())))
    kept = (
        "version",
        "cash",
        "starting_cash",
        "muted",
        "refused",
        "positions",
        "orders",
        "submitted",
        "pending",
        "news",
        "strategy",
        "desks",
    )
    assert tuple(saved) == (*kept, "numbers", "told")
    desk = {"busy", "resting", "guarded", "too_small", "behind", "trade", "stop"}
    assert set(next(iter(saved["desks"].values()))) == desk | {"entering", "entry", "entry_price"}  # which earlier versions lack
    assert set(saved["strategy"]) == {"version", "risk", "books", "correlations"}
