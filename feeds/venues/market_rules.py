"""Market rules without a request: those last stored from the venue, else a table of common markets.

Spot markets and share accounts are cash accounts here: nothing can be sold that is not held; linear perpetuals are held on margin and can
be sold short. A symbol is taken for a share if it names no
quote currency (`SPY`, not `BTC/USDT`); a market that rests at weekends has 252 daily periods a year, one that never closes 365.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

import pandas as pd

from forwardtrader.core import atomic, log
from forwardtrader.core.types import MarginTier, MarketRules
from forwardtrader.feeds.candles import schema as candles
from forwardtrader.feeds.venues import perpetuals
from forwardtrader.feeds.venues.contracts import refuse_unusual, settle_currency

CRYPTO_PERIODS: Final = 365
SHARE_PERIODS: Final = 252
# Venues that take the fee of a buy out of what was bought.
_FEE_IN_BASE: Final = frozenset({"binance", "binanceus", "bybit", "okx", "kucoin", "gate", "bitget", "mexc"})
_STABLE: Final = frozenset({"USDT", "USDC", "FDUSD", "USD", "DAI", "EUR", "GBP"})
# Base currency: tick in a dollar-like quote, and lot.
_TABLE: Final = {
    "BTC": ("0.01", "0.00001"),
    "ETH": ("0.01", "0.0001"),
    "BNB": ("0.01", "0.001"),
    "SOL": ("0.01", "0.001"),
    "LTC": ("0.01", "0.001"),
    "BCH": ("0.1", "0.001"),
    "XRP": ("0.0001", "0.1"),
    "ADA": ("0.0001", "0.1"),
    "DOGE": ("0.00001", "1"),
    "TRX": ("0.0001", "0.1"),
    "DOT": ("0.001", "0.01"),
    "AVAX": ("0.01", "0.01"),
    "LINK": ("0.01", "0.01"),
}
_UNKNOWN_GRID: Final = ("0.0001", "0.01")
# No share trades at night and at weekends: what is named like one and does is a coin or an index, in parts of any size.
_NEVER_CLOSED: Final[dict[str, Any]] = {"step": Decimal("0.00001"), "min_size": Decimal("0.00001"), "periods_per_year": CRYPTO_PERIODS}
_LOG: Final = log.logger("feeds")


def market_rules(symbol: str, venue: str, *, store_path: Path | str | None = None, frame: pd.DataFrame | None = None) -> MarketRules:
    """The rules for `symbol`: those last received from the venue if `store_path` holds them, else the table's.

    Args:
        frame: candles of the symbol, which reveal a market that closes at weekends, and how large the prices of a coin are that is in no
            table.

    Raises:
        UnknownSymbol: a contract that is no linear perpetual.
    """
    refuse_unusual(symbol)
    rules = stored_rules(store_path, venue).get(symbol) if store_path is not None else None
    if rules is None:
        rules = _share_rules(symbol) if is_share(symbol) else _at_prices(_coin_rules(symbol, venue), frame)
    if frame is None:
        return rules
    times = candles.times_of(frame)
    if not candles.trades_round_the_clock(times):
        return replace(rules, periods_per_year=SHARE_PERIODS, fee_in_base=False)  # no coin rests, and only coins are fees
    return replace(rules, **_NEVER_CLOSED) if is_share(symbol) and (times.day_of_week >= 5).any() else rules


def is_share(symbol: str) -> bool:
    """Whether the symbol names no quote currency."""
    return "/" not in symbol


def stored_rules(store_path: Path | str, venue: str) -> dict[str, MarketRules]:
    """The rules last received from `venue`; empty if none are stored or the file is unreadable."""
    path = _rules_path(store_path, venue)
    if not path.is_file():
        return {}
    try:
        return {symbol: _from_json(held) for symbol, held in json.loads(path.read_text(encoding="utf-8")).items()}
    except (ValueError, TypeError, KeyError, AttributeError, InvalidOperation):
        # A lost copy does no harm: the next download writes it again.
        log.event(_LOG, "market_rules_unreadable", path=str(path))
        return {}


def store_rules(store_path: Path | str, venue: str, rules: MarketRules) -> None:
    """Store the rules of one symbol of `venue`."""
    held = {**stored_rules(store_path, venue), rules.symbol: rules}
    text = json.dumps({symbol: asdict(each) for symbol, each in sorted(held.items())}, default=str, indent=1)
    atomic.write_text(_rules_path(store_path, venue), text)


def _rules_path(store_path: Path | str, venue: str) -> Path:
    return Path(store_path) / venue / "rules.json"


def _from_json(held: dict[str, Any]) -> MarketRules:
    decimals: dict[str, Decimal | None] = {name: None if held[name] is None else Decimal(held[name]) for name in _DECIMALS if name in held}
    tiers: list[dict[str, str]] = held.get("margin_tiers", [])
    read = tuple(MarginTier(**{name: Decimal(value) for name, value in tier.items()}) for tier in tiers)
    known: dict[str, Any] = {**held, **decimals, "margin_tiers": read}
    return MarketRules(**known)


# Of these, those of perpetuals are missing from files that were written before there were any.
_DECIMALS: Final = (
    "tick", "step", "min_size", "min_notional", "max_market_size", "contract_size", "maker_fee", "taker_fee"
)  # fmt: skip


def _share_rules(symbol: str) -> MarketRules:
    return MarketRules(
        symbol=symbol, base=symbol, quote="USD", tick=Decimal("0.01"), step=Decimal(1), min_size=Decimal(1), periods_per_year=SHARE_PERIODS
    )


def _at_prices(rules: MarketRules, frame: pd.DataFrame | None) -> MarketRules:
    """Tick and lot of a coin that is in no table, as fine beside its prices as those of bitcoin are: seven digits of the lowest price, and
    less than one unit of the quote currency at the highest."""
    known = perpetuals.GRIDS if rules.is_perpetual else _TABLE
    if frame is None or not len(frame) or (rules.base in known and rules.quote in _STABLE):
        return rules
    lowest, highest = (float(price) for price in (frame["close"].min(), frame["close"].max()))
    if not 0.0 < lowest <= highest < math.inf:
        return rules
    step = _power_of_ten(-1 - math.floor(math.log10(highest)))
    return replace(rules, tick=_power_of_ten(math.floor(math.log10(lowest)) - 6), step=step, min_size=step)


def _power_of_ten(exponent: int) -> Decimal:
    return Decimal(format(Decimal(1).scaleb(exponent), "f"))


def _coin_rules(symbol: str, venue: str) -> MarketRules:
    pair = symbol.partition(":")[0]
    base, _, quote = pair.partition("/")
    if settle_currency(symbol):
        return _perpetual_rules(symbol, base, quote)
    tick, step = _TABLE.get(base, _UNKNOWN_GRID)
    dollars = quote in _STABLE
    return MarketRules(
        symbol=symbol,
        base=base,
        quote=quote,
        tick=Decimal(tick) if dollars else Decimal("0.0000001"),
        step=Decimal(step),
        min_size=Decimal(step),
        min_notional=Decimal(5) if dollars else Decimal("0.0001"),
        fee_in_base=venue in _FEE_IN_BASE,
        periods_per_year=CRYPTO_PERIODS,
    )


def _perpetual_rules(symbol: str, base: str, quote: str) -> MarketRules:
    tick, step, notional = perpetuals.GRIDS.get(base, (*_UNKNOWN_GRID, "5"))
    dollars = quote in _STABLE
    return MarketRules(
        symbol=symbol,
        base=base,
        quote=quote,
        tick=Decimal(tick) if dollars else Decimal("0.0000001"),
        step=Decimal(step),
        min_size=Decimal(step),
        min_notional=Decimal(notional) if dollars else Decimal("0.0001"),
        can_short=True,
        periods_per_year=CRYPTO_PERIODS,
        settle=settle_currency(symbol),
        margin_tiers=perpetuals.usual_tiers(base),
        maker_fee=perpetuals.MAKER_FEE,
        taker_fee=perpetuals.TAKER_FEE,
        funding_hours=perpetuals.FUNDING_HOURS,
    )
