"""Bracket orders before their parent leaves: the rule of every broker, simulated or live.

A bracket is made order by order, the parent first, and sent with its last child. Where a child is refused meanwhile, the whole bracket
is: a position without the stop that was asked for beside it is not what the strategy meant.
"""

from __future__ import annotations

from typing import Any, Final

import backtrader as bt

FAMILY_REFUSED: Final = "a child order of it was refused"
PARENT_OVER: Final = "its parent order was refused or is over"
CAME_TO_NOTHING: Final = {
    bt.Order.Margin: "there was not enough cash for it (Margin)",
    bt.Order.Expired: "not filled while it was valid (Expired)",
}
TOO_LITTLE: Final = "its parent filled too little"


def count_refused(refused: dict[str, dict[str, int]], symbol: str, reason: str) -> None:
    """Count one order that came to nothing."""
    reasons = refused.setdefault(symbol, {})
    reasons[reason] = reasons.get(reason, 0) + 1


def family_refusal(refusal: str) -> str:
    """Why a parent is refused whose child was refused for `refusal`."""
    return f"{FAMILY_REFUSED}: {refusal}"


def on_close_note(orders: int) -> str:
    """What is told of market orders on close in a backtest or on paper."""
    return f"{orders:,} market {'order' if orders == 1 else 'orders'} on close (Order.Close), which a session with real orders refuses"


def is_kept_back(parent: Any) -> bool:
    """Whether a parent (None for no parent) is alive, and waits for the child that transmits it."""
    return parent is not None and not parent.transmit and parent.parent is None and parent.status == bt.Order.Created
