"""Liquidation of a cross-margin account: when, at which prices, and what is left.

The venue closes every position once equity, at mark prices, has fallen to the maintenance margin. It looks when a bar opens, at the marks
of that moment, and then at the worst mark that the bar had for each position, before any resting order of the bar is filled: what is closed
is closed at those prices. What the wallet lacks after that, the insurance fund bears.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from forwardtrader.strategies.margin.account import MarginAccount, Stake

_CAUTION: Final = 1e-6  # of the maintenance margin: what lies this near is worked out in full


@dataclass(frozen=True, slots=True)
class Closing:
    """One position to be closed by the venue: all units of `stake`, at `price`, for `fee`."""

    stake: Stake
    change: float
    price: float
    fee: float


def is_due(account: MarginAccount) -> bool:
    """Whether equity is at or below the maintenance margin, at the newest marks."""
    needed = account.maintenance()
    return needed > 0.0 and account.equity() <= needed


def may_be_due(account: MarginAccount, worst: Sequence[float]) -> bool:
    """Whether equity comes near the maintenance margin at these marks of the stakes: if not, no better marks make a liquidation due."""
    equity, needed = account.wallet, 0.0
    for stake, mark in zip(account.stakes, worst, strict=True):
        if stake.size:
            equity += stake.size * (mark - stake.entry)
            needed += stake.tiers.maintenance(abs(stake.size) * mark)
    return needed > 0.0 and equity <= needed * (1.0 + _CAUTION)


def closings(account: MarginAccount, fee: float, worst: Sequence[float] | None = None) -> list[Closing]:
    """The positions that are liquidated at the newest marks, or at the `worst` of each stake where they are given; empty where none is.

    The stakes get the marks at which they are closed.

    Args:
        fee: of the liquidation, as a share of the value closed.
    """
    marks = [stake.mark for stake in account.stakes]
    if worst is not None:
        _mark(account, worst)
    if is_due(account):
        return [Closing(s, -s.size, s.mark, abs(s.size) * s.mark * fee) for s in account.stakes if s.size]
    _mark(account, marks)
    return []


def reason(account: MarginAccount) -> str:
    """Why the venue closes the positions, at the marks at which it does."""
    return f"liquidated: equity {account.equity():,.2f} was not above the maintenance margin of {account.maintenance():,.2f}"


def liquidate(account: MarginAccount, closing: Closing) -> float:
    """Book one closing; the gain."""
    tally = account.tally
    gain = account.settle(closing.stake, closing.change, closing.price, closing.fee)
    tally.taker_fees -= closing.fee
    tally.liquidation_fees += closing.fee
    tally.liquidations += 1
    return gain


def make_good(account: MarginAccount) -> float:
    """Have the insurance fund bear what a wallet without positions lacks; the amount, above zero where the account is bankrupt."""
    if account.wallet >= 0.0 or account.notional():
        return 0.0
    lacking, account.wallet = -account.wallet, 0.0
    account.tally.insured += lacking
    return lacking


def liquidation_price(account: MarginAccount, stake: Stake) -> float:
    """The mark at which equity meets the maintenance margin if no other mark moves; 0 for a long, infinite for a short that no price ends,
    and NaN without a position."""
    if not stake.size:
        return math.nan
    tiers = stake.tiers
    others = account.maintenance() - tiers.maintenance(stake.notional)
    equity_at_zero = account.equity() - stake.size * stake.mark
    for start, end, rate, amount in zip(tiers.starts, (*tiers.starts[1:], math.inf), tiers.rates, tiers.amounts, strict=True):
        price = (others - amount - equity_at_zero) / (stake.size - abs(stake.size) * rate)
        if start <= abs(stake.size) * price <= end:
            return price
    return 0.0 if stake.size > 0.0 else math.inf


def _mark(account: MarginAccount, marks: Sequence[float]) -> None:
    for stake, mark in zip(account.stakes, marks, strict=True):
        stake.mark = mark
