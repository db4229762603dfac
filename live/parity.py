"""`python -m live.parity NAME`: replay a recorded session through the backtest and lay the two side by side, bar by bar."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from rich.console import Console

from core.clock import Clock, SystemClock
from core.command import end_well
from core.config import load_settings
from core.errors import ConfigError, RunUnreadable
from core.settings import Settings
from core.types import MarketRules, Timeframe
from feeds.bt_feeds import frame_data
from feeds.factor_book import FactorBook
from feeds.market_rules import market_rules
from live.bt_bar_hook import BarHook
from live.control import Verb
from live.live_facts import LATE
from live.paper_broker import PaperBroker
from live.parity_shortfall import measured
from live.session_files import CANDLES, EQUITY, FILLS, FORECASTS, HISTORY, ORDERS, split_table
from live.session_store import SessionStore
from models.appointments import AppointmentLog, Author
from models.forecaster import ForecastSource
from models.learned_walk import Order, learned_walk
from models.walk_forward_forecast import walk_forward
from models.walk_forward_source import WalkForwardSource
from reports.parity_page import SHARES, Difference, Parity, Shortfall, write_parity
from reports.session_status import SessionStatus, read_status
from strategies.assembly import Feed, build_cerebro, load_strategy, record_of, venue_broker
from strategies.bars_frame import epoch_seconds
from strategies.bt_order_recorder import OrderRecorder
from strategies.forecast_strategy import LSTMStrategy

EXTRA_BARS: Final = 256
CENT: Final = 0.005
VENUE_ROUNDING: Final = 1e-7  # venues keep eight decimals
_MOST_LISTED: Final = 200
_KEYS: Final = {"forecasts": ("timestamp", "symbol"), "orders": (), "fills": (), "equity": ("timestamp",)}
_FORECAST: Final = ("location", "scale", "q05", "q25", "q50", "q75", "q95", "p_up", "model_id")
_FILL: Final = ("timestamp", "symbol", "side", "size", "price", "fee", "fee_currency", "reason")
_ORDER: Final = ("timestamp", "symbol", "side", "size", "kind", "price", "limit", "reason", "refusal")


@dataclass(frozen=True)
class Recorded:
    """A session as its folder tells it. Tables as written; `notes` and `commands` from its database."""

    status: SessionStatus
    settings: Settings
    first_live: datetime
    strategy: str
    histories: dict[str, pd.DataFrame]
    candles: dict[str, pd.DataFrame]
    tables: dict[str, pd.DataFrame]
    commands: list[tuple[int, str]]
    notes: list[dict[str, Any]]
    orders: tuple[Order, ...] = ()

    @property
    def timeframe(self) -> Timeframe:
        return Timeframe.parse(self.status.timeframe)

    @property
    def is_filled_by_book(self) -> bool:
        """Whether a venue's own prices filled the orders, and not the bar rule of the practice exchange."""
        practice = any("(practice)" in name for name in self.status.exchanges)
        return self.status.mode == "live" and (not practice or self.settings.live.practice_fills == "book")

    @property
    def whole(self) -> dict[str, pd.DataFrame]:
        """History and the session's own bars."""
        return {symbol: pd.concat([frame, self.candles[symbol]]) for symbol, frame in self.histories.items()}

    def rules(self, symbol: str) -> MarketRules:
        return market_rules(symbol, self.settings.feeds.exchange, store_path=self.settings.feeds.store_path)


