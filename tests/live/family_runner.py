"""`python -m tests.live.family_runner SPEC`: a run with orders that belong together, which dies at a named point of their life.

SPEC is JSON: `venue` and `journal` as in `crash_runner`, `bars`, `point`, `count`; `family`: bracket, resting bracket,
partial bracket, pair, trailing or entry (post-only, then at the market);
`rises`: the live bar at which the market reaches its target, or null.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import backtrader as bt

from forwardtrader.live.execution.events import Intent
from tests import PATIENCE_S
from tests.live.crash_runner import DyingJournal, Fuse, Place, lay
from tests.live.market import Script, play, store_on

STOP, TARGET = 0.9, 1.1  # shares of the close
SIZE = 0.02
TRAIL = 0.05


class FamilyJournal(DyingJournal):
    """Dies around orders that wait, too."""

    def release(self, intent: Intent) -> bool:
        return bool(self._around("a held order is released", lambda: super(FamilyJournal, self).release(intent)))

    def hold(self, intent: Intent) -> bool:
        held = super().hold(intent)
        if intent.replaces:
            self.fuse.at("after room is made")
        return held


def reach(venue: Any, s: Any, price: float) -> None:
    """Move the market, and wait until the feed has the price."""
    venue.control("price", price=price)
    until = time.monotonic() + PATIENCE_S
    while abs(s.broker.store.prices.get(s.data._name, 0) / price - 1) > 0.001 and time.monotonic() < until:
        time.sleep(0.01)


def enter(s: Any, price: float, *, then: str = "market", bars: int = 2, size: float = SIZE, sells: bool = False) -> Any:
    """A post-only entry."""
    valid = timedelta(seconds=(bars + 0.5) * s.data.context.timeframe.seconds)
    send = s.sell if sells else s.buy
    return send(size=size, price=price, exectype=bt.Order.Limit, valid=valid, post_only=then, role="trade")


class Family(Script):
    """Makes one family of orders at its first live bar, and moves the market to the target at a later one.

    Params:
        family: which one.
        rises: at which live bar the market reaches the target; None for never.
    """

    params = (("family", "bracket"), ("exchange", None), ("rises", None))

    def next(self) -> None:
        super().next()
        if not self.data.is_current:
            return
        price = self.data.close[0]
        if self.live_bars == 0 and not self.broker.get_orders_open() and not self.position.size:
            self.begin(price)
        elif self.p.family == "pair" and self.live_bars == 2:
            loss = self.sell(size=SIZE, exectype=bt.Order.Stop, price=price * STOP)
            self.sell(size=SIZE, exectype=bt.Order.Limit, price=price * TARGET, oco=loss)
        elif self.p.family == "trailing" and self.live_bars == 2:
            self.sell(size=SIZE, price=price * STOP, exectype=bt.Order.StopTrail, trailpercent=TRAIL)  # the next bar moves it
        if self.p.family == "partial bracket" and self.live_bars in (1, 2):  # a part of the entry each
            entry = next(order for order in self.broker.get_orders_open() if order.isbuy())
            self.p.exchange.control("fill_cap", size=0.008)
            reach(self.p.exchange, self, entry.created.price * 0.9999)
        if self.live_bars == self.p.rises:
            reach(self.p.exchange, self, price * 1.2)

    def begin(self, price: float) -> None:
        if self.p.family in ("pair", "trailing"):
            self.buy(size=SIZE)
        elif self.p.family == "entry":
            self.order = enter(self, price * 0.97)
        elif self.p.family == "bracket":
            self.buy_bracket(size=SIZE, exectype=bt.Order.Market, stopprice=price * STOP, limitprice=price * TARGET)
        else:
            self.buy_bracket(size=SIZE, price=price * 0.97, stopprice=price * STOP, limitprice=price * TARGET)


def main() -> None:
    spec = json.loads(sys.argv[1])
    venue: Any = Place(spec["venue"])
    fuse = FamilyJournal.fuse = Fuse(spec["point"], spec["count"])
    lay(fuse)
    store = store_on(venue, FamilyJournal(Path(spec["journal"])), run="one")
    params = {"family": spec["family"], "exchange": venue, "rises": spec["rises"]}
    play(venue, store, Family, spec["bars"], symbols=tuple(venue.symbols), **params)
    sys.exit(7)  # it should have died


if __name__ == "__main__":
    main()
