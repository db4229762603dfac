"""Keeps journal and listeners in step with what is heard of our orders, in whatever order and however often it is heard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Final

from forwardtrader.core import log
from forwardtrader.live.execution.ccxt_orders import STAND_IN, OrderReport
from forwardtrader.live.execution.events import AccountEvent, Acknowledged, Ended, Execution, ForeignOrder, Refused, Traded, Unresolved
from forwardtrader.live.execution.journal import IntentState, Journal

_LOG: Final = log.logger("live")
_WAITING: Final = (IntentState.WRITTEN, IntentState.SENT, IntentState.UNKNOWN)
_GONE: Final = ("canceled", "expired", "rejected")


class OrderLedger:
    """Books each execution once, by trade id; cumulative fills only grow; an order ends after its last execution was told.

    Args:
        tell: hears every event, once; must not block.
    """

    def __init__(self, journal: Journal, tell: Callable[[AccountEvent], None]) -> None:
        self.journal = journal
        self._tell = tell
        self._leaving: dict[str, tuple[str, Decimal]] = {}  # ended at the venue, with fills that are still to be told
        self._foreign: set[str] = set()

    def order(self, news: OrderReport) -> Decimal:
        """Take in what is said of an order; returns how much of what it filled has not been booked yet."""
        client_id = self.ours(news.client_id, news.venue_id)
        if not client_id:
            self.report_foreign(ForeignOrder(news.symbol, news.venue_id, news.side, news.size))
            return Decimal(0)
        self.acknowledge(client_id, news.venue_id)
        for execution in news.executions:
            self.execution(execution)
        booked = self.journal.filled(client_id)
        if self._is_closed(client_id):
            return Decimal(0)
        if self._is_full(client_id, booked):  # an earlier process ended between the last booking and this mark
            self.journal.mark(client_id, IntentState.DONE)
            return Decimal(0)
        if news.status in _GONE or (news.status == "closed" and news.filled):  # some venues close what they filled in part only
            self._leaving[client_id] = (news.status, news.filled)
            self._end_if_told(client_id, booked)
        return max(Decimal(0), news.filled - booked)

    def acknowledge(self, client_id: str, venue_id: str) -> None:
        """The venue has the order."""
        if self.journal.state_of(client_id) in _WAITING:
            self.journal.mark(client_id, IntentState.ACKNOWLEDGED, venue_id=venue_id)
            self._tell(Acknowledged(client_id, venue_id))

    def execution(self, told: Execution) -> None:
        """Book one execution of ours; one that is known, or more than the order's size, changes nothing."""
        client_id = self.ours(told.client_id, told.venue_id)
        if not client_id:
            return
        intent = self.journal.intent(client_id)
        assert intent is not None
        self.acknowledge(client_id, told.venue_id)
        before = self.journal.executions(client_id)
        known, booked = {e.trade_id for e in before}, sum((e.size for e in before), Decimal(0))
        if booked + told.size > intent.request.size or self._is_covered(told, known):
            if told.trade_id not in known:
                log.event(_LOG, "execution_not_booked", client_id=client_id, trade_id=told.trade_id, size=str(told.size))
            return
        told = replace(told, client_id=client_id)
        if not self.journal.book(told):
            return
        self._tell(Traded(told))
        booked += told.size
        if booked == intent.request.size:
            self._leaving.pop(client_id, None)
            self.journal.mark(client_id, IntentState.DONE)
        else:
            self._end_if_told(client_id, booked)

    def refuse(self, client_id: str, reason: str, *, margin: bool = False) -> None:
        """The venue did certainly not execute the order."""
        if self.journal.state_of(client_id) in _WAITING:
            self.journal.mark(client_id, IntentState.REFUSED, note=reason)
            self._tell(Refused(client_id, reason, margin))

    def doubt(self, client_id: str, reason: str) -> None:
        """Nobody knows what became of the order."""
        if self.journal.state_of(client_id) in _WAITING:
            self.journal.mark(client_id, IntentState.UNKNOWN, note=reason)
            self._tell(Unresolved(client_id))

    @staticmethod
    def _is_covered(told: Execution, known: set[str]) -> bool:
        """Whether a stand-in was booked for fills that were not told, of which this may be one: the order's own total decides then."""
        return not told.trade_id.startswith(STAND_IN) and any(trade_id.startswith(STAND_IN) for trade_id in known)

    def ours(self, client_id: str, venue_id: str) -> str:
        """The client id of an order that the journal knows; "" for one of somebody else."""
        if client_id and self.journal.state_of(client_id) is not None:
            return client_id
        return self.journal.client_id_of(venue_id)

    def report_foreign(self, order: ForeignOrder) -> None:
        """Tell of an order of somebody else, once."""
        if order.venue_id and order.venue_id not in self._foreign:
            self._foreign.add(order.venue_id)
            self._tell(order)

    def _is_closed(self, client_id: str) -> bool:
        return self.journal.state_of(client_id) in (IntentState.DONE, IntentState.REFUSED)

    def _is_full(self, client_id: str, booked: Decimal) -> bool:
        intent = self.journal.intent(client_id)
        return intent is not None and booked >= intent.request.size

    def _end_if_told(self, client_id: str, booked: Decimal) -> None:
        leaving = self._leaving.get(client_id)
        if leaving is None or booked < leaving[1]:
            return
        del self._leaving[client_id]
        how = "expired" if leaving[0] == "expired" else "canceled"
        self.journal.mark(client_id, IntentState.DONE, note=how)
        self._tell(Ended(client_id, how))
