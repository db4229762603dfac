"""What joins orders, from the outside: a position that was bought with a stop has that stop, whatever died in between."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from forwardtrader.core.types import Side
from forwardtrader.live.bridge.bt_types import intent_of
from forwardtrader.live.bridge.contingent.missing_stops import GIVEN_UP
from forwardtrader.live.execution.events import Ended, Intent, OrderKind, Refused
from forwardtrader.live.execution.journal import OPEN, IntentState, Journal
from forwardtrader.strategies.order_rules import floor_to
from tests.simulation.checks import OURS, require

if TYPE_CHECKING:
    from forwardtrader.sandbox.orders.order import ExchangeOrder
    from tests.simulation.life import Life
    from tests.simulation.venue import SimulatedVenue

_SMALL: Final = Decimal(6)  # quote units: less than any venue's smallest order, and something for the price to move


@dataclass
class _Order:
    """One order: its intents, each in the place of the one before, and what the venue executed of them."""

    first: Intent
    names: set[str]
    states: list[IntentState]
    executed: Decimal = Decimal(0)
    delivered: Decimal = Decimal(0)

    @property
    def is_open(self) -> bool:
        return any(state in OPEN for state in self.states)

    @property
    def is_held(self) -> bool:
        return IntentState.HELD in self.states

    @property
    def is_stop(self) -> bool:
        return self.first.kind is OrderKind.STOP


class Protection:
    """Compares families of the journal with the venue."""

    def __init__(self, venue: SimulatedVenue) -> None:
        self._venue = venue
        self._unwanted: set[str] = set()  # client ids of families of which the strategy took something back

    def taken_back(self, order: Any) -> None:
        """The strategy cancels an order, and with it whatever is joined to it."""
        intent = intent_of(order)
        if intent is not None:
            self._unwanted |= {name for name in (intent.client_id, intent.parent, intent.group, intent.replaces) if name}

    def require_kept(self, life: Life) -> None:
        """Raises Violation: at the first decision after a start always, later when nothing is on its way."""
        account = life.store.account
        assert account is not None
        if account.halted or life.broker.halted or (life.is_recovered and not life.broker.is_settled):
            return
        orders = self._orders(account.journal)
        for order in orders:
            if order.first.parent:
                continue
            self._require_pair(order, [each for each in orders if each.first.group and each.first.group in order.names])
            children = [each for each in orders if each.first.parent in order.names and each.first.parent]
            if children:
                self._require_protected(life, order, children)
                self._require_once(order, children)

    def _require_protected(self, life: Life, parent: _Order, children: list[_Order]) -> None:
        """A position that a bracket opened is closed, or its stop is at the venue, or about to be."""
        stops = [child for child in children if child.is_stop]
        names = parent.names.union(*(child.names for child in children))
        symbol = parent.first.symbol
        if not stops or names & self._unwanted or self._is_given_up(life, symbol):
            return
        left = parent.delivered - sum((child.executed for child in children), Decimal(0))
        listing = self._venue.venue.exchange.listings[symbol]
        if floor_to(left, listing.rules.step) * listing.last < _SMALL or self._held(life, symbol) < left or parent.is_open:
            return
        if self._is_covered(life, symbol):
            return
        # The venue has refused it: it is sent again; that is dealt with when the bars of the history are over, which decide nothing.
        is_awaited = symbol in life.broker.unprotected
        if self._is_past(life, symbol) and any(stop.names & self._refused(life) for stop in stops):
            return
        makes_room = any(child.is_open for child in children if not child.is_stop)
        family = [(child.first.client_id, child.states) for child in children]
        require(
            any(stop.is_open or (stop.is_held and (makes_room or is_awaited)) for stop in stops),
            f"{left} of {symbol} were bought by {parent.first.client_id} and have no stop: {family}",
        )

    def _require_once(self, parent: _Order, children: list[_Order]) -> None:
        sold = sum((child.executed for child in children), Decimal(0))
        require(sold <= parent.executed, f"the children of {parent.first.client_id} sold {sold} of {parent.executed}")

    def _require_pair(self, first: _Order, others: list[_Order]) -> None:
        """The sell orders of an OCO group sell no more than the largest of them was to sell."""
        group = [order for order in [first, *others] if order.first.request.side is Side.SELL]
        if others and group:
            sold, most = sum((order.executed for order in group), Decimal(0)), max(order.first.request.size for order in group)
            require(sold <= most, f"the orders of the group of {first.first.client_id} sold {sold} of {most}")

    @staticmethod
    def _is_past(life: Life, symbol: str) -> bool:
        return any(data.symbol == symbol and data.is_past for data in life.store.datas)

    @staticmethod
    def _refused(life: Life) -> set[str]:
        """Orders of whose refusal the program is still to hear."""
        return {event.client_id for event in life.store.events if isinstance(event, Refused | Ended)}

    @staticmethod
    def _is_given_up(life: Life, symbol: str) -> bool:
        return GIVEN_UP in life.broker.unprotected.get(symbol, "")

    def _is_covered(self, life: Life, symbol: str) -> bool:
        """Whether stops rest at the venue for all that is held, whoever sent them and for whatever."""
        exchange = self._venue.venue.exchange
        stops = (order for order in exchange.order_index.open_orders(symbol) if order.request.stop_price is not None)
        resting = sum((order.remaining for order in stops if order.request.side is Side.SELL), Decimal(0))
        return self._held(life, symbol) - resting <= exchange.listings[symbol].rules.step

    def _held(self, life: Life, symbol: str) -> Decimal:
        data = next(each for each in life.store.datas if each.symbol == symbol)
        return Decimal(str(life.broker.units_held(data)))

    def _orders(self, journal: Journal) -> list[_Order]:
        made: dict[str, _Order] = {}
        for intent, state in journal.intents():
            order = made.get(intent.replaces) if intent.replaces else None
            if order is None:
                order = _Order(intent, set(), [])
            order.names.add(intent.client_id)
            order.states.append(state)
            made[intent.client_id] = order
        for name, executed in self._executed():
            if name in made:
                order = made[name]
                order.executed += executed.filled
                base = order.first.symbol.partition("/")[0]
                order.delivered += executed.filled - sum((t.fee for t in executed.trades if t.fee_asset == base), Decimal(0))
        return list({id(order): order for order in made.values()}.values())

    def _executed(self) -> Iterable[tuple[str, ExchangeOrder]]:
        for order in self._venue.venue.exchange.order_index.orders.values():
            if order.request.client_id.startswith(OURS) and order.filled:
                yield order.request.client_id, order
