"""Rebuilding a journal that was lost, from what the venue lists: orders of ours are known by the beginning of their client ids.

What the venue never got is lost for good, and so are reason, role and time limit of an order, and what joined it to others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

from forwardtrader.core import log
from forwardtrader.core.errors import ReconciliationFailed
from forwardtrader.core.types import MarketRules, OrderRequest, Side
from forwardtrader.live.execution.ccxt_orders import execution, open_order, order_report
from forwardtrader.live.execution.events import SYNTHETIC, Execution, Intent
from forwardtrader.live.execution.journal import IntentState, Journal
from forwardtrader.live.execution.reconciliation import position_of
from forwardtrader.live.venue.ccxt_client import CcxtOrder
from forwardtrader.live.venue.history_pages import HistoryPages

_LOG: Final = log.logger("live")
_IN_DOUBT: Final = 8  # the newest intents may have been on their way when the list was read: they are looked up one by one

_BAR_AT: Final = slice(8, 14)  # in ids without a hyphen: two letters, six of the run, six of the bar, and a number


def lacking(journal: Journal, recorded: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Executions that the owner recorded and the journal does not have, by symbol and trade id."""
    real = {(symbol, trade_id) for symbol, trade_id in recorded if not trade_id.startswith(SYNTHETIC)}
    return real - {(e.symbol, e.trade_id) for e in journal.executions()} if real else real


async def rebuild(
    journal: Journal, pages: HistoryPages, symbols: Sequence[str], prefixes: tuple[str, ...], since: int | None,
    recorded: Iterable[tuple[str, str]],
) -> None:  # fmt: skip
    """Put back intents and executions that the journal lacks.

    Args:
        prefixes: of our client ids.
        since: the earliest time (ms) that an order may be of, for venues that list by time.
        recorded: executions that the owner has, by symbol and trade id.

    Raises:
        ReconciliationFailed: the venue does not list all that was recorded.
        VenueUnreachable, VenueRefused: no answer, or a refusal.
    """
    listed: set[str] = set()
    for symbol in symbols:
        orders = [order for order in await pages.orders(symbol, since) if order_report(order).client_id.startswith(prefixes)]
        executions = [execution(trade) for trade in await pages.trades(symbol, since)]
        names = {order_report(order).venue_id: order_report(order).client_id for order in orders}
        ours = [replace(e, client_id=names.get(e.venue_id, e.client_id)) for e in executions]
        ours = [e for e in ours if e.client_id.startswith(prefixes)]
        for order in orders:
            _restore(journal, order, [e for e in ours if e.client_id == order_report(order).client_id])
        for client_id in {e.client_id for e in ours} - set(names.values()):
            _restore_executed(journal, [e for e in ours if e.client_id == client_id])
        listed |= {*names.values(), *(e.client_id for e in ours)}
    if pages.lists_all_orders:
        _refuse_unsent(journal, listed)
    if gone := lacking(journal, recorded):
        raise ReconciliationFailed(
            f"the journal was lost, and the venue does not list {len(gone)} of the executions that it had; put journal.db back, or start "
            f"a session of another name (--session NAME)"
        )
    journal.accept_loss()
    log.event(_LOG, "journal_rebuilt", orders=len(listed), executions=len(journal.executions()))


def unprotected_in(journal: Journal, rules: Iterable[MarketRules]) -> dict[str, str]:
    """Symbols whose position, or whose entry that rests, may have lost its stop with the journal, and why that is so."""
    booked = journal.executions()
    alive = [*(intent for intent, _ in journal.open_intents()), *journal.held_intents()]
    found = {}
    for rule in rules:
        held = position_of(booked, rule)
        ours = [intent for intent in alive if intent.symbol == rule.symbol]
        exits = Side.SELL if held > 0 else Side.BUY
        stops = [i for i in ours if i.request.side is exits and i.request.stop_price is not None]
        price = next((e.price for e in reversed(booked) if e.symbol == rule.symbol), Decimal(0))
        is_bare = abs(held) - sum((i.request.size - journal.filled(i.client_id) for i in stops), Decimal(0)) > rule.step
        parents = {intent.parent for intent in ours}
        entries = [i for i in ours if not i.parent and i.client_id not in parents and (rule.can_short or i.request.side is Side.BUY)]
        if is_bare and abs(held) * price >= rule.min_notional:
            found[rule.symbol] = f"the journal was lost, and no stop rests for {held} {rule.base}"
        elif [i for i in entries if i not in stops]:
            found[rule.symbol] = "the journal was lost, and whether a stop belongs to an order that rests is not known any more"
    return found


def _restore(journal: Journal, order: CcxtOrder, executions: Sequence[Execution]) -> None:
    """An order that the venue lists, with its executions."""
    report, resting = order_report(order), open_order(order)
    is_limit = "limit" in resting.kind.lower()
    request = OrderRequest(
        symbol=report.symbol, side=Side(report.side), size=report.size, limit_price=resting.limit_price if is_limit else None,
        stop_price=resting.stop_price,
    )  # fmt: skip
    is_complete = report.status != "open" and _size_of(executions) == report.filled
    journal.restore(Intent(client_id=report.client_id, request=request, bar=bar_of(report.client_id)))
    state = IntentState.DONE if is_complete else IntentState.ACKNOWLEDGED  # the latter are looked up
    journal.mark(report.client_id, state, venue_id=report.venue_id)
    for e in executions:
        journal.book(e)


def _restore_executed(journal: Journal, executions: Sequence[Execution]) -> None:
    """An order that the venue lists no more, from its executions."""
    first = executions[0]
    request = OrderRequest(symbol=first.symbol, side=Side(first.side), size=_size_of(executions))
    journal.restore(Intent(client_id=first.client_id, request=request, bar=bar_of(first.client_id)))
    journal.mark(first.client_id, IntentState.DONE, venue_id=first.venue_id)
    for e in executions:
        journal.book(e)


def _refuse_unsent(journal: Journal, listed: set[str]) -> None:
    unlisted = [intent.client_id for intent, _ in journal.open_intents() if intent.client_id not in listed]
    for client_id in unlisted[:-_IN_DOUBT]:
        journal.mark(client_id, IntentState.REFUSED, note="the venue does not list it")


def bar_of(client_id: str) -> int:
    """Open time (ms UTC) of the bar that an order was decided on, which its client id names; 0 where it does not."""
    parts = client_id.split("-")
    named = parts[-2] if len(parts) > 1 else client_id[_BAR_AT]
    try:
        return 0 if named.startswith("c") else int(named, 36) * 1000  # a control command's
    except ValueError:
        return 0


def _size_of(executions: Iterable[Execution]) -> Decimal:
    return sum((e.size for e in executions), Decimal(0))
