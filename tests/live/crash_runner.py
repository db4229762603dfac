"""`python -m tests.live.crash_runner SPEC`: a Backtrader run that dies at a named point of an order's life, as if by a power cut.

SPEC is JSON: `venue` (what `said_of` names), `journal` (path), `bars`, `point`, `count` (die at the count-th time).
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import backtrader as bt

from forwardtrader.live.execution.events import Execution, Intent
from forwardtrader.live.execution.journal import IntentState, Journal
from forwardtrader.live.execution.order_lookup import OrderLookup
from forwardtrader.live.execution.venue_orders import VenueOrders
from tests.live.market import Script, play, store_on

UNSENT = (
    "before the intent is written", "before SQLite has the intent", "before the disk has the intent", "before it is claimed for sending",
)  # fmt: skip
POINTS = (
    *UNSENT, "after the intent is written", "after it is claimed for sending", "after the answer", "before it is acknowledged",
    "after it is acknowledged", "before an execution is booked", "after an execution is booked", "before it is done", "after it is done",
    "before a cancel", "after a cancel",
)  # fmt: skip
_TEMPTED_S = 0.3  # by then an order that did not wait for its intent would have left


class Fuse:
    """Ends the process when the point was reached often enough."""

    def __init__(self, point: str, count: int) -> None:
        self.point, self.left = point, count

    def at(self, point: str, *, after_s: float = 0.0) -> None:
        self.left -= point == self.point
        if not self.left:
            time.sleep(after_s)
            os.kill(os.getpid(), signal.SIGKILL)


class DyingJournal(Journal):
    """A journal whose process dies around its writes."""

    fuse: Fuse

    is_open = False

    def write(self, intent: Intent, held: Sequence[Intent] = ()) -> bool:
        self.is_open = True
        return self._around("the intent is written", lambda: super(DyingJournal, self).write(intent, held))

    def _insert(self, intent: Intent, state: IntentState) -> bool:
        if self.is_open:  # not one that is restored from the log
            self.fuse.at("before SQLite has the intent", after_s=_TEMPTED_S)
        return super()._insert(intent, state)

    def _put(self, intent: Intent, state: IntentState, held: Sequence[Intent] = ()) -> None:
        self.fuse.at("before the disk has the intent", after_s=_TEMPTED_S)
        super()._put(intent, state, held)

    def claim(self, client_id: str) -> bool:
        return self._around("it is claimed for sending", lambda: super(DyingJournal, self).claim(client_id))

    def mark(self, client_id: str, state: IntentState, *, venue_id: str = "", note: str = "") -> None:
        words = {IntentState.ACKNOWLEDGED: "it is acknowledged", IntentState.DONE: "it is done"}
        self._around(words.get(state, ""), lambda: super(DyingJournal, self).mark(client_id, state, venue_id=venue_id, note=note))

    def book(self, execution: Execution) -> bool:
        return self._around("an execution is booked", lambda: super(DyingJournal, self).book(execution))

    def _around(self, what: str, work: Callable[[], Any]) -> Any:
        self.fuse.at(f"before {what}")
        done = work()
        self.fuse.at(f"after {what}")
        return done


def lay(fuse: Fuse) -> None:
    """Put the fuse around what the account sends, too."""
    on_order, cancel = VenueOrders.on_order, OrderLookup.cancel

    async def dying_on_order(self: Any, order: Any) -> None:
        fuse.at("after the answer")
        await on_order(self, order)

    async def dying_cancel(self: Any, intent: Any) -> None:
        fuse.at("before a cancel")
        await cancel(self, intent)
        fuse.at("after a cancel")

    VenueOrders.on_order = dying_on_order  # type: ignore[method-assign]
    OrderLookup.cancel = dying_cancel  # type: ignore[method-assign]


class Trader(Script):
    """Buys or sells, rests, regrets, by turns; decided from the bar's own time, so that a restart goes on where it was."""

    def next(self) -> None:
        super().next()
        if not self.data.is_current:
            return
        turn, resting = self.data.datetime.datetime(0).minute % 3, self.broker.get_orders_open()
        if resting:
            self.cancel(resting[0])
        elif turn == 0:
            self.sell(size=0.01) if self.position.size > 0.015 else self.buy(size=0.01)
        elif turn == 1:
            self.buy(size=0.01, price=round(self.data.close[0] * 0.9, 2), exectype=bt.Order.Limit)


class Place:
    """What `store_on` and `Lockstep` need of a practice exchange that another process started."""

    def __init__(self, said: dict[str, Any]) -> None:
        from forwardtrader.sandbox.process import SandboxHandle

        handle = SandboxHandle(None, {**said, "seed": 0})
        self.__dict__.update(vars(handle))
        self.state, self.advance, self.control = handle.state, handle.advance, handle.control
        self.market_time = handle.market_time


def said_of(venue: Any) -> dict[str, Any]:
    """What another process needs of a practice exchange."""
    names = ("protocol", "symbols", "url", "ws_url", "api_key", "api_secret", "admin_url", "admin_token")
    return {name: getattr(venue, name) for name in names}


def main() -> None:
    spec = json.loads(sys.argv[1])
    venue: Any = Place(spec["venue"])
    fuse = DyingJournal.fuse = Fuse(spec["point"], spec["count"])
    lay(fuse)
    store = store_on(venue, DyingJournal(Path(spec["journal"])), run="one")
    play(venue, store, Trader, spec["bars"], symbols=tuple(venue.symbols))
    sys.exit(7)  # it should have died


if __name__ == "__main__":
    main()
