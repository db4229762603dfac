"""Resuming a session: what an earlier process of it left, and from which bar on this one has work to do.

A strategy's own state is part of that with real orders. It takes part by two methods: `state()` returns plain JSON values after every bar,
`restore(saved)` gets the newest of them before the first new bar. Indicators need none of it: the bars of the history build them again. On
paper neither method is needed, since every recorded bar is replayed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import backtrader as bt

from forwardtrader.core import log
from forwardtrader.live.bridge.data import as_number
from forwardtrader.live.execution.events import COMMANDED, FORCED, NEVER_ARRIVED, REPORTED, Execution, Intent, Replaced
from forwardtrader.live.execution.journal import IntentState, Journal
from forwardtrader.live.output.store import SessionStore, damaged_snapshot
from forwardtrader.live.output.tables import FillFacts, Rows, rows_of
from forwardtrader.live.request import LiveRequest
from forwardtrader.live.session.snapshot import VERSION, Snapshot, can_be_frozen, freeze, thaw
from forwardtrader.live.sqlite_file import Row
from forwardtrader.strategies.backtrader.bars_frame import epoch_seconds
from forwardtrader.strategies.backtrader.hosting import Failed, takes_part
from forwardtrader.strategies.trading_state.guard import TradingGuard


@dataclass(frozen=True, kw_only=True)
class SentOrder:
    """An order that an earlier process sent on the bar that opened at `bar` (ms UTC), as the journal has it; without a price, one to the
    market."""

    client_id: str
    bar: int
    symbol: str
    side: str
    size: float
    kind: str
    price: float | None
    limit: float | None
    reason: str
    is_alone: bool  # belongs to no family, whose orders are sent again where they never arrived

    def row(self, close: float, refusal: str) -> Row:
        """As `OrderRecorder` has it; a market order has the close of its bar for its price."""
        price = close if self.price is None else self.price
        limit = price if self.limit is None else self.limit
        return as_number(self.bar), self.symbol, self.side, self.size, self.kind, price, limit, self.reason, refusal


def sent_orders(journal: Journal, since: int) -> list[SentOrder]:
    """The orders of strategies on bars that opened at `since` (ms UTC) or later, oldest first."""
    return [
        SentOrder(
            client_id=intent.client_id, bar=intent.bar, symbol=intent.symbol,
            side=intent.request.side.value, size=float(intent.request.size), kind=_kind(intent),
            price=_float(intent.request.limit_price if intent.request.stop_price is None else intent.request.stop_price),
            limit=_float(intent.request.limit_price), reason=intent.request.reason,
            is_alone=not intent.parent and not intent.group,
        )
        for intent, _ in journal.intents()
        if intent.bar >= since and not intent.replaces and intent.role not in (COMMANDED, FORCED)
    ]  # fmt: skip


def _kind(intent: Intent) -> str:
    """Backtrader's name of the order's type."""
    request = intent.request
    if request.stop_price is None:
        return "Market" if request.limit_price is None else "Limit"
    return ("StopTrail" if intent.trail else "Stop") + ("" if request.limit_price is None else "Limit")


def _float(price: Decimal | None) -> float | None:
    return None if price is None else float(price)


_LOG = log.logger("live")
_NAME: Final = "strategy"
_LIMITS: Final = "limits"
_REFUSED: Final = "refused"


class ResumedSession:
    """The recorded bars, and the snapshot that stands for them where there is one.

    Attributes:
        last: open time (ms UTC) of the newest recorded bar; None at the first start.
        freezes: whether a snapshot is kept after every bar.
    """

    def __init__(self, store: SessionStore, request: LiveRequest, kind: type[bt.Strategy]) -> None:
        self.last = store.last_bar()
        self.freezes = request.mode == "paper" and can_be_frozen(kind)
        self._is_paper = request.mode == "paper"
        self._step_ms = request.timeframe.seconds * 1000
        self._newest = {symbol: store.last_bar(symbol) for symbol in request.symbols}
        self._rows_to = store.newest_row()
        self._kept = store.kept_executions()
        self._booked: list[tuple[str, str]] = []
        self._replaced: list[Replaced] = []
        self._sent: list[SentOrder] = []
        self._journal: Journal | None = None
        self._sent_until = -math.inf  # Backtrader's time of the newest bar on which an earlier process sent an order
        self._store = store
        at, body = store.snapshot() or (None, {})
        usable = self.freezes and at is not None and at == self.last and isinstance(body, dict) and body.get("version") == VERSION
        self._frozen: Snapshot | None = body if usable else None

    @property
    def is_frozen(self) -> bool:
        """Whether a snapshot stands for the recorded bars, so that they need not be replayed."""
        return self._frozen is not None

    @property
    def next_bar(self) -> datetime | None:
        """Open time of the bar after the newest recorded one; None at the first start."""
        return None if self.last is None else datetime.fromtimestamp((self.last + self._step_ms) / 1000, UTC)

    def begins(self, first_live: datetime) -> datetime:
        """Open time of the first bar that is run: the session's first, or the one after the snapshot."""
        return first_live if self._frozen is None or self.next_bar is None else self.next_bar

    def forecasts_from(self, symbol: str, first_live: datetime) -> datetime:
        """As `begins`, for a symbol whose newest bars may have come too late for the earlier process."""
        newest = self._newest[symbol]
        if self._frozen is None or newest is None:
            return first_live
        return datetime.fromtimestamp((newest + self._step_ms) / 1000, UTC)

    def has_bar(self, symbol: str, at: int) -> bool:
        """Whether an earlier process recorded a bar of that symbol which opened at `at` (ms UTC), or a later one."""
        newest = self._newest[symbol]
        return newest is not None and at <= newest

    def is_warm_up(self, at: int) -> bool:
        """Whether the bar that opened at `at` (ms UTC) only warms indicators up."""
        return self._frozen is not None and self.last is not None and at < self.last

    def resume(self, strategy: bt.Strategy, at: int) -> bool:
        """Restore the strategy from the snapshot of this bar; False where there is nothing to do.

        Raises:
            StoreDamaged: the snapshot is not one of a session.
        """
        if self._frozen is None or at != self.last:
            return False
        saved, self._frozen = self._frozen, None
        try:
            thaw(strategy, saved)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise damaged_snapshot(self._store.path) from error
        log.event(_LOG, "resumed_from_snapshot", at=at, orders=len(saved["orders"]))
        return True

    def has_kept(self, execution: Execution) -> bool:
        """Whether the fill of an execution was recorded; one that an earlier process died before recording is booked again."""
        return self._kept is None or (execution.symbol, execution.trade_id) in self._kept

    @property
    def kept(self) -> frozenset[tuple[str, str]]:
        """The executions that were recorded, by symbol and trade id, as far as that is known."""
        return frozenset(self._kept or ())

    def booked(self, execution: Execution) -> None:
        """Strategy and recorders have an execution; it is recorded with their next rows."""
        self._booked.append((execution.symbol, execution.trade_id))

    def take_booked(self) -> list[tuple[str, str]]:
        """Executions booked since the last call, by symbol and trade id."""
        booked, self._booked = self._booked, []
        return booked

    def replaced(self, replaced: Replaced) -> None:
        """An execution that may be recorded was replaced."""
        self._replaced.append(replaced)

    def correct_fills(self) -> None:
        """Record what was replaced since the last call, after the rows that it may be among."""
        for each in self._replaced:
            stand_in, after = each.stand_in, [_fill_facts(e) for e in each.executions]
            self._store.replace_fill(stand_in.symbol, stand_in.client_id, _fill_facts(stand_in), after)
        if self._replaced and self._kept is not None:
            self._kept = self._store.kept_executions()
        self._replaced = []

    def take_over(self, journal: Journal) -> None:
        """Take what earlier processes did not live to record: executions that were replaced, and the orders of the newest recorded bar
        and of the one after it, since an order is recorded with the next bar.
        """
        for stand_in, executions in journal.replacements():
            self.replaced(Replaced(stand_in, tuple(executions)))
        self.correct_fills()
        self._journal, self._sent = journal, sent_orders(journal, self.last or 0)
        self._sent_until = max((as_number(order.bar) for order in self._sent), default=-math.inf)

    def has_sent(self, symbol: str, at: int) -> bool:
        """Whether an earlier process sent an order in that symbol on the bar that opened at `at` (ms UTC)."""
        return any((order.symbol, order.bar) == (symbol, at) for order in self._sent)

    def rows(self, strategy: bt.Strategy, number: float) -> Rows:
        """Take what the recorders collected up to the bar with Backtrader's time `number`, less what is recorded already.

        With real orders an execution is never one that was booked before. An order that an earlier process sent is recorded as it was: the
        past may have made it once more, and that was refused.
        """
        found = rows_of(strategy)
        if self._rows_to is None or number > self._rows_to:
            return replace(found, orders=[*self._as_they_were(found.orders), *self._left(number)])
        strategy.analyzers.stops.forget()  # what rests is recorded with the next bar that is new
        return replace(found, fills=[] if self._is_paper else found.fills, orders=[], equity=[], stops=[])

    def _as_they_were(self, rows: Sequence[Row]) -> list[Row]:
        found = []
        for row in rows:
            if row[0] <= self._sent_until:
                at = round(epoch_seconds(row[0]) * 1000)
                mine = [order for order in self._sent if (order.bar, order.symbol, order.side) == (at, row[1], row[2])]
                if mine:
                    first = next((order for order in mine if math.isclose(order.size, row[3])), mine[0])
                    self._sent.remove(first)
                    row = (*row[:-1], self._refusal(first))
            found.append(row)
        return found

    def _left(self, number: float) -> list[Row]:
        """Those of the bars before the one with Backtrader's time `number` that the past did not make again."""
        left = [order for order in self._sent if as_number(order.bar) < number]
        self._sent = [order for order in self._sent if order not in left]
        return [order.row(self._store.close_of(order.symbol, order.bar), self._refusal(order)) for order in left]

    def _refusal(self, order: SentOrder) -> str:
        """What became of an order that its process sent; "" where the venue took it. One that never left is to be made by no replay."""
        assert self._journal is not None
        [(_, state, note)] = self._journal.named([order.client_id])
        refusal = note.removeprefix(REPORTED) if state is IntentState.REFUSED else ""
        if refusal == NEVER_ARRIVED and order.is_alone:
            self._store.block_entry(order.bar, order.symbol, NEVER_ARRIVED)
        return refusal

    def snapshot(self, strategy: bt.Strategy, at: int) -> tuple[int, Snapshot] | None:
        """Open time and state of a new bar for `SessionStore.record`; None where no snapshot is kept."""
        is_new = self.last is None or at > self.last
        return (at, freeze(strategy)) if self.freezes and is_new else None


