"""What an execution does to a Backtrader order and position: one function, without any I/O."""

from __future__ import annotations

from typing import Any

from forwardtrader.live.bridge.data import as_number
from forwardtrader.live.execution.events import Execution
from forwardtrader.strategies.feed_context import context_of

_FLOAT_NOISE = 1e-9


def execute(order: Any, position: Any, comminfo: Any, told: Execution) -> float:
    """Book `told` on the order and its position; returns the change of cash in quote units.

    A fee in base currency shrinks what is delivered and raises the price per unit accordingly, so that the money adds up; the gross
    figures ride on `order.info`. The execution is stamped with the open time of the bar in which it happened; its own time, in
    milliseconds, is `order.info.executed_at`.
    """
    facts = context_of(order.data)
    sign = 1.0 if told.side == "buy" else -1.0
    gross, price, fee = float(told.size), float(told.price), float(told.fee)
    size, commission = sign * gross, 0.0
    order.addinfo(executed_at=told.at, trade_id=told.trade_id)
    if told.fee_currency == facts.rules.base and fee:
        size, paid = sign * gross - fee, price
        order.executed.remsize -= sign * gross - size
        price = paid * gross / abs(size)
        order.addinfo(gross_size=gross, gross_price=paid, fee_base=fee)
    else:
        commission = fee if told.fee_currency == facts.rules.quote else 0.0
        for name in ("gross_size", "gross_price", "fee_base"):
            order.info.pop(name, None)
    if abs(order.executed.remsize - size) < _FLOAT_NOISE * abs(size):
        order.executed.remsize = size  # floats on a decimal grid add up to not quite zero
    if position.size and abs(position.size + size) < _FLOAT_NOISE * abs(size):
        order.executed.remsize += -position.size - size
        size = -position.size
    before = position.price
    psize, pprice, opened, closed = position.update(size, price)
    share = commission / abs(size)
    step = facts.timeframe.seconds * 1000
    order.execute(
        as_number(told.at - told.at % step), size, price,
        closed, comminfo.getvaluesize(-closed, before) if closed else 0.0, share * abs(closed),
        opened, comminfo.getvaluesize(opened, price) if opened else 0.0, share * abs(opened),
        comminfo.margin, comminfo.profitandloss(-closed, before, price) if closed else 0.0, psize, pprice,
    )  # fmt: skip
    order.addcomminfo(comminfo)
    return -sign * price * abs(size) - commission
