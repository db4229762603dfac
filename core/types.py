"""The nouns that every room uses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeAlias

from forwardtrader.core.errors import InvalidSetting, UnknownTimeframe

_UNIT_SECONDS: Final = {"m": 60, "h": 3600, "d": 86400, "w": 604800}
_SPAN_UNITS: Final = {
    "us": timedelta(microseconds=1), "ms": timedelta(milliseconds=1), "s": timedelta(seconds=1),
    **{unit: timedelta(seconds=seconds) for unit, seconds in _UNIT_SECONDS.items()},
}  # fmt: skip
# Stretches of time [from, to) in UTC epoch seconds, in order.
Spans: TypeAlias = tuple[tuple[float, float], ...]
OHLCV: Final = ("open", "high", "low", "close", "volume")
# What candles of some venues say besides: base units bought by takers, and the number of trades; NaN where a bar says no such thing.
FLOW: Final = ("taker_volume", "trades")


class DataKind(StrEnum):
    """Where prices come from: a market, or our simulation of one."""

    REAL = "real"
    SAMPLE = "sample"


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"


class Verdict(StrEnum):
    EDGE = "edge"
    NO_EDGE = "no edge"
    NOT_ENOUGH_DATA = "not enough data"


@dataclass(frozen=True, order=True)
class Timeframe:
    """The length of one bar, e.g. `1h`."""

    seconds: int
    text: str

    @classmethod
    def parse(cls, text: str) -> Timeframe:
        """Read `1m`, `15m`, `1h`, `4h`, `1d`, `1w`.

        Raises:
            UnknownTimeframe: the text is none of these forms.
        """
        match = re.fullmatch(r"([1-9]\d*)([mhdw])", text)
        if match is None:
            raise UnknownTimeframe(f"timeframe {text!r} is not known; use a form like 1m, 15m, 1h, 4h or 1d")
        return cls(int(match[1]) * _UNIT_SECONDS[match[2]], text)

    @property
    def delta(self) -> timedelta:
        return timedelta(seconds=self.seconds)

    @property
    def bars_per_day(self) -> float:
        return 86400 / self.seconds

    def bars(self, span: timedelta) -> int:
        """How many whole bars fit into `span`."""
        return int(span.total_seconds() // self.seconds)

    def __str__(self) -> str:
        return self.text


def parse_span(text: str) -> timedelta:
    """Read a span of time such as `28d`, `12h`, `2w`, `90s`.

    Raises:
        InvalidSetting: the text is none of these forms, or longer than can be counted.
    """
    match = re.fullmatch(r"(\d+)(us|ms|[smhdw])", text)
    if match is None:
        raise InvalidSetting(f"{text!r} is not a span of time; use a form like 28d, 12h or 2w")
    try:
        return int(match[1]) * _SPAN_UNITS[match[2]]
    except (OverflowError, ValueError) as error:
        raise InvalidSetting(f"{text[:40]} is too long a span of time; use a form like 28d, 12h or 2w") from error


def format_span(span: timedelta) -> str:
    """The text that `parse_span` reads as this span, in whole units as large as can be."""
    unit = next(name for name in ("d", "h", "m", "s", "ms", "us") if not span % _SPAN_UNITS[name])
    return f"{span // _SPAN_UNITS[unit]}{unit}"


@dataclass(frozen=True, kw_only=True)
class MarginTier:
    """One step of a venue's leverage table: it holds for positions worth more than `notional_from`, in the settle currency.

    The maintenance margin of such a position is `notional * maintenance_rate - maintenance_amount`; the amounts are those that make it
    continuous where two tiers meet.
    """

    notional_from: Decimal
    max_leverage: Decimal
    maintenance_rate: Decimal
    maintenance_amount: Decimal = Decimal(0)


@dataclass(frozen=True, kw_only=True)
class MarketRules:
    """What a venue accepts for one symbol. Prices and sizes are in quote and base units, those of a perpetual too.

    Attributes:
        settle: the currency that a perpetual's margin, profits and funding are in; "" for spot.
        contract_size: base units in one contract, by which sizes are converted where they reach or leave the venue, and nowhere else.
        margin_tiers: the leverage table, lowest first; empty for spot.
        maker_fee, taker_fee: shares of the traded value that the venue's list says; None where it is not known.
        funding_hours: hours between two settlements of funding; 0 where it is not known or there is none.
    """

    symbol: str
    base: str
    quote: str
    tick: Decimal
    step: Decimal
    min_size: Decimal = Decimal(0)
    min_notional: Decimal = Decimal(0)
    max_market_size: Decimal | None = None
    can_short: bool = False
    fee_in_base: bool = False
    periods_per_year: int = 365
    settle: str = ""
    contract_size: Decimal = Decimal(1)
    margin_tiers: tuple[MarginTier, ...] = ()
    maker_fee: Decimal | None = None
    taker_fee: Decimal | None = None
    funding_hours: int = 0

    @property
    def is_perpetual(self) -> bool:
        return bool(self.settle)


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """A distribution of the log return over `horizon` bars that begin with the bar after `at`.

    `at` is the open time of the last closed bar seen. All numbers are plain log returns (0.01 is about one per cent), not scaled
    ones: `location` and `scale` are its centre and spread, `p_up` the probability of a rise, `quantiles` those of `QUANTILES`.
    """

    at: datetime
    horizon: int
    location: float
    scale: float
    quantiles: tuple[float, float, float, float, float]
    p_up: float
    model_id: str


QUANTILES: Final = (0.05, 0.25, 0.50, 0.75, 0.95)


@dataclass(frozen=True, kw_only=True)
class OrderRequest:
    """An order as the venue would accept it: sizes and prices on its grid."""

    symbol: str
    side: Side
    size: Decimal
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Fill:
    """One execution. `at` is UTC; `fee` is in `fee_currency`."""

    at: datetime
    symbol: str
    side: Side
    size: float
    price: float
    fee: float
    fee_currency: str
    order_ref: str
    reason: str = ""


def is_within(spans: Spans | None, at: float) -> bool:
    """Whether a moment (UTC epoch seconds) lies in one of the spans; None is all of time."""
    return spans is None or any(since <= at < until for since, until in spans)


def slipped(price: float, share: float, *, buys: bool) -> float:
    """The price of a fill after slippage: worse than `price` by `share` of it, higher for a buy and lower for a sale."""
    return price * (1.0 + share) if buys else price * (1.0 - share)
