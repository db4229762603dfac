"""Trading on margin at the simulated broker: what of a bar happens to an account of perpetuals, and in which order.

When a bar opens, funding is settled for what is held, at the mark of that moment, and the venue looks whether the account must be
liquidated. Then market orders are filled at the open; the venue looks again, at the worst mark of the bar; then resting orders
are filled. Where finer bars are known inside, the same goes for each of them in turn, but for funding.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import backtrader as bt

from forwardtrader.core.log import logger
from forwardtrader.strategies.backtrader.bars_frame import epoch_seconds
from forwardtrader.strategies.backtrader.execution.inside_bars import InsideBars
from forwardtrader.strategies.backtrader_objects import BtOrder
from forwardtrader.strategies.costs import VenueCommission
from forwardtrader.strategies.ended_symbols import closing_order
from forwardtrader.strategies.feed_context import context_of, traded_feeds
from forwardtrader.strategies.margin.account import Admission, MarginAccount, Stake, split
from forwardtrader.strategies.margin.liquidation import Closing, closings, liquidate, make_good, may_be_due, reason
from forwardtrader.strategies.margin.series import ASSUMED_RATE, AssumedFacts, MarkBar, PerpetualFacts
from forwardtrader.strategies.orders.resting_orders import opened_at

_LOG = logger("strategies")


@dataclass(frozen=True)
class MarginTerms:
    """Terms of an account on margin: largest leverage, and the fee of a liquidation as a share of the value closed."""

    leverage: float
    liquidation_fee: float


@dataclass
class MarginReport:
    """What became of an account on margin, for the record of a run: liquidations, at Backtrader's times, and by bar what all positions were
    worth as a share of equity."""

    account: MarginAccount
    liquidated: list[tuple[float, str]] = field(default_factory=list)
    gross: array[float] = field(default_factory=lambda: array("d"))


class MarginTrading:
    """The account on margin of one broker, and the perpetuals on its feeds."""

    def __init__(self, broker: Any, datas: Sequence[Any], terms: MarginTerms) -> None:
        self._broker, self._terms = broker, terms
        self._datas = traded_feeds(datas)
        stakes = [Stake.of(context_of(data).rules) for data in self._datas]
        self.stakes = dict(zip(self._datas, stakes, strict=True))
        self.account = MarginAccount(float(broker.cash), terms.leverage, stakes)
        self.report = MarginReport(self.account)
        self._seen, self._until = dict.fromkeys(self._datas, 0), dict.fromkeys(self._datas, 0.0)
        self._bars: dict[Any, MarkBar] = {}
        self._facts: dict[Any, PerpetualFacts] = {data: self._known(data) for data in self._datas}

    def next(self) -> None:
        """One turn of the broker."""
        broker = self._broker
        self.open_bars()
        broker.activate()
        self.check_submitted()
        broker.work_pending(_is_at_market)
        if broker.inside is not None and self._makes_a_difference(broker.inside):
            self._go_inside(broker.inside)
        else:
            self._look(self._bars)
            broker.work_pending(_rests)
        self.close_bars()
        broker.close_ended()
        broker._get_value()
        if self._bars and max(epoch_seconds(data.datetime[0]) for data in self._bars) >= broker.p.trade_from:
            equity = self.account.equity()
            self.report.gross.append(self.account.notional() / equity if equity > 0.0 else 0.0)

    def check_submitted(self) -> None:
        """Accept the orders that were just given, or refuse them for want of margin."""
        broker, admission = self._broker, Admission(self.account)
        while broker.submitted:
            order = broker.submitted.popleft()
            if broker._take_children(order) is None:
                continue
            if refusal := self._objection(admission, order):
                self._refuse(order, refusal)
            else:
                broker.submit_accept(order)

    def fill(self, order: Any, price: float, closing: Closing | None = None, *, part: float | None = None) -> None:
        """Execute all that is left of an order at `price`, or `part` of it (base units), or what the margin allows of that."""
        broker, data, executions = self._broker, order.data, len(order.executed)
        position = broker.holdings.held[data]
        before = position.size
        change = order.executed.remsize if part is None else math.copysign(part, order.executed.remsize)
        refusal = self._execute(order, position, price, closing, change)
        if len(order.executed) > executions:
            broker.notify(order)
            broker._ococheck(order)
            broker.holdings.settle(order, data, before)
        if refusal:
            self._refuse(order, refusal)

    def open_bars(self) -> None:
        """Take in the marks of the bars that are new, and settle their funding."""
        self._bars = {}
        for data in self._datas:
            if len(data) == self._seen[data]:
                continue
            self._seen[data] = len(data)
            context, opened = context_of(data), epoch_seconds(data.datetime[0])
            bar = self._bars[data] = self._mark(data, opened)
            ends, stake = opened + context.timeframe.seconds, self.stakes[data]
            stake.mark = bar.open
            for rate in self._facts[data].settlements(self._until[data] or opened, ends):
                self.account.fund(stake, stake.mark, rate)
            self._until[data] = ends
        self._liquidate(None)

    def _makes_a_difference(self, inside: InsideBars) -> bool:
        """Whether the finer bars may give something else than the bars they are inside of."""
        if inside.may_touch(self._broker.pending):
            return True
        has_some = any(data in inside for data in self._bars)
        return has_some and self.account.notional() > 0.0 and may_be_due(self.account, self._worst(self._bars))

    def _go_inside(self, inside: InsideBars) -> None:
        """First what is known of whole bars alone, then the finer bars in order: each as a bar is met by an account on margin."""
        for step in inside.steps():
            marks = {data: bar.mark for data, bar in step.items() if bar.mark is not None} if step else self._whole(inside)
            if step:
                self._open(marks)
                self._broker.activate()
                self._broker.work_pending(_is_at_market)
            self._look(marks)
            self._broker.work_pending(_rests)
            if step:
                for data, mark in marks.items():
                    self.stakes[data].mark = mark.close

    def _whole(self, inside: InsideBars) -> dict[Any, MarkBar]:
        """The marks of those bars inside of which none are known."""
        return {data: mark for data, mark in self._bars.items() if not inside.has_marks(data)}

    def _open(self, marks: Mapping[Any, MarkBar]) -> None:
        for data, mark in marks.items():
            self.stakes[data].mark = mark.open
        if marks and self.account.notional():
            self._liquidate(None)

    def _look(self, marks: Mapping[Any, MarkBar]) -> None:
        """Have the venue look at the worst of these marks."""
        if marks and self.account.notional():
            self._liquidate(self._worst(marks))

    def _worst(self, marks: Mapping[Any, MarkBar]) -> list[float]:
        return [marks[data].worst(stake.size) if data in marks and stake.size else stake.mark for data, stake in self.stakes.items()]

    def close_bars(self) -> None:
        """The marks at which the bars close."""
        for data, bar in self._bars.items():
            self.stakes[data].mark = bar.close

    def as_dict(self) -> dict[str, Any]:
        """What must be kept across a restart; plain JSON values."""
        stakes = {data._name: [stake.size, stake.entry, stake.mark] for data, stake in self.stakes.items()}
        return {"wallet": self.account.wallet, "stakes": stakes, "tally": asdict(self.account.tally)}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on from what `as_dict` gave; a stake or a tally that it lacks stays as it is."""
        self.account.wallet = saved["wallet"]
        for data, stake in self.stakes.items():
            stake.size, stake.entry, stake.mark = saved["stakes"].get(data._name, (stake.size, stake.entry, stake.mark))
        for name, amount in saved.get("tally", {}).items():
            setattr(self.account.tally, name, amount)

    def _mark(self, data: Any, opened: float) -> MarkBar:
        known = self._facts[data].mark(opened)
        if known is not None:
            return known
        return MarkBar(float(data.open[0]), float(data.high[0]), float(data.low[0]), float(data.close[0]))

    def _known(self, data: Any) -> PerpetualFacts:
        context = context_of(data)
        if context.facts is not None:
            return context.facts
        note = f"funding and mark are not given: {ASSUMED_RATE * 1e4:g} bp each eight hours and the last price stand for them"
        _LOG.warning("facts assumed", extra={"facts": {"symbol": context.rules.symbol, "note": note}})
        return AssumedFacts(context.rules.funding_hours)

    def _execute(self, order: Any, position: Any, price: float, closing: Closing | None, change: float) -> str:
        """Book the execution; why a part that opens a position was left out, "" where none was."""
        data = order.data
        stake, scheme = self.stakes[data], self._broker.getcommissioninfo(data)
        closed, opened = split(stake.size, change)
        maker = closing is None and _has_rested(order)
        fees = [_fee(scheme, part, price, maker=maker) for part in (closed, opened)]
        refusal = self.account.refusal(stake, change, price, fees[0] + fees[1]) if closing is None else ""
        if refusal:
            change, opened, fees[1] = closed, 0.0, 0.0
        if not change:
            return refusal
        entry = stake.entry
        if closing is None:
            gain = self.account.settle(stake, change, price, fees[0] + fees[1], maker=maker)
        else:
            gain, fees[0] = liquidate(self.account, closing), closing.fee
        self._broker.cash = self.account.wallet
        position.update(change, price, data.datetime.datetime())
        order.execute(
            data.datetime[0], change, price, closed, -closed * entry, fees[0], opened, opened * price, fees[1], scheme.margin, gain,
            position.size, position.price,
        )  # fmt: skip
        order.addcomminfo(scheme)
        return refusal

    def _refuse(self, order: Any, refusal: str) -> None:
        broker = self._broker
        order.addinfo(refusal=refusal)
        order.margin()
        broker.notify(order)
        broker._ococheck(order)
        broker._bracketize(order, cancel=True)

    def _objection(self, admission: Admission, order: Any) -> str:
        if order.parent is not None:  # it closes what its parent opens
            return ""
        stake, change, price = self.stakes[order.data], float(order.executed.remsize), float(order.created.price)
        fee = _fee(self._broker.getcommissioninfo(order.data), change, price, maker=False)
        return admission.refusal(stake, change, price, fee, at_market=order.exectype == bt.Order.Market)

    def _liquidate(self, worst: Sequence[float] | None) -> None:
        account = self.account
        due = closings(account, self._terms.liquidation_fee, worst)
        if not due:
            return
        told = reason(account)
        for order in self._broker.may_execute():
            self._broker.cancel(order)
        by_stake = {id(stake): data for data, stake in self.stakes.items()}
        for closing in due:
            self.fill(self._forced(by_stake[id(closing.stake)], closing, told), closing.price, closing)
        lacking = make_good(account)
        self._broker.cash = account.wallet
        if lacking:
            told += f"; the loss was {lacking:,.2f} more than the account had"
        at = max(float(data.datetime[0]) for data in self._bars) if self._bars else 0.0
        self.report.liquidated.append((at, told))
        symbols = ", ".join(closing.stake.rules.symbol for closing in due)
        _LOG.warning("liquidated", extra={"facts": {"symbols": symbols, "note": told}})

    def _forced(self, data: Any, closing: Closing, told: str) -> Any:
        """An accepted market order by which the venue closes a position."""
        broker = self._broker
        order = closing_order(data, closing.stake.size, broker.cerebro.runningstrats[0], lambda made: broker._ocoize(made, None))
        order.addinfo(reason=told)
        return order


def _is_at_market(order: BtOrder) -> bool:
    return bool(order.exectype == bt.Order.Market)


def _rests(order: BtOrder) -> bool:
    return not _is_at_market(order)


def _has_rested(order: BtOrder) -> bool:
    """Whether a limit order was in the book before the price came to it: it pays as a maker."""
    if order.exectype != bt.Order.Limit:
        return False
    if getattr(order, "has_rested", False):
        return True
    limit, opened = order.created.price, opened_at(order.data)
    return bool(opened > limit if order.isbuy() else opened < limit)


def _fee(scheme: Any, size: float, price: float, *, maker: bool) -> float:
    if not size:
        return 0.0
    return scheme.fee(size, price, maker=maker) if isinstance(scheme, VenueCommission) else float(scheme.getcommission(size, price))
