"""Backtrader's own broker behind the venue's rules: what the venue would refuse is refused here too, also for users' strategies."""

from __future__ import annotations

from itertools import chain
from typing import Any, Final

import backtrader as bt
from backtrader.order import BuyOrder, SellOrder

from forwardtrader.core.log import logger
from forwardtrader.core.types import OrderRequest, Side, slipped
from forwardtrader.strategies.backtrader.account_broker import books
from forwardtrader.strategies.backtrader.bars_frame import epoch_seconds
from forwardtrader.strategies.backtrader.cheating import refuse_cheating, set_coc, set_coo
from forwardtrader.strategies.backtrader.execution.executing_broker import ExecutingBroker, note_gross
from forwardtrader.strategies.backtrader.execution.inside_bars import InsideBars
from forwardtrader.strategies.backtrader.guarded_orders import is_in_force, objection
from forwardtrader.strategies.backtrader.on_margin.trading import MarginTerms, MarginTrading
from forwardtrader.strategies.backtrader_objects import BtData, BtOrder
from forwardtrader.strategies.detail.series import inner_of
from forwardtrader.strategies.ended_symbols import AT_LAST_PRICE, EndedSymbols, closing_order
from forwardtrader.strategies.feed_context import context_of, traded
from forwardtrader.strategies.order_rules import (
    OrderRefusal,
    RawOrder,
    RestingSell,
    adds_exposure,
    decimal,
    floor_to,
    is_dust,
    normalise,
    sellable,
)
from forwardtrader.strategies.orders.entries import CROSSED
from forwardtrader.strategies.orders.families import (
    CAME_TO_NOTHING,
    FAMILY_REFUSED,
    PARENT_OVER,
    TOO_LITTLE,
    count_refused,
    family_refusal,
    is_kept_back,
    on_close_note,
)
from forwardtrader.strategies.orders.resting_orders import fills_through, hand_over, has_arrived, is_crossing, part_of
from forwardtrader.strategies.orders.trailing_stops import TRAILING, begin, has_traded, put_on_grid, raw_order
from forwardtrader.strategies.trading_state.guard import TradingGuard

_LOG = logger("strategies")
_NO_BAR: Final = "there is no bar yet"
_NEVER: Final = 719_163.0  # 1970-01-01, as Backtrader counts days
_PRICED = (bt.Order.Stop, bt.Order.StopLimit)


