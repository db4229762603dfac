"""A session's folder as one of a few bars would leave it, made in a moment; and one that runs, as far as its mailbox is asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from forwardtrader.core.clock import SystemClock
from forwardtrader.core.types import Forecast
from forwardtrader.feeds.candles.bar import Bar
from forwardtrader.live import control
from forwardtrader.live.mailbox import Mailbox
from forwardtrader.live.output.store import SessionStore
from forwardtrader.reports.pages.session_status import SessionState
from tests.live.recorded_session import BEGAN, STEP, moment, rows
from tests.reports import simulated_session

SYMBOL: Final = "BTC/USDT"
BARS: Final = 20
SNAPSHOT: Final = {
    "positions": [[SYMBOL, 0.1, 101.5]],
    "orders": [{"ref": 7, "symbol": SYMBOL, "buys": False, "kind": 3, "size": 0.1, "price": 95.0}],
    "pending": [7],
    "submitted": [],
}


def write_session(sessions: Path, name: str = "one", **status: object) -> Path:
    """A session that ended, with a position, its stop and a forecast."""
    folder = sessions / name
    folder.mkdir(parents=True)
    with closing(SessionStore(folder / "session.db")) as store:
        for bar in range(BARS):
            add_bar(store, bar)
    own = {
        "name": name,
        "timeframe": "5m",
        "state": SessionState.STOPPED,
        "positions": [],
        "open_orders": [],
        "exchanges": ["binance (practice)"],
    }
    simulated_session.write(folder, bars=0, **own, updated=moment(BARS), last_bar=moment(BARS - 1), next_bar=moment(BARS), **status)
    control.lock_of(folder).touch()
    return folder


def add_bar(store: SessionStore, bar: int) -> None:
    """One more bar, and what follows from it."""
    at = BEGAN + bar * STEP
    forecast = Forecast(
        at=moment(bar), horizon=4, location=0.0012, scale=0.01, quantiles=(-0.02, -0.006, 0.001, 0.008, 0.02), p_up=0.55, model_id="model-7"
    )
    closed = [(SYMBOL, Bar(at, 100.0, 101.0, 99.0, 100.5, 3.0))]
    store.record(closed, [(SYMBOL, forecast)], rows=rows(range(bar, bar + 1), (SYMBOL,), BARS), snapshot=(at, SNAPSHOT))


@contextmanager
def obeying(folder: Path) -> Iterator[list[str]]:
    """While the block runs, somebody holds the session and answers its commands; yields the names of those that came."""
    over, seen = threading.Event(), list[str]()

    def obey(inbox: Mailbox) -> None:
        while not over.is_set():
            for command in inbox.take():
                seen.append(str(command.verb))
                refused = command.verb == "flatten"
                inbox.answer(
                    command, "0.1 BTC/USDT NOT sold" if refused else f"{command.verb}d until --resume (after bar 12:00)", obeyed=not refused
                )
            time.sleep(0.01)

    with control.held(control.lock_of(folder), "the session"):
        thread = threading.Thread(target=obey, args=(Mailbox(folder, SystemClock()),))
        thread.start()
        try:
            yield seen
        finally:
            over.set()
            thread.join()
