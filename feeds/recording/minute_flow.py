"""The order flow of a minute in four numbers, made of what arrived in it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

COLUMNS: Final = ("spread_bps", "book_imbalance", "trade_imbalance", "trades")


@dataclass
class MinuteFlow:
    """Trades and book tops of one minute.

    The row has the mean spread of the samples in basis points of the middle, the mean of (bid size - ask size) / (bid size + ask size), the
    volume that takers bought less what they sold as a share of both, and the number of trades.
    """

    bought: float = 0.0
    sold: float = 0.0
    trades: int = 0
    spreads: list[float] = field(default_factory=list)
    imbalances: list[float] = field(default_factory=list)

    def add_trade(self, size: float, *, is_buy: bool) -> None:
        """A trade that a taker made."""
        self.bought, self.sold = self.bought + size * is_buy, self.sold + size * (not is_buy)
        self.trades += 1

    def add_top(self, bid: float, bid_size: float, ask: float, ask_size: float) -> None:
        """A sample of the best prices; one that is crossed or empty says nothing."""
        if 0.0 < bid < ask and bid_size + ask_size > 0.0:
            self.spreads.append((ask - bid) / (ask + bid) * 2e4)
            self.imbalances.append((bid_size - ask_size) / (bid_size + ask_size))

    def row(self) -> tuple[float, float, float, int] | None:
        """As `COLUMNS`; None where no book was seen."""
        if not self.spreads:
            return None
        traded = self.bought + self.sold
        imbalance = (self.bought - self.sold) / traded if traded else 0.0
        return sum(self.spreads) / len(self.spreads), sum(self.imbalances) / len(self.imbalances), imbalance, self.trades
