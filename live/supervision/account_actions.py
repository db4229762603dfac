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
        orders = f"{len(self.cancelled)} orders cancelled{late}" if self.cancelled or self.unconfirmed else "no order rests"
        return "; ".join((*self.sales, orders))


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

    Args:
        run, name: of the session and of the command; the client ids are made of them, so that a command never sells twice.
        patience_s: seconds for either half.
    """
    taken = await stand_down(account, patience_s)
    prefix = begun_prefix(account.journal.oldest(), run)
    intents = [intent for n, symbol in enumerate(symbols, 1) if (intent := _sale(account, symbol, command_id(prefix, name, n)))]
    await _within(asyncio.gather(*(_sold(account, intent) for intent in intents if account.journal.write(intent))), patience_s)
    sold = {intent.client_id: account.journal.filled(intent.client_id) for intent in intents}
    return AccountDeeds(
        cancelled=taken.cancelled, unconfirmed=taken.unconfirmed, are_sold=all(sold[i.client_id] >= i.request.size for i in intents),
        sales=tuple(_told(intent, sold[intent.client_id]) for intent in intents),
    )  # fmt: skip


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
    """Send a sale and wait for its last execution."""
    await account.send(intent)
    while account.journal.state_of(intent.client_id) in OPEN:
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
