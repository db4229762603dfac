"""What a kill and a flatten do to an account at its venue, without Backtrader: orders are cancelled, positions are sold."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from forwardtrader.core.types import OrderRequest, Side
from forwardtrader.live.execution.account import CcxtAccount
from forwardtrader.live.execution.events import COMMANDED, Intent
from forwardtrader.live.execution.journal import OPEN
from forwardtrader.live.execution.reconciliation import position_of
from forwardtrader.live.venue.client_ids import begun_prefix, command_id
from forwardtrader.strategies.order_rules import RawOrder, normalise

_LOOK_EVERY_S: Final = 0.02


@dataclass(frozen=True, kw_only=True)
class AccountDeeds:
    """What was done: client ids of cancelled orders, of those that are not confirmed, and what became of each sale."""

    cancelled: tuple[str, ...] = ()
    unconfirmed: tuple[str, ...] = ()
    sales: tuple[str, ...] = ()
    are_sold: bool = True

    @property
    def text(self) -> str:
        late = f", {len(self.unconfirmed)} not confirmed by the venue yet ({', '.join(self.unconfirmed)})" if self.unconfirmed else ""
        count = f"{len(self.cancelled)} {'order' if len(self.cancelled) == 1 else 'orders'} cancelled{late}"
        return "; ".join((*self.sales, count if self.cancelled or self.unconfirmed else "no order rests"))


async def stand_down(account: CcxtAccount, patience_s: float) -> AccountDeeds:
    """Take every open order back, and say what came of it after at most `patience_s` seconds; the requests go on beyond that.

    Those that wait on our side for others, or for the market, are not sent any more.
    """
    account.journal.drop_held("taken back by a command")
    names = [intent.client_id for intent, _ in account.journal.open_intents()]
    await _within(account.cancel_all(), patience_s)
    left = tuple(name for name in names if account.journal.state_of(name) in OPEN)
    return AccountDeeds(cancelled=tuple(name for name in names if name not in left), unconfirmed=left)


async def sell_out(account: CcxtAccount, symbols: Sequence[str], run: str, name: str, patience_s: float) -> AccountDeeds:
    """Take every open order back, then sell at the market whatever our own executions have left of each symbol.

    What an order had bought whose answer was still on its way is sold too, as soon as the venue has answered for it.

    Args:
        run, name: of the session and of the command; the client ids are made of them, so that a command never sells twice.
        patience_s: seconds until what was done is said; the requests go on beyond that.
    """
    account.journal.drop_held("taken back by a command")
    names = [intent.client_id for intent, _ in account.journal.open_intents()]
    prefix = begun_prefix(account.journal.oldest(), run)
    sales: dict[str, Intent | None] = {}  # by symbol whose orders are off the venue; None where nothing is to be sold
    numbered = [(symbol, command_id(prefix, name, n)) for n, symbol in enumerate(symbols, 1)]
    await _within(asyncio.gather(*(_empty(account, symbol, client_id, sales) for symbol, client_id in numbered)), patience_s)
    left = tuple(client_id for client_id in names if account.journal.state_of(client_id) in OPEN)
    sold = {intent: account.journal.filled(intent.client_id) for intent in sales.values() if intent is not None}
    late = tuple(f"{symbol} is sold once the venue has answered for its orders" for symbol in symbols if symbol not in sales)
    return AccountDeeds(
        cancelled=tuple(client_id for client_id in names if client_id not in left), unconfirmed=left,
        are_sold=not late and all(size >= intent.request.size for intent, size in sold.items()),
        sales=(*(_told(intent, size) for intent, size in sold.items()), *late),
    )  # fmt: skip


async def _empty(account: CcxtAccount, symbol: str, client_id: str, sales: dict[str, Intent | None]) -> None:
    """Take the orders of a symbol back, then sell what is held of it."""
    await asyncio.gather(*(account.cancel(intent) for intent, _ in account.journal.open_intents() if intent.symbol == symbol))
    intent = sales[symbol] = _sale(account, symbol, client_id)
    if intent is not None and account.journal.write(intent):
        await _sold(account, intent)


def _sale(account: CcxtAccount, symbol: str, client_id: str) -> Intent | None:
    """The order that sells what is held of a symbol; None where nothing is, or too little for an order."""
    [rules] = account.queries.rules([symbol])
    booked = account.journal.executions()
    held = position_of(booked, rules)
    newest = next((e.price for e in reversed(booked) if e.symbol == symbol), Decimal(0))
    if held <= 0:
        return None
    request = normalise(RawOrder(side=Side.SELL, size=held, reference=newest, reason="flatten"), rules, sellable=float(held))
    if not isinstance(request, OrderRequest):
        return None
    return Intent(client_id=client_id, request=request, bar=0, role=COMMANDED)


async def _sold(account: CcxtAccount, intent: Intent) -> None:
    """Send a sale and wait for its last execution, which may be reported before the answer comes."""
    sending = asyncio.ensure_future(account.send(intent))
    while account.journal.state_of(intent.client_id) in OPEN:
        if sending.done():
            sending.result()
        await asyncio.sleep(_LOOK_EVERY_S)


async def _within(work: object, patience_s: float) -> None:
    """Wait for work for so long; it goes on beyond that. What fails is found in the journal, not here."""
    assert asyncio.iscoroutine(work) or isinstance(work, asyncio.Future)
    task = asyncio.ensure_future(work)
    await asyncio.wait([task], timeout=patience_s)
    if task.done():
        task.exception()  # looked at, so that asyncio does not report it once more


def _told(intent: Intent, sold: Decimal) -> str:
    size, symbol = intent.request.size, intent.symbol
    if sold >= size:
        return f"sold {size} {symbol}"
    return f"sold {sold} of {size} {symbol}, the rest is not confirmed yet" if sold else f"{size} {symbol} to be sold, not confirmed yet"
