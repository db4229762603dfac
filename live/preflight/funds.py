"""Whether an account can trade at all: it can pay for the smallest order of a symbol, or it holds coins enough to sell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import ROUND_UP, Context, Decimal
from typing import Final

from forwardtrader.core.errors import AccountTooSmall
from forwardtrader.core.types import MarketRules
from forwardtrader.strategies.order_rules import is_dust, smallest_cost

_SHOWN: Final = Context(prec=6, rounding=ROUND_UP)  # the amount needed is never shown as less than it is
_NONE: Final = Decimal(0)


def require_enough(balances: Mapping[str, Decimal], rules: Iterable[MarketRules], prices: Mapping[str, float], remedy: str) -> None:
    """Require that the account can buy or sell at least one symbol at its newest price; fees are not counted.

    Args:
        balances: currency to units held.
        prices: newest price by symbol, in quote units; where one is missing, the smallest notional is required.
        remedy: what the user can do about it; ends the message.

    Raises:
        AccountTooSmall: it cannot; the message names the symbol for which the least is missing.
    """
    lacking = []
    for r in rules:
        have, needed = balances.get(r.quote, _NONE), _needed(r, prices.get(r.symbol))
        if have >= needed or _sells(balances.get(r.base, _NONE), r, prices.get(r.symbol)):
            return
        lacking.append((1 - have / needed, have, needed, r))
    _, have, needed, r = min(lacking, key=lambda found: found[0])
    raise AccountTooSmall(
        f"the account holds {have:f} {r.quote}, the smallest order of {r.symbol} needs {_SHOWN.plus(needed).normalize():f}; {remedy}"
    )


def _needed(rules: MarketRules, price: float | None) -> Decimal:
    return rules.min_notional if price is None else smallest_cost(rules, price)


def _sells(coins: Decimal, rules: MarketRules, price: float | None) -> bool:
    return not is_dust(abs(coins), price, rules)
