"""The order ledger: idempotent updates of the journal from reports that come in any order, any number of times."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

from forwardtrader.core import log
from forwardtrader.core.types import OrderRequest, Side
from forwardtrader.live.execution.ccxt_orders import OrderReport
from forwardtrader.live.execution.events import (
    FORCED,
    REPORTED,
    AccountEvent,
    Acknowledged,
    ClosedByVenue,
    Ended,
    Execution,
    Filled,
    ForeignOrder,
    FundingPaid,
    Intent,
    Refused,
    Replaced,
    Unresolved,
)
from forwardtrader.live.execution.journal import OPEN, IntentState, Journal
from forwardtrader.live.execution.reconciliation import effects_of
from forwardtrader.live.venue.perpetuals import FundingPayment
from forwardtrader.strategies.orders.entries import CROSSED

_LOG: Final = log.logger("live")
_WAITING: Final = (IntentState.WRITTEN, IntentState.SENT, IntentState.UNKNOWN)
_GONE: Final = ("canceled", "expired", "rejected")


class OrderLedger:
    """Books each execution once, by trade id; cumulative fills only grow; an order ends after its last execution.

    Args:
        notify: receives every event, once; must not block.

    Attributes:
        changes: counts events: equal at two moments between which nothing happened.
        effects: what all booked executions changed in the account, by asset.
    """

    def __init__(self, journal: Journal, notify: Callable[[AccountEvent], None]) -> None:
        self.journal = journal
        self.changes = 0
        self.effects: dict[str, Decimal] = {}
        self._notify = notify
        self._ending: dict[str, tuple[str, Decimal]] = {}  # ended at the venue, with executions that are still to come
        self._foreign: set[str] = set()
        for execution in journal.executions():
            self._add_effects(execution)
        for payment in journal.payments():
            self._add(payment.currency, payment.amount)

    def tell(self, event: AccountEvent) -> None:
        """Send an event to the account's owner."""
        self.changes += 1
        self._notify(event)

    def order(self, report: OrderReport) -> Decimal:
        """Book a report of an order; returns how many of its filled units came without an execution."""
        client_id = self.ours(report.client_id, report.venue_id)
        if not client_id:
            self.report_foreign(ForeignOrder(report.symbol, report.venue_id, report.side, report.size, report.client_id))
            return Decimal(0)
        if report.crossed and not report.filled:
            self._turned_away(client_id, report.venue_id)
            return Decimal(0)
        self.acknowledge(client_id, report.venue_id)
        for execution in report.executions:
            self.execution(execution)
        booked = self.journal.filled(client_id)
        if report.filled or report.status == "open":
            self._reopen_refused(client_id, report.venue_id)
        if self._is_closed(client_id):
            return max(Decimal(0), report.filled - booked)
        if self._is_full(client_id, booked):  # an earlier process ended between the last booking and this mark
            self.journal.mark(client_id, IntentState.DONE)
            return Decimal(0)
        if report.status in _GONE or (report.status == "closed" and report.filled):  # some venues close what they filled in part only
            self._ending[client_id] = (report.status, report.filled)
            self._end_if_complete(client_id, booked)
        return max(Decimal(0), report.filled - booked)

    def acknowledge(self, client_id: str, venue_id: str) -> None:
        """The venue has the order."""
        if self.journal.state_of(client_id) in _WAITING:
            self.journal.mark(client_id, IntentState.ACKNOWLEDGED, venue_id=venue_id)
            self.tell(Acknowledged(client_id, venue_id))

    def execution(self, fill: Execution) -> None:
        """Book one execution of ours; one that is known, or more than the order's size, changes nothing."""
        client_id = self.ours(fill.client_id, fill.venue_id)
        if not client_id:
            if self.journal.state_of(fill.client_id) is not None:
                self.report_foreign(ForeignOrder(fill.symbol, fill.venue_id, fill.side, fill.size, fill.client_id))
            return
        intent = self.journal.intent(client_id)
        assert intent is not None
        self.acknowledge(client_id, fill.venue_id)
        self._reopen_refused(client_id, fill.venue_id)
        before = self.journal.executions(client_id)
        known, booked = {e.trade_id for e in before}, _size_of(before)
        if fill.trade_id in known or booked + fill.size > intent.request.size or _is_covered(fill, before):
            if fill.trade_id not in known:
                log.event(_LOG, "execution_not_booked", client_id=client_id, trade_id=fill.trade_id, size=str(fill.size))
            return
        fill = replace(fill, client_id=client_id)
        if not self.journal.book(fill):
            return
        self._add_effects(fill)
        self.tell(Filled(fill))
        booked += fill.size
        if booked == intent.request.size:
            self._ending.pop(client_id, None)
            self.journal.mark(client_id, IntentState.DONE)
        else:
            self._end_if_complete(client_id, booked)

    def payment(self, payment: FundingPayment) -> None:
        """Book one funding payment; one that is known changes nothing."""
        if self.journal.book_payment(payment):
            self._add(payment.currency, payment.amount)
            self.tell(FundingPaid(payment))

    def forced(self, kind: str, fill: Execution) -> None:
        """Book an execution by which the venue reduced a position, as one of an order of its own that the journal takes over."""
        client_id = f"{kind}-{fill.venue_id}"
        booked = self.journal.executions(client_id)
        if any(e.trade_id == fill.trade_id for e in booked):
            return
        self.tell(ClosedByVenue(kind, fill))
        side = Side.BUY if fill.side == "buy" else Side.SELL
        request = OrderRequest(symbol=fill.symbol, side=side, size=fill.size, reason=f"{kind} by the venue")
        if not self.journal.write(Intent(client_id=client_id, request=request, bar=fill.at, role=FORCED)):
            self.journal.enlarge(client_id, _size_of(booked) + fill.size)
        self.journal.mark(client_id, IntentState.ACKNOWLEDGED, venue_id=fill.venue_id)
        self.execution(replace(fill, client_id=client_id))

    def listing(self, client_id: str, listed: Sequence[Execution]) -> None:
        """Book the executions that the venue lists of one order, oldest first; they replace those that stand for them."""
        booked = self.journal.executions(client_id)
        known = {e.trade_id for e in booked}
        fresh = [replace(e, client_id=client_id) for e in listed if e.trade_id not in known]
        for stand_in in [e for e in booked if e.is_stand_in]:
            part = _beginning(fresh, stand_in.size)
            if not part:
                return  # the list lags behind: which of these are new is not known
            self.journal.replace(stand_in, part)
            self._add_effects(stand_in, -1)
            for e in part:
                self._add_effects(e)
            self.tell(Replaced(stand_in, tuple(part)))
            del fresh[: len(part)]
        for e in fresh:
            self.execution(e)

    def reopen(self, client_id: str, venue_id: str) -> None:
        """The venue has an order that was taken for refused or done; one that is filled is not: its list of orders lags behind."""
        if self._is_full(client_id, self.journal.filled(client_id)):
            return
        log.event(_LOG, "order_reopened", logging.ERROR, client_id=client_id, venue_id=venue_id)
        self.journal.mark(client_id, IntentState.ACKNOWLEDGED, venue_id=venue_id)
        self.tell(Acknowledged(client_id, venue_id))

    def refuse(self, client_id: str, reason: str, *, margin: bool = False) -> None:
        """The venue did certainly not execute the order."""
        if self.journal.state_of(client_id) in _WAITING:
            self.journal.mark(client_id, IntentState.REFUSED, note=reason)
            self.tell(Refused(client_id, reason, margin))

    def _turned_away(self, client_id: str, venue_id: str) -> None:
        """The venue ended a post-only order before it could rest: to its owner it was refused."""
        if not self._is_closed(client_id):
            self.journal.mark(client_id, IntentState.DONE, venue_id=venue_id, note=CROSSED)
            self.tell(Refused(client_id, CROSSED))

    def want_off(self, client_id: str) -> None:
        """The order is about to be cancelled: that it ends without being executed is no surprise."""
        state = self.journal.state_of(client_id)
        if state is not None and state in OPEN:
            self.journal.mark(client_id, state, note=f"{REPORTED}to be cancelled")

    def take_back(self, client_id: str) -> None:
        """The order is not wanted any more, and was certainly not sent."""
        if self.journal.state_of(client_id) is IntentState.WRITTEN:
            self.journal.mark(client_id, IntentState.DROPPED, note="canceled")
            self.tell(Ended(client_id, "canceled"))

    def doubt(self, client_id: str, reason: str) -> None:
        """What became of the order is unknown."""
        if self.journal.state_of(client_id) in _WAITING:
            self.journal.mark(client_id, IntentState.UNKNOWN, note=reason)
            self.tell(Unresolved(client_id))

    def ours(self, client_id: str, venue_id: str) -> str:
        """The client id of an order that the journal knows; "" for one of somebody else."""
        if client_id and self.journal.state_of(client_id) is not None and not self._is_twin(client_id, venue_id):
            return client_id
        return self.journal.client_id_of(venue_id)

    def _is_twin(self, client_id: str, venue_id: str) -> bool:
        """Whether an order has our client id and is another one: a copy of this session sent it. A triggered stop may be renumbered."""
        known = self.journal.venue_id_of(client_id)
        if not known or not venue_id or known == venue_id:
            return False
        intent = self.journal.intent(client_id)
        return intent is None or intent.request.stop_price is None

    def report_foreign(self, order: ForeignOrder) -> None:
        """Report an order of somebody else, once."""
        if order.venue_id and order.venue_id not in self._foreign:
            self._foreign.add(order.venue_id)
            self.tell(order)

    def _add_effects(self, execution: Execution, sign: int = 1) -> None:
        for asset, change in effects_of(execution).items():
            self._add(asset, sign * change)

    def _add(self, asset: str, change: Decimal) -> None:
        self.effects[asset] = self.effects.get(asset, Decimal(0)) + change

    def _reopen_refused(self, client_id: str, venue_id: str) -> None:
        if self.journal.state_of(client_id) is IntentState.REFUSED:
            self.reopen(client_id, venue_id)

    def _is_closed(self, client_id: str) -> bool:
        return self.journal.state_of(client_id) in (IntentState.DONE, IntentState.REFUSED)

    def _is_full(self, client_id: str, booked: Decimal) -> bool:
        intent = self.journal.intent(client_id)
        return intent is not None and booked >= intent.request.size

    def _end_if_complete(self, client_id: str, booked: Decimal) -> None:
        ending = self._ending.get(client_id)
        if ending is None or booked < ending[1]:
            return
        del self._ending[client_id]
        how = "expired" if ending[0] == "expired" else "canceled"
        self.journal.mark(client_id, IntentState.DONE, note=how)
        self.tell(Ended(client_id, how))


def _size_of(executions: Iterable[Execution]) -> Decimal:
    return sum((e.size for e in executions), Decimal(0))


def _is_covered(fill: Execution, booked: Iterable[Execution]) -> bool:
    """Whether a stand-in was booked, of which this execution may be a part: the list of the order's executions decides then."""
    return not fill.is_stand_in and any(e.is_stand_in for e in booked)


def _beginning(executions: Sequence[Execution], size: Decimal) -> list[Execution]:
    """The first executions that add up to `size` exactly; none where no number of them does."""
    total = Decimal(0)
    for count, e in enumerate(executions, 1):
        total += e.size
        if total == size:
            return list(executions[:count])
    return []