def compare(folder: Path, clock: Clock, sources: Mapping[str, ForecastSource] | None = None) -> Parity:
    """Replay the session in `folder` and compare; the result is also written there.

    Args:
        sources: where the session's forecasts came from, if not from the models of the calendar.

    Raises:
        RunUnreadable: the folder holds no session, or one without bars.
    """
    session = read_session(folder)
    replayed = replay(session, sources)
    if session.strategy and session.tables["forecasts"].empty:  # it does not ask for any
        replayed["forecasts"] = session.tables["forecasts"]
    book = session.is_filled_by_book
    allowed = (
        {"forecasts": 0.0}
        if book
        else {"forecasts": 0.0, "orders": 0.0, "fills": VENUE_ROUNDING if session.status.mode == "live" else 0.0, "equity": CENT}
    )
    differences = [d for name, most in allowed.items() for d in differing(name, session.tables[name], replayed[name], most)]
    differences.sort(key=lambda d: d.at)
    unequal = {d.what.partition(":")[0] for d in differences}
    parity = Parity(
        name=session.status.name,
        bars=len(session.tables["equity"]),
        forecasts_equal="forecasts" not in unequal,
        orders_equal=None if book else "orders" not in unequal,
        fills_equal=None if book else not unequal & {"fills", "equity"},
        shortfall=_shortfall(session, replayed, folder) if book else None,
        first_difference=with_cause(differences[0], session.notes) if differences else None,
        compared={name: len(session.tables[name]) for name in ("forecasts", "orders", "fills", "equity")},
        differences=differences[:_MOST_LISTED],
        made=clock.now(),
        deviations=[_told(note) for note in session.notes if note["kind"] in _CAUSES],
    )
    write_parity(folder, parity)
    return parity


def _shortfall(session: Recorded, replayed: Mapping[str, pd.DataFrame], folder: Path) -> Shortfall:
    ends = (float(session.tables["equity"]["equity"].iloc[-1]), float(replayed["equity"]["equity"].iloc[-1]))
    return measured(folder, session.candles, ends, session.settings.strategies)


def read_session(folder: Path) -> Recorded:
    """Read everything a session left.

    Raises:
        RunUnreadable: something is missing.
    """
    status = read_status(folder)
    try:
        plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
        names = {"forecasts": FORECASTS, "orders": ORDERS, "fills": FILLS, "equity": EQUITY}
        tables = {name: pd.read_parquet(folder / file) for name, file in names.items()}
        histories, candles = (split_table(pd.read_parquet(folder / name)) for name in (HISTORY, CANDLES))
    except (OSError, ValueError, KeyError) as error:
        raise RunUnreadable(f"{folder} does not hold a session that has seen a bar ({error}); let it run first") from error
    tables["equity"] = tables["equity"].reset_index(names="timestamp")
    if not candles:
        raise RunUnreadable(f"{folder} holds no bars yet; let the session run first")
    store = SessionStore(folder / "session.db")
    flat = {f"{room}.{key}": value for room, branch in status.config.items() for key, value in branch.items()}
    try:
        return Recorded(
            status, load_settings(overrides=flat, environment={}), datetime.fromisoformat(plan["first_live"]), plan["strategy"],
            histories, candles, tables, store.commands(), store.notes(), _orders(folder),
        )  # fmt: skip
    finally:
        store.close()


def _orders(folder: Path) -> tuple[Order, ...]:
    """What persons ordered about models, and from which bar on it held."""
    told = [e for e in AppointmentLog(folder).entries() if e.by is Author.PERSON and e.since is not None]
    return tuple(Order(e.since, e.model_id, e.deed, e.reason) for e in told if e.since is not None)


def replay(session: Recorded, sources: Mapping[str, ForecastSource] | None = None) -> dict[str, pd.DataFrame]:
    """The same bars through the backtest: the walk-forward of its own, and the same assembly."""
    settings, first, whole = session.settings, session.first_live, session.whole
    sources = sources or _walked(session)
    feeds = []
    for symbol, frame in whole.items():
        begin = int(frame.index.searchsorted(pd.Timestamp(first)))
        data = frame_data(frame.iloc[max(0, begin - sources[symbol].warm_up - EXTRA_BARS) :], session.timeframe, name=symbol)
        feeds.append(Feed(data=data, rules=session.rules(symbol), timeframe=session.timeframe, source=sources[symbol]))
    commands = _Commands(session.commands)
    broker = venue_broker([f.rules for f in feeds], settings.strategies, trade_from=first.timestamp(), kind=PaperBroker)
    cerebro = build_cerebro(
        feeds, settings.strategies, strategy=load_strategy(session.strategy) if session.strategy else LSTMStrategy, trade_from=first,
        broker=broker if session.commands else None,
        analyzers=[(OrderRecorder, {"_name": "orders"}), (BarHook, {"done": commands.bar_done, "_name": "commands"})],
    )  # fmt: skip
    [run] = cerebro.run()
    record, since = record_of(run), pd.Timestamp(first)
    orders = run.analyzers.orders.frame()
    told = [
        sources[s].batch(frame).loc[since:].reset_index(names="timestamp").assign(symbol=s, horizon=sources[s].horizon)
        for s, frame in whole.items()
    ]
    forecasts = pd.concat(told, ignore_index=True)
    return {
        "forecasts": forecasts[forecasts["model_id"].astype(str) != ""].sort_values(["timestamp", "symbol"], ignore_index=True),
        "orders": orders[orders["timestamp"] >= since].reset_index(drop=True),
        "fills": record.fills[record.fills["timestamp"] >= since].reset_index(drop=True),
        "equity": record.equity[record.equity.index >= since].reset_index(names="timestamp"),
    }