def _fill_facts(e: Execution) -> FillFacts:
    return FillFacts(e.trade_id, float(e.size), float(e.price), float(e.fee), e.fee_currency)


class SavedState:
    """State of a strategy, and of the account's limits, with real orders: recorded in one transaction with the bar and the fills that led
    to it.

    Args:
        failed: called with place and error where a state cannot be recorded.

    Attributes:
        saved: the newest state of the strategy; None where there is none.
        limits: the same of the account's limits.
        refused: by symbol and reason, how many orders of the session came to nothing; its broker counts on.
        guard: the guard whose state is recorded; None where nothing is limited.
    """

    guard: TradingGuard | None = None

    def __init__(self, store: SessionStore, journal: Journal, failed: Failed) -> None:
        self._failed = failed
        kept = store.snapshot()
        found = kept[1] if kept is not None and isinstance(kept[1], dict) else {_NAME: journal.recall(_NAME)}  # of earlier versions
        self.saved: Mapping[str, object] | None = found.get(_NAME)
        self.limits: Mapping[str, Any] | None = found.get(_LIMITS)
        self.refused: dict[str, dict[str, int]] = {str(symbol): dict(counted) for symbol, counted in found.get(_REFUSED, {}).items()}
        self._newest = self.saved
        self._kept: tuple[int, Snapshot] | None = None if kept is None else (kept[0], found)  # what is recorded

    def snapshot(self, strategy: bt.Strategy, at: int) -> tuple[int, Snapshot] | None:
        """The state after the bar that opened at `at` (ms UTC), for `SessionStore.record`; None where the newest one stays."""
        is_new = takes_part(type(strategy)) and self._took(strategy)
        state: Snapshot = {_NAME: self._newest}
        if self.guard is not None or self.refused:
            state |= {_REFUSED: self._counted(), **({} if self.guard is None else {_LIMITS: self.guard.as_dict()})}
        self._kept = at, state
        return self._kept if is_new or len(state) > 1 else None

    def refused_since(self) -> tuple[int, Snapshot] | None:
        """The state after the newest bar with the orders that came to nothing since then, as `snapshot`; None where there are none."""
        if self._kept is None or self._kept[1].get(_REFUSED, {}) == self.refused:
            return None
        self._kept = self._kept[0], {**self._kept[1], _REFUSED: self._counted()}
        return self._kept

    def _counted(self) -> dict[str, dict[str, int]]:
        return {symbol: dict(counted) for symbol, counted in self.refused.items()}

    def _took(self, strategy: bt.Strategy) -> bool:
        """Whether the strategy gave its state."""
        try:
            self._newest = json.loads(json.dumps(strategy.state(), allow_nan=False))
        except Exception as error:  # noqa: BLE001 - the method is the user's, and so is whatever it raises
            self._failed("state", error)
            return False
        return True
