"""Round trips from fills."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import pandas as pd

# Floats on a decimal grid add up to not quite zero: below this share of the trip's largest position nothing is left.
_FLOAT_NOISE: Final = 1e-9


@dataclass(frozen=True, kw_only=True)
class RoundTrip:
    """One position from flat to flat. Prices are averages in quote per base, money is in quote currency, times are UTC."""

    symbol: str
    side: str
    opened: pd.Timestamp
    closed: pd.Timestamp
    size: float
    entry: float
    exit: float
    fees: float
    profit: float

    @property
    def gain(self) -> float:
        """Net profit as a share of the money put in."""
        return self.profit / (self.size * self.entry) if self.size * self.entry else 0.0


def round_trips(fills: pd.DataFrame) -> list[RoundTrip]:
    """All closed round trips in order of closing; a position still open at the end is none.

    Args:
        fills: columns timestamp, symbol, side ("buy"/"sell"), size (base), price (quote), fee, fee_currency, in order of time.
    """
    trips = [trip for symbol, rows in fills.groupby("symbol", sort=True) for trip in _of_symbol(str(symbol), rows)]
    return sorted(trips, key=lambda trip: (trip.closed, trip.symbol))


def fees_in_base(fills: pd.DataFrame) -> pd.Series:
    """Base units that each fill's fee took off the position; zero where the fee was paid in another currency."""
    base = fills["symbol"].astype(str).str.split("/").str[0]
    return fills["fee"].where(fills["fee_currency"] == base, 0.0).astype(float)


def fees_in_quote(fills: pd.DataFrame) -> pd.Series:
    """Each fill's fee in quote currency; a fee taken in base is valued at the fill's own price."""
    base = fills["symbol"].astype(str).str.split("/").str[0]
    return fills["fee"].where(fills["fee_currency"] != base, fills["fee"] * fills["price"]).astype(float)


def notional(fills: pd.DataFrame) -> float:
    """Traded value of both sides in quote currency."""
    return float((fills["size"].abs() * fills["price"]).sum())


def _of_symbol(symbol: str, rows: pd.DataFrame) -> Iterator[RoundTrip]:
    with_fees = rows.assign(quote_fee=fees_in_quote(rows), kept=fees_in_base(rows))
    lot = _lot(rows["size"])
    trip = _OpenTrip(symbol, lot)
    for row in with_fees.to_dict("records"):
        size = float(row["size"]) if row["side"] == "buy" else -float(row["size"])
        # One fill that turns a position round closes the old trip and opens the next; dust alone is no position to turn.
        turns = bool(trip.direction) and trip.position * size < 0 and abs(size) > abs(trip.position) + trip.dust
        closing = -trip.position if turns else size
        trip.add(row, closing, closing / size if size else 1.0)
        if trip.is_closed:
            yield trip.finish(row["timestamp"])
            trip = _OpenTrip(symbol, lot, carried=trip.position, worth=trip.exit_price)
            if closing != size:
                trip.add(row, size - closing, 1 - closing / size)


def _lot(sizes: pd.Series) -> float:
    """The coarsest power of ten that all sizes are multiples of: what is less was left by fees in the coin and cannot be sold."""
    known = [Decimal(f"{size:.12g}").normalize().as_tuple().exponent for size in sizes if size]
    return float(Decimal(1).scaleb(min(int(exponent) for exponent in known))) if known else 0.0


class _OpenTrip:
    """Running sums of one position that has not closed yet.

    `carried` are units of dust that the trips before left, which they were credited for at the price `worth`. A strategy that sells what it
    bought, though a fee in the coin made it less, leaves more of it each time; a trip is over when it leaves no more than it found.
    """

    def __init__(self, symbol: str, lot: float, *, carried: float = 0.0, worth: float = 0.0) -> None:
        self.symbol, self.lot, self.cost = symbol, lot, carried * worth
        self.carried, self.worth = carried, worth
        self.position, self.peak, self.fees, self.paid = carried, 0.0, 0.0, 0.0
        self.sizes = {1: 0.0, -1: 0.0}
        self.values = {1: 0.0, -1: 0.0}
        self.direction = 0
        self.opened: Any = None

    def add(self, row: dict[Any, Any], size: float, share: float) -> None:
        sign = 1 if size > 0 else -1
        if not self.direction:
            is_sale_of_dust = self.carried * size < 0 and self.dust <= abs(self.carried) and abs(size) <= abs(self.carried) + self.dust
            self.direction, self.opened = -sign if is_sale_of_dust else sign, row["timestamp"]
        self.sizes[sign] += abs(size)
        self.values[sign] += abs(size) * float(row["price"])
        self.position += size - float(row["kept"]) * share
        self.peak = max(self.peak, abs(self.position))
        self.fees += float(row["quote_fee"]) * share
        # A fee taken in the coin is missing from the position; only one in quote is paid besides.
        self.paid += 0.0 if row["kept"] else float(row["quote_fee"]) * share

    @property
    def dust(self) -> float:
        """Units that are no position."""
        return max(self.lot * (1.0 - _FLOAT_NOISE), _FLOAT_NOISE * self.peak)

    @property
    def is_closed(self) -> bool:
        found = self.carried if self.carried * self.position > 0 and self.sizes[-self.direction] else 0.0
        return abs(self.position) - abs(found) < self.dust

    @property
    def exit_price(self) -> float:
        """Average price of leaving; dust that stays behind was paid for and is worth that much."""
        leave = -self.direction
        return self.values[leave] / self.sizes[leave] if self.sizes[leave] else 0.0

    def finish(self, at: Any) -> RoundTrip:
        enter = self.direction
        bought = self.sizes[enter] or abs(self.carried)
        profit = self.values[-1] - self.values[1] - self.paid - self.cost
        return RoundTrip(
            symbol=self.symbol,
            side="long" if enter > 0 else "short",
            opened=pd.Timestamp(self.opened),
            closed=pd.Timestamp(at),
            size=bought,
            entry=self.values[enter] / self.sizes[enter] if self.sizes[enter] else self.worth,
            exit=self.exit_price,
            fees=self.fees,
            profit=profit + self.position * self.exit_price,
        )
