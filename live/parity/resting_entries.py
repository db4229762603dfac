"""What became of the entries of a session that were to rest at the venue, read from its journal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pandas as pd

from forwardtrader.live.execution.events import Execution, Intent
from forwardtrader.live.execution.journal import OPEN, IntentState, Journal
from forwardtrader.reports.sections.entries import EntriesSection
from forwardtrader.reports.statistics.adverse_selection import RestingFill, adverse_selection
from forwardtrader.strategies.orders.entries import CROSSED


def resting_entries(path: Path, candles: Mapping[str, pd.DataFrame]) -> EntriesSection | None:
    """The entries in the journal at `path` that are over; None where none was to rest.

    Args:
        candles: the session's own, by symbol.
    """
    if not path.is_file():
        return None
    with closing(Journal(path)) as journal:
        sent = [(intent, state) for intent, state in journal.intents() if state not in (IntentState.HELD, IntentState.DROPPED)]
        entries = [(intent, state) for intent, state in sent if intent.post_only]
        if not entries:
            return None
        notes = {intent.client_id: note for intent, _, note in journal.named([intent.client_id for intent, _ in entries])}
        made = {intent.client_id: journal.executions(intent.client_id) for intent, _ in sent}
    crossed = {intent.client_id for intent, _ in entries if CROSSED in notes[intent.client_id]}
    rested = [intent for intent, state in entries if intent.client_id not in crossed and state not in OPEN]
    followed = {intent.replaces for intent, _ in sent}
    return _section(rested, len(crossed), followed, made, candles)


def _section(
    rested: Sequence[Intent], crossed: int, followed: set[str], made: Mapping[str, Sequence[Execution]],
    candles: Mapping[str, pd.DataFrame],
) -> EntriesSection:  # fmt: skip
    names = {intent.client_id for intent in rested}
    as_maker = [execution for name in names for execution in made[name]]
    asked = sum((i.request.size * (i.request.limit_price or Decimal(0)) for i in rested), Decimal(0))
    short = [i for i in rested if sum((e.size for e in made[i.client_id]), Decimal(0)) < i.request.size]
    handed_over = [i for i in short if i.client_id in followed]
    return EntriesSection(
        rested=len(rested), crossed=crossed, filled=sum(bool(made[name]) for name in names), handed_over=len(handed_over),
        given_up=len(short) - len(handed_over), fill_rate=float(_value(as_maker) / asked) if asked else None,
        maker_fees=_fees(as_maker), taker_fees=_fees([e for name, found in made.items() if name not in names for e in found]),
        adverse_selection_bps=adverse_selection([_fill(e) for e in as_maker], {s: frame["close"] for s, frame in candles.items()}),
    )  # fmt: skip


def _value(executions: Sequence[Execution]) -> Decimal:
    return sum((e.size * e.price for e in executions), Decimal(0))


def _fees(executions: Sequence[Execution]) -> float:
    """In quote units; those in other coins than the two of the symbol are left out."""
    return float(sum((fee for e in executions if (fee := fee_in_quote(e)) is not None), Decimal(0)))


def fee_in_quote(execution: Execution) -> Decimal | None:
    """The fee of an execution in quote units; None where it was paid in a third coin."""
    base, _, quote = execution.symbol.partition(":")[0].partition("/")
    if execution.fee_currency == base:
        return execution.fee * execution.price
    return execution.fee if execution.fee_currency == quote else None


def _fill(execution: Execution) -> RestingFill:
    at, value = pd.Timestamp(execution.at, unit="ms", tz="UTC"), float(execution.size * execution.price)
    side = 1 if execution.side == "buy" else -1
    return RestingFill(at=at, symbol=execution.symbol, side=side, value=value, price=float(execution.price))