def _walked(session: Recorded) -> dict[str, ForecastSource]:
    last = max(frame.index[-1] for frame in session.candles.values()).to_pydatetime() + session.timeframe.delta
    book = FactorBook(session.settings.feeds.factors, session.timeframe)
    candles = {symbol: book.beside(frame) for symbol, frame in session.whole.items()}
    settings = session.settings
    walk = walk_forward(candles, session.first_live, last, settings=settings.models, timeframe=session.timeframe)
    walk = learned_walk(walk, session.first_live, last, learning=settings.learning, timeframe=session.timeframe, orders=session.orders)
    return {s: WalkForwardSource(walk, s, session.settings.strategies.horizon, session.timeframe) for s in session.whole}


class _Commands:
    """What a person told the session takes effect after the same bars again."""

    def __init__(self, commands: list[tuple[int, str]]) -> None:
        self._by_bar: dict[int, list[Verb]] = {}
        for bar, name in commands:
            self._by_bar.setdefault(bar, []).append(Verb(name))

    def bar_done(self, strategy: Any, number: float) -> None:
        for verb in self._by_bar.pop(round(epoch_seconds(number) * 1000), []):
            self._apply(strategy, strategy.broker, verb)

    @staticmethod
    def _apply(strategy: Any, broker: Any, verb: Verb) -> None:
        if verb in (Verb.PAUSE, Verb.FLATTEN):
            broker.muted = True
        if verb is Verb.RESUME:
            broker.muted = False
        if verb in (Verb.FLATTEN, Verb.CANCEL, Verb.KILL):
            for order in list(broker.get_orders_open()):
                broker.cancel(order)
        for data in strategy.datas if verb is Verb.FLATTEN else ():
            if (size := broker.getposition(data).size) > 0:
                broker.sell(strategy, data, size, reason="flatten", role="flatten")


def differing(name: str, session: pd.DataFrame, replayed: pd.DataFrame, allowed: float = 0.0) -> list[Difference]:
    """All differences of one kind of table, numbers that differ by less than `allowed` left out.

    Forecasts, orders and paper fills must be equal to the last bit, equity to the cent, fills at a venue to its rounding.
    """
    columns = {"forecasts": _FORECAST, "orders": _ORDER, "fills": _FILL, "equity": ("equity", "cash")}[name]
    left, right = _keyed(name, session), _keyed(name, replayed)
    found = [_lone(name, row, "nothing", key, session=False) for key, row in left.loc[left.index.difference(right.index)].iterrows()]
    found += [_lone(name, row, "nothing", key, session=True) for key, row in right.loc[right.index.difference(left.index)].iterrows()]
    both = left.index.intersection(right.index)
    a, b = left.loc[both], right.loc[both]
    for column in columns:
        for place in np.flatnonzero(_unequal(a[column], b[column], allowed)).tolist():
            symbol = f" {a['symbol'].iloc[place]}" if "symbol" in a.columns else ""
            found.append(
                Difference(
                    at=_time(a.iloc[place], both[place]), what=f"{name}: {column}{symbol}", session=_text(a[column].iloc[place]),
                    replay=_text(b[column].iloc[place]),
                )
            )  # fmt: skip
    return found


