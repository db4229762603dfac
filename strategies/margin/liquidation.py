"""Liquidation of a cross-margin account: when, at which prices, and what is left.

The venue closes every position once equity, at mark prices, has fallen to the maintenance margin. Inside a bar the marks are taken to go
straight from where they stood to their worst, long and short positions at the same time, and that comes before anything in the bar that
would have helped. Positions are closed at the marks at which equity meets the maintenance margin, or where they opened if that is beyond.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from forwardtrader.strategies.margin.account import MarginAccount, Stake


@dataclass(frozen=True, slots=True)
class Closing:
    """One position to be closed by the venue: all units of `stake`, at `price`, for `fee`."""

    stake: Stake
    change: float
    price: float
    fee: float


def is_due(account: MarginAccount) -> bool:
    """Whether equity is at or below the maintenance margin, at the newest marks."""
    return account.notional() > 0.0 and account.equity() <= account.maintenance()


def closings(account: MarginAccount, worst: Sequence[float], fee: float) -> list[Closing]:
    """The positions that are liquidated on the way from the newest marks to the `worst` of each stake; empty where none is.

    The stakes keep the marks at which they are closed.

    Args:
        fee: of the liquidation, as a share of the value closed; no more is taken than is left.
    """
    first = [stake.mark for stake in account.stakes]
    _at(account, first, worst, 1.0)
    if not is_due(account):
        _at(account, first, worst, 0.0)
        return []
    low, high = 0.0, 1.0
    _at(account, first, worst, low)
    if is_due(account):
        high = low
    while low < high and (middle := 0.5 * (low + high)) not in (low, high):
        _at(account, first, worst, middle)
        low, high = (low, middle) if is_due(account) else (middle, high)
    _at(account, first, worst, high)
    share = min(fee, max(account.equity(), 0.0) / account.notional())
    return [Closing(s, -s.size, s.mark, abs(s.size) * s.mark * share) for s in account.stakes if s.size]


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
    others = account.maintenance() - stake.tiers.maintenance(stake.notional)
    equity_at_zero = account.equity() - stake.size * stake.mark
    tiers = stake.tiers
    for start, end, rate, amount in zip(tiers.starts, (*tiers.starts[1:], math.inf), tiers.rates, tiers.amounts, strict=True):
        price = (others - amount - equity_at_zero) / (stake.size - abs(stake.size) * rate)
        if start <= abs(stake.size) * price <= end:
            return price
    return 0.0 if stake.size > 0.0 else math.inf


def _at(account: MarginAccount, first: Sequence[float], worst: Sequence[float], share: float) -> None:
    for stake, begin, end in zip(account.stakes, first, worst, strict=True):
        stake.mark = end if share == 1.0 else begin + share * (end - begin)
