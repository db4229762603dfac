"""Symbols, mark prices and funding in the payload format of Binance USD-M."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from forwardtrader.core.types import MarginTier
from forwardtrader.sandbox.binance.format import ident, number
from forwardtrader.sandbox.orders.candle import Candle
from forwardtrader.sandbox.orders.listing import Listing, highest_price, largest_size
from forwardtrader.sandbox.orders.order import OpenOrders
from forwardtrader.sandbox.usdm.params import CONDITIONAL, PLAIN

Payload = dict[str, Any]
NEVER: Final = 4133404800000  # the delivery date of a perpetual


def symbol_described(symbol: str, listing: Listing, most: OpenOrders) -> Payload:
    """One entry of `exchangeInfo`."""
    rules = listing.rules
    largest = number(largest_size(rules))
    lot = {"minQty": number(rules.min_size), "stepSize": number(rules.step)}
    return {
        "symbol": ident(symbol),
        "pair": ident(symbol),
        "contractType": "PERPETUAL",
        "deliveryDate": NEVER,
        "onboardDate": 1577836800000,
        "status": "TRADING" if listing.is_open else "BREAK",
        "baseAsset": rules.base,
        "quoteAsset": rules.quote,
        "marginAsset": rules.settle,
        "pricePrecision": _digits(rules.tick),
        "quantityPrecision": _digits(rules.step),
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "triggerProtect": "0.0500",
        "liquidationFee": "0.005000",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10000,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": number(rules.tick), "maxPrice": number(highest_price(rules)),
             "tickSize": number(rules.tick)},
            {"filterType": "LOT_SIZE", **lot, "maxQty": largest},
            {"filterType": "MARKET_LOT_SIZE", **lot, "maxQty": number(rules.max_market_size)},
            {"filterType": "MAX_NUM_ORDERS", "limit": most.orders},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": most.triggers},
            {"filterType": "MIN_NOTIONAL", "notional": number(rules.min_notional)},
        ],
        "orderTypes": [*PLAIN, *CONDITIONAL],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
        "permissionSets": ["GRID", "COPY"],
    }  # fmt: skip


def brackets(symbol: str, tiers: tuple[MarginTier, ...]) -> Payload:
    """One entry of `leverageBracket`."""
    ends = [tier.notional_from for tier in tiers[1:]] + [10 * tiers[-1].notional_from or Decimal(10**9)]
    rows = [
        {
            "bracket": n,
            "initialLeverage": int(tier.max_leverage),
            "notionalCap": float(end),
            "notionalFloor": float(tier.notional_from),
            "maintMarginRatio": float(tier.maintenance_rate),
            "cum": float(tier.maintenance_amount),
        }
        for n, (tier, end) in enumerate(zip(tiers, ends, strict=True), 1)
    ]
    return {"symbol": ident(symbol), "brackets": rows}


def premium_index(symbol: str, listing: Listing, rate: Decimal, next_at: int, at: int) -> Payload:
    """The answer of `premiumIndex`: mark and index price, and the funding that comes next."""
    return {
        "symbol": ident(symbol), "markPrice": number(listing.mark), "indexPrice": number(listing.last),
        "estimatedSettlePrice": number(listing.last), "lastFundingRate": number(rate), "interestRate": "0.00010000",
        "nextFundingTime": next_at, "time": at,
    }  # fmt: skip


def funding_rate(symbol: str, at: int, rate: Decimal, mark: Decimal) -> Payload:
    """One row of `fundingRate`."""
    return {"symbol": ident(symbol), "fundingRate": number(rate), "fundingTime": at, "markPrice": number(mark)}


def mark_row(candle: Candle, length: int) -> list[Any]:
    """One row of `markPriceKlines`."""
    prices = [number(price) for price in (candle.open, candle.high, candle.low, candle.close)]
    return [candle.start, *prices, "0", candle.start + length - 1, "0", candle.trades, "0", "0", "0"]


def _digits(grid: Decimal) -> int:
    return max(0, -int(grid.normalize().as_tuple().exponent))