def with_cause(difference: Difference, notes: list[dict[str, Any]]) -> Difference:
    """The first difference with the newest recorded deviation before it, which is the likely cause."""
    before = [note for note in notes if note["kind"] in _CAUSES]
    if not before:
        return difference
    return difference.model_copy(update={"what": f"{difference.what} (after: {_told(before[0])})"})


_CAUSES: Final = {
    "model_late": "a model came late, the old one went on",
    "training_failed": "a model could not be trained",
    "iteration_failed": "the strategy failed at a bar",
    "bar_not_awaited": "a bar of one symbol was not waited for",
    "venues_disagreed": "the venues disagreed about the price, and no position was entered",
    LATE: "a factor's value came later than its file says",
}


def _told(note: Mapping[str, Any]) -> str:
    facts = ", ".join(f"{name} {value}" for name, value in note["facts"].items())
    return f"{_CAUSES[note['kind']]} ({facts})"


def _keyed(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """By time and symbol where that is unique, else by place."""
    if name == "forecasts":
        return table.set_index(["timestamp", "symbol"], drop=False)
    if name == "equity":
        return table.set_index("timestamp", drop=False)
    # Which symbol's order was answered first within a bar says nothing.
    return table.sort_values(["timestamp", "symbol"], kind="stable", ignore_index=True)


def _unequal(a: pd.Series[Any], b: pd.Series[Any], tolerance: float) -> np.ndarray[Any, np.dtype[np.bool_]]:
    if a.dtype.kind == "f" and b.dtype.kind == "f":
        x, y = a.to_numpy(), b.to_numpy()
        return np.asarray(~((x == y) | (np.abs(x - y) < tolerance) | (np.isnan(x) & np.isnan(y))))
    return np.asarray(a.astype(str).to_numpy() != b.astype(str).to_numpy())


def _lone(name: str, row: pd.Series[Any], other: str, key: Any, *, session: bool) -> Difference:
    shown = ", ".join(f"{c} {_text(row[c])}" for c in row.index if c in ("symbol", "side", "size", "price", "location", "equity"))
    left, right = (other, shown) if session else (shown, other)
    return Difference(at=_time(row, key), what=f"{name}: only in the {'replay' if session else 'session'}", session=left, replay=right)


def _time(row: pd.Series[Any], key: Any) -> datetime:
    moment: datetime = pd.Timestamp(row["timestamp"] if "timestamp" in row.index else key).to_pydatetime()
    return moment


def _text(value: Any) -> str:
    return repr(float(value)) if isinstance(value, float | np.floating) else str(value)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m live.parity", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", help="the session")
    parser.add_argument("--sessions", type=Path, help="where sessions are kept (live.sessions_path)")
    given = parser.parse_args(argv)
    return end_well(lambda: _command(given))


def _command(given: argparse.Namespace) -> int:
    folder = (given.sessions or Path(load_settings().live.sessions_path)) / given.name
    if not folder.is_dir():
        raise ConfigError(f"there is no session {given.name!r} in {folder.parent}; start one with run_live.py --session {given.name}")
    parity = compare(folder, SystemClock())
    console = Console(highlight=False)
    counts = ", ".join(f"{count} {name}" for name, count in parity.compared.items())
    if parity.equal and parity.shortfall is not None:
        cost = parity.shortfall
        console.print(
            f"forecasts equal in {parity.bars} bars; {cost.orders} orders cost {cost.total:,.2f} ({cost.total_bps:.1f} bp,", end=" "
        )
        console.print(f"{cost.assumed_bps:.1f} assumed): {_parts(cost)}; see {folder / 'parity.html'}")
        return 0
    if parity.equal:
        console.print(f"equal: {parity.bars} bars, {counts}; see {folder / 'parity.html'}")
        return 0
    first = parity.first_difference
    assert first is not None
    console.print(f"NOT EQUAL: {len(parity.differences)} differences in {parity.bars} bars, {counts}; see {folder / 'parity.html'}")
    console.print(f"first at {first.at:%Y-%m-%d %H:%M}, {first.what}: session {first.session}, replay {first.replay}")
    return 6


def _parts(cost: Shortfall) -> str:
    return ", ".join(f"{name} {getattr(cost, name):,.2f}" for name in SHARES)


if __name__ == "__main__":
    raise SystemExit(main())
