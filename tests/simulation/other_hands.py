"""Other hands on the account: money and coins that come and go, and orders of somebody else."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from forwardtrader.core.types import Side
from forwardtrader.sandbox.engine.events import BalanceMoved, OrderChanged
from forwardtrader.sandbox.orders.order import NewOrder, OrderType
from forwardtrader.sandbox.orders.refusal import OrderRefused
from forwardtrader.sandbox.venue import ACCOUNT
from tests.simulation.checks import OURS

if TYPE_CHECKING:
    from tests.simulation.venue import SimulatedVenue


class OtherHands:
    """Never takes coins, which may be those that our orders bought: a start without them is refused, as it must be.

    Args:
        chance: of something in each bar.
    """

    def __init__(self, venue: SimulatedVenue, rng: random.Random, chance: float, note: Callable[..., None]) -> None:
        self._venue, self._rng, self._chance, self._note = venue, rng, chance, note
        self._brought: defaultdict[str, Decimal] = defaultdict(Decimal)
        self._orders = 0

    def watch(self) -> None:
        """Keep account of what they do; again after each start of the venue."""
        self._venue.venue.exchange.subscribe(self._on_event)

    def brought(self, asset: str) -> Decimal:
        """What they changed in the account."""
        return self._brought[asset]

    def act(self) -> None:
        """Do something, by chance."""
        if self._chance and self._rng.random() < self._chance and not self._venue.is_down:
            what = self._rng.choice((self._move_money, self._bring_coins, self._trade, self._rest, self._cancel_ours))
            self._note("others", what=what.__name__)
            try:
                what()
            except OrderRefused as refusal:
                self._note("others refused", reason=str(refusal))
            self._venue.commit(moved=True)

    def leave(self) -> None:
        """Take back what still rests, so that nothing happens to the account any more."""
        exchange = self._venue.venue.exchange
        for order in exchange.order_index.all_open(ACCOUNT):
            if not order.request.client_id.startswith(OURS):
                exchange.cancel(order)
        self._venue.commit(moved=True)

    def _move_money(self) -> None:
        amount = Decimal(self._rng.choice((-500, -20, 20, 500)))
        self._venue.venue.exchange.move_balance(ACCOUNT, "USDT", amount)

    def _bring_coins(self) -> None:
        symbol = self._rng.choice(list(self._venue.venue.exchange.listings))
        self._venue.venue.exchange.move_balance(ACCOUNT, symbol.partition("/")[0], Decimal("0.002"))

    def _trade(self) -> None:
        self._place(OrderType.MARKET, None)

    def _rest(self) -> None:
        self._place(OrderType.LIMIT, Decimal("0.98"))

    def _cancel_ours(self) -> None:
        exchange = self._venue.venue.exchange
        ours = [order for order in exchange.order_index.all_open(ACCOUNT) if order.request.client_id.startswith(OURS)]
        if ours:
            exchange.cancel(self._rng.choice(ours))

    def _place(self, kind: OrderType, share: Decimal | None) -> None:
        exchange = self._venue.venue.exchange
        symbol = self._rng.choice(list(exchange.listings))
        listing = exchange.listings[symbol]
        tick = listing.rules.tick
        limit = None if share is None else listing.last * share // tick * tick
        self._orders += 1
        size = Decimal("0.001") // listing.rules.step * listing.rules.step
        request = NewOrder(symbol=symbol, side=Side.BUY, type=kind, size=size, limit_price=limit, client_id=f"web_{self._orders:06d}")
        exchange.place(ACCOUNT, request)

    def _on_event(self, event: Any) -> None:
        if isinstance(event, BalanceMoved):
            self._brought[event.asset] += event.amount
        elif isinstance(event, OrderChanged) and event.trade is not None and _is_others(event.order.request):
            trade = event.trade
            self._brought[trade.symbol.partition("/")[0]] += trade.size
            self._brought["USDT"] -= trade.size * trade.price
            self._brought[trade.fee_asset] -= trade.fee


def _is_others(request: NewOrder) -> bool:
    """Whether neither we nor the venue made the order."""
    return not request.client_id.startswith(OURS) and not request.origin