class VenueRulesBroker(ExecutingBroker):
    """Fills as `BackBroker` does, at the next bar, but only orders that the venue would have taken.

    Sizes and prices are put on the venue's grid; a refused order comes back `Rejected` with `order.info.refusal`, and the refusal
    is logged. Slippage is charged in full on market and stop orders, outside the bar's range too, and never moves a limit order
    beyond its limit. A bar in which nothing was traded fills nothing. Where the venue takes its fee in base currency, a buy
    delivers that much less. What is too small to be sold is in the account's value, and no position (`Holdings`). Cheating on open or
    close is refused.

    Params:
        trade_from: UTC epoch seconds; orders made on earlier bars are refused.

    Attributes:
        refused: by symbol and reason, how many orders came to nothing.
        ended: the symbols that have no more bars.
        on_close: by symbol, how many market orders on close were taken.
        guard: the limits of the account; None where there are none.
        terms: of an account on margin, which trades perpetuals; None for an account of cash.
    """

    params = (("trade_from", 0.0),)
    guard: TradingGuard | None = None
    terms: MarginTerms | None = None

    def start(self) -> None:
        refuse_cheating(self)
        self._is_checked = False
        super().start()
        self.margin = MarginTrading(self, self.cerebro.datas, self.terms) if self.terms else None
        self.inside = InsideBars.of(self.cerebro.datas)
        self.refused: dict[str, dict[str, int]] = {}
        self.on_close: dict[str, int] = {}
        self.ended = EndedSymbols(getattr(getattr(self, "cerebro", None), "datas", ()))

    @books
    def next(self) -> None:
        """As `BackBroker`, without its daily interest and futures margins, which a plain share-of-value commission never has."""
        if not self._is_checked:  # the strategy has been made since the start
            self._is_checked = True
            refuse_cheating(self)
        hand_over(chain(self.pending, self.submitted), self._objection)
        if self.inside is not None:
            self.inside.turn()
        if self.margin is not None:
            self.margin.next()
            return
        is_plain = self.charges_shares and not self._userhist and not self._fundhist
        if is_plain or self.inside is not None:
            self.activate()
            if self.submitted:
                self.check_submitted()
        self.work_through(self.work_pending if is_plain else super().next)
        self.close_ended()
        self._get_value()

    @books
    def check_submitted(self) -> None:
        """As `BackBroker`; on margin, an order that adds exposure needs as much free margin as it ties up."""
        if self.margin is None:
            super().check_submitted()
        else:
            self.margin.check_submitted()

    def close_ended(self) -> None:
        """Close what is held of symbols that have no more bars, and cancel their orders."""
        for data in self.ended.take():
            for order in [order for order in chain(self.pending, self.submitted) if order.data is data]:
                self.cancel(order)
            held = self.holdings.held[data].size
            end = self.ended.note(data, held)
            if held:
                order = closing_order(data, held, self.cerebro.runningstrats[0], lambda made: self._ocoize(made, None))
                order.addinfo(reason=f"{end}; {AT_LAST_PRICE}")
                price = slipped(data.close[0], self.p.slip_perc, buys=held < 0)
                if self.margin is not None:
                    self.margin.fill(order, price)
                    continue
                super()._execute(order, ago=0, price=price)
                self.holdings.settle(order, data, held)

    set_coc, set_coo = set_coc, set_coo

    def buy(self, owner: object, data: BtData, size: float, *args: Any, **kwargs: Any) -> Any:
        return self._admit(self._send(Side.BUY, super().buy, owner, traded(data), size, *args, **kwargs))

    def sell(self, owner: object, data: BtData, size: float, *args: Any, **kwargs: Any) -> Any:
        return self._admit(self._send(Side.SELL, super().sell, owner, traded(data), size, *args, **kwargs))

    def _admit(self, order: Any) -> Any:
        """Cancel an order that adds exposure while nothing may be entered; the rule of the live broker's pre-trade checks."""
        parent = order.parent
        incoming = parent.executed.remsize if parent is not None and parent.alive() else 0.0
        side = Side.BUY if order.isbuy() else Side.SELL
        position = self.holdings.held[order.data].size + incoming
        if order.alive() and adds_exposure(position, side, abs(order.created.size)) and (reason := self._objection(order.data)):
            order.addinfo(refusal=reason)
            self._count(order.data._name, reason.partition(" (")[0])
            self.cancel(order)
        return order

    def _send(
        self,
        side: Side,
        send: Any,
        owner: object,
        data: BtData,
        size: float,
        price: float | None = None,
        plimit: float | None = None,
        exectype: int | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        if self.p.coc or self.p.coo:
            refuse_cheating(self)
        if not len(data):
            self._count(data._name, _NO_BAR)
            return self._refuse(side, owner, data, size, (price, plimit), exectype, _NO_BAR, kwargs)
        raw = raw_order(
            side, data, size, price, plimit, exectype, reason=str(kwargs.get("reason", "")), trailamount=kwargs.get("trailamount"),
            trailpercent=kwargs.get("trailpercent"),
        )  # fmt: skip
        answer = self._answer(raw, data, kwargs)
        if isinstance(answer, OrderRefusal):
            self._count(data._name, answer.counted_as)
            return self._refuse(side, owner, data, size, (price, plimit), exectype, answer.reason, kwargs)
        if exectype in _PRICED:
            price = _float(answer.stop_price, price)
            plimit = _float(answer.limit_price, plimit)
        elif exectype == bt.Order.Limit:
            price = _float(answer.limit_price, price)
        if (moment := getattr(data, "present_ms", None)) is not None and (made := moment()):
            kwargs["made_ms"] = made
        parent, oco, role = (kwargs.get(name) for name in ("parent", "oco", "role"))
        if limited := objection(self, data, answer, exectype=exectype, parent=parent, oco=oco, role=role):
            return self._refuse(side, owner, data, float(answer.size), (price, plimit), exectype, limited, kwargs)
        if exectype == bt.Order.Close:
            self._note_on_close(data._name)
        order = send(owner, data, float(answer.size), price, plimit, exectype, *args, **kwargs)
        if exectype in TRAILING:
            begin(order)
        return order

    def _note_on_close(self, symbol: str) -> None:
        """Count a market order on close; the first one of a symbol is logged, since a session with real orders would have refused it."""
        self.on_close[symbol] = self.on_close.get(symbol, 0) + 1
        if self.on_close[symbol] == 1:
            _LOG.warning("market order on close", extra={"facts": {"symbol": symbol, "note": on_close_note(1)}})

    def _answer(self, raw: RawOrder, data: BtData, kwargs: dict[str, Any]) -> OrderRequest | OrderRefusal:
        if epoch_seconds(data.datetime[0]) < self.p.trade_from:
            return OrderRefusal("the first traded day has not come yet")
        if data._name in self.ended.notes:
            return OrderRefusal("its bars have ended")
        parent = kwargs.get("parent")
        if parent is not None and not parent.alive():
            return OrderRefusal(PARENT_OVER)
        context = context_of(data)
        answer = normalise(raw, context.rules, sellable=self.sellable(data, oco=kwargs.get("oco"), parent=parent))
        if isinstance(answer, OrderRefusal) or parent is not None or context.may_hold(epoch_seconds(data.datetime[0])):
            return answer
        adds = adds_exposure(self.holdings.held[data].size, answer.side, answer.size)
        return OrderRefusal("it does not belong to the universe at this time") if adds else answer

    def cancel(self, order: Any, bracket: bool = False) -> bool:
        """Take an order back; also one of this very bar, or kept back with its family, which `BackBroker` would not let go."""
        if is_kept_back(order) and order.ref in self._pchildren:
            self._drop_family(order)
            order.cancel()
            self.notify(order)
            return True
        if not bracket and order in self.submitted:
            self.submitted.remove(order)
            self.pending.append(order)
        return bool(super().cancel(order, bracket))

    def sellable(self, data: BtData, *, oco: BtOrder | None = None, parent: BtOrder | None = None) -> float:
        """Base units that a new sell order may have (`order_rules.sellable`); a child may sell what its parent will buy."""
        incoming = float(parent.executed.remsize) if parent is not None and parent.alive() else 0.0
        group = self.group_joined(oco, parent)
        resting = [
            RestingSell(-float(order.executed.remsize), self.group_of(order))
            for order in self.may_execute()
            if order.data is data and order.issell() and is_in_force(order)
        ]
        return sellable(float(self.holdings.held[data].size), resting, group=group, incoming=incoming)

    def may_execute(self) -> list[Any]:
        """The orders that may still be executed, those included that wait for a parent."""
        return [order for order in chain(self.pending, self.submitted) if order is not None and order.alive()]

    def group_of(self, order: BtOrder) -> tuple[str, int]:
        """Equal for orders of which only one is executed: an OCO group, the children of one bracket."""
        if order.parent is not None:
            return ("parent", order.parent.ref)
        return ("oco", self._ocos.get(order.ref, order.ref))

    def group_joined(self, oco: BtOrder | None, parent: BtOrder | None) -> tuple[str, int] | None:
        """The group that a new order joins by its sibling or parent; None where it stands alone."""
        return self.group_of(oco) if oco is not None else None if parent is None else ("parent", parent.ref)

    def _bracketize(self, order: BtOrder, cancel: bool = False) -> None:
        super()._bracketize(order, cancel)
        if not cancel and order.parent is None:
            for child in list(self._pchildren[order.ref]):
                self._fit(child, abs(order.executed.size))

    def _fit(self, child: Any, filled: float) -> None:
        """Cut a child to what its parent brought in; a fee in base currency took part of that."""
        rules, wanted = context_of(child.data).rules, abs(child.executed.remsize)
        units = floor_to(min(decimal(wanted), decimal(filled)), rules.step)
        if is_dust(units, child.created.price, rules):
            self.pending.remove(child)
            child.addinfo(refusal=TOO_LITTLE)
            child.reject(self)
            self.notify(child)
            self._count(child.data._name, TOO_LITTLE)
            self._bracketize(child, cancel=True)
        elif units < decimal(wanted):
            child.size = child.executed.remsize = float(units) if child.isbuy() else -float(units)  # `created` keeps what was decided

    def _refuse(
        self, side: Side, owner: object, data: BtData, size: float, prices: tuple[float | None, float | None], exectype: int | None,
        refusal: str, kwargs: dict[str, Any],
    ) -> Any:  # fmt: skip
        kind, (price, plimit), has_bar = BuyOrder if side is Side.BUY else SellOrder, prices, len(data) > 0
        order = kind(
            owner=owner, data=data, size=abs(size), price=price, pricelimit=plimit, exectype=exectype, simulated=not has_bar,
        )  # fmt: skip
        if not has_bar:  # Backtrader would date it by a bar; the strategy is notified of it like of any other
            order.p.simulated, order.created.dt = False, _NEVER
        order.addinfo(**{k: v for k, v in kwargs.items() if k in ("reason", "role")}, refusal=refusal)
        self._ocoize(order, None)
        if has_bar:
            order.reject(self)
        order.status = bt.Order.Rejected
        self.notify(order)
        _LOG.warning("order refused", extra={"facts": {"symbol": data._name, "side": str(side), "size": size, "refusal": refusal}})
        if is_kept_back(parent := kwargs.get("parent")):
            self._refuse_parent(parent, family_refusal(refusal))
        return order

    def _refuse_parent(self, parent: Any, refusal: str) -> None:
        """A parent that has not left yet does not go without one of its children, nor do the others of them."""
        self._drop_family(parent)
        parent.addinfo(refusal=refusal)
        parent.reject(self)
        self.notify(parent)
        self._count(parent.data._name, FAMILY_REFUSED)

    def _drop_family(self, parent: BtOrder) -> None:
        """Cancel the children of a parent that was kept back with them."""
        for child in self._pchildren.pop(parent.ref, ()):
            if child is not parent:
                child.cancel()
                self.notify(child)

    def notify(self, order: Any) -> None:
        super().notify(order)
        if order.status in CAME_TO_NOTHING:
            self._count(order.data._name, CAME_TO_NOTHING[order.status])

    def _count(self, symbol: str, reason: str) -> None:
        """Count what the venue would have refused; what the account's limits refuse is counted by their guard."""
        count_refused(self.refused, symbol, reason)

    def _try_exec(self, order: Any) -> None:
        data = order.data
        if data.datetime[0] <= order.created.dt or _had_begun(data, order):
            return  # the symbol has no bar yet that began since the order was made, though another one has
        if not has_traded(data) or (self.inside is not None and not self.inside.meets(order)):
            return  # so nothing can have been filled
        inner = inner_of(data)
        moment = data.datetime[0] if inner is None else inner.at
        is_new, order.tried_at = getattr(order, "tried_at", None) != moment, moment
        self._is_booked = inner is not None and (order.triggered or (order.exectype == bt.Order.Limit and has_arrived(order)))
        if is_crossing(order):
            self._refuse_crossing(order)
        elif fills_through(order, self.fills):
            order.has_rested = True
            if is_new and (units := part_of(order, self.fills)):  # each bar has its share of volume once
                self._fill_resting(order, units)
        elif order.exectype not in TRAILING:
            super()._try_exec(order)
            order.has_rested = True
        elif is_new:  # else it was moved by this bar, which cannot reach it any more
            super()._try_exec(order)
            put_on_grid(order)

    def _objection(self, data: Any) -> str:
        """Why no position may be entered on a feed now; "" where it may."""
        paused = context_of(data).paused
        return paused.get(round(epoch_seconds(data.datetime[0]) * 1000), "") if paused else ""

    def _refuse_crossing(self, order: Any) -> None:
        """The venue does not let a post-only order take from the book."""
        order.addinfo(refusal=CROSSED)
        order.reject(self)
        self.notify(order)
        self._count(order.data._name, CROSSED)
        self._ococheck(order)

    def _try_exec_close(self, order: Any, pclose: float) -> None:
        """A market order at the last price of the day, which slips as any other."""
        super()._try_exec_close(order, slipped(pclose, self.p.slip_perc, buys=order.isbuy()))

    def _execute(self, order: Any, ago: Any = None, price: Any = None, cash: Any = None, position: Any = None, dtcoc: Any = None) -> Any:
        if ago is not None and price is not None and order.isbuy() and context_of(order.data).rules.fee_in_base:
            price = self._deliver_net(order, price)
        if ago is None:
            return super()._execute(order, ago=ago, price=price, cash=cash, position=position, dtcoc=dtcoc)
        if self._part is None:
            self._close_exactly(order)
        if self.margin is not None:
            if price is not None:
                self.margin.fill(order, price, part=self._part)
            return None
        data = order.data if order.data._compensate is None else order.data._compensate
        before, executions = self.holdings.held[data].size, len(order.executed)
        super()._execute(order, ago=ago, price=price, cash=cash, position=position, dtcoc=dtcoc)
        if len(order.executed) > executions:  # the notification that the strategy gets is a copy that shares them
            note_gross(order)
            self.holdings.settle(order, data, before)
        return None


def _had_begun(data: Any, order: BtOrder) -> bool:
    """Whether a longer bar, which a shorter one of another feed is beside, had begun before the order was made."""
    made = order.info.get("made_ms")
    return made is not None and data.opened_ms() < made


def _float(value: Any, otherwise: float | None) -> float | None:
    return otherwise if value is None else float(value)
