"""Orders, executions, balances and market data in Bybit's payload format: unpadded numbers and milliseconds UTC, both as text."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from forwardtrader.sandbox.engine.margin import CrossMargin
from forwardtrader.sandbox.orders.account import ClientAccount
from forwardtrader.sandbox.orders.candle import Candle
from forwardtrader.sandbox.orders.listing import MOST_VALUE, Listing, highest_price, largest_size
from forwardtrader.sandbox.orders.matching import Level, triggers_upward
from forwardtrader.sandbox.orders.order import WITH_LIMIT, ZERO, ExchangeOrder, OrderType, Origin, Status, TimeInForce, Trade

INTERVALS: Final = {
    "1": 60_000, "3": 180_000, "5": 300_000, "15": 900_000, "30": 1_800_000, "60": 3_600_000, "120": 7_200_000, "240": 14_400_000,
    "360": 21_600_000, "720": 43_200_000, "D": 86_400_000, "W": 604_800_000,
}  # fmt: skip
Payload = dict[str, Any]
CREATED_BY: Final = {
    Origin.CLIENT: "CreateByUser", Origin.LIQUIDATION: "CreateByLiq", Origin.DELEVERAGING: "CreateByAdl_PassThrough",
    Origin.DELISTING: "CreateBySettle",
}  # fmt: skip
EXECUTED_AS: Final = {
    Origin.CLIENT: "Trade",
    Origin.LIQUIDATION: "BustTrade",
    Origin.DELEVERAGING: "AdlTrade",
    Origin.DELISTING: "Delivery",
}


def number(value: Decimal | None) -> str:
    """Plain digits without trailing zeros; the empty text for None, as at Bybit."""
    if value is None:
        return ""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def ident(symbol: str) -> str:
    return symbol.partition(":")[0].replace("/", "")


def category(symbol: str) -> str:
    return "linear" if ":" in symbol else "spot"


def order_status(order: ExchangeOrder) -> str:
    request = order.request
    if order.status is Status.NEW and request.stop_price is not None and not order.triggered:
        return "Untriggered"
    if order.status in (Status.CANCELED, Status.EXPIRED):
        return "PartiallyFilledCanceled" if order.filled and category(request.symbol) == "spot" else "Cancelled"
    return {Status.HELD: "Untriggered", Status.NEW: "New", Status.PARTIAL: "PartiallyFilled", Status.FILLED: "Filled"}[order.status]


def link_id(order: ExchangeOrder) -> str:
    """The client's id of an order; the venue's own have none."""
    return order.request.client_id if order.request.origin is Origin.CLIENT else ""


def order_filter(made: ExchangeOrder) -> str:
    """The kind of a spot order, by which Bybit keeps them apart."""
    return "Order" if made.request.stop_price is None or made.triggered else "tpslOrder"


def order(made: ExchangeOrder) -> Payload:
    """One order, as in responses and on the `order` topic."""
    request = made.request
    fees: dict[str, Decimal] = {}
    for trade in made.trades:
        fees[trade.fee_asset] = fees.get(trade.fee_asset, ZERO) + trade.fee
    kind = "Limit" if request.type in WITH_LIMIT else "Market"
    tif = "PostOnly" if request.type is OrderType.LIMIT_MAKER else "IOC" if kind == "Market" else request.tif.value
    return {
        "category": category(request.symbol),
        "symbol": ident(request.symbol),
        "orderId": str(made.id),
        "orderLinkId": link_id(made),
        "createType": CREATED_BY[request.origin],
        "blockTradeId": "",
        "side": request.side.capitalize(),
        "positionIdx": 0,
        "orderStatus": order_status(made),
        "cancelType": "CancelByUser" if made.status is Status.CANCELED and not made.turned_away else "UNKNOWN",
        "rejectReason": "EC_PostOnlyWillTakeLiquidity" if made.turned_away else "EC_NoError",
        "timeInForce": tif,
        "isLeverage": "0",
        "orderType": kind,
        "price": number(request.limit_price) or "0",
        "qty": number(made.size),
        "avgPrice": number(rounded(made.average)) if made.filled else "",
        "leavesQty": number(made.remaining if made.is_open else ZERO),
        "leavesValue": number(made.remaining * (request.limit_price or ZERO) if made.is_open else ZERO),
        "cumExecQty": number(made.filled),
        "cumExecValue": number(made.quote_filled),
        "cumExecFee": number(sum(fees.values(), ZERO)),
        "cumFeeDetail": {asset: number(fee) for asset, fee in fees.items()},
        "feeCurrency": next(iter(fees), ""),
        "stopOrderType": "" if request.stop_price is None else "tpslOrder" if category(request.symbol) == "spot" else "Stop",
        "orderIv": "",
        "triggerPrice": number(request.stop_price) or "",
        "triggerDirection": 0 if request.stop_price is None else 1 if triggers_upward(request) else 2,
        "triggerBy": "" if request.stop_price is None else "LastPrice",
        "takeProfit": "",
        "stopLoss": "",
        # Clients recognise an order of a contract by this key.
        **({} if category(request.symbol) == "spot" else {"tpslMode": ""}),
        "reduceOnly": request.reduce_only,
        "closeOnTrigger": False,
        "marketUnit": "quoteCoin" if request.quote_size is not None else "baseCoin",
        "smpType": "None",
        "smpGroup": 0,
        "smpOrderId": "",
        "placeType": "",
        "lastPriceOnCreated": "",
        "createdTime": str(made.placed_at),
        "updatedTime": str(made.updated_at),
    }


def execution(trade: Trade, made: ExchangeOrder) -> Payload:
    """One execution, as in responses and on the `execution` topic."""
    return {
        "category": category(trade.symbol),
        "symbol": ident(trade.symbol),
        "orderId": str(trade.order_id),
        "orderLinkId": link_id(made),
        "createType": CREATED_BY[made.request.origin],
        "side": trade.side.capitalize(),
        "orderPrice": number(made.request.limit_price) or "0",
        "orderQty": number(made.size),
        "leavesQty": number(made.size - made.filled),
        "orderType": "Limit" if made.request.type in WITH_LIMIT else "Market",
        "stopOrderType": "UNKNOWN",
        "execFee": number(trade.fee),
        "feeCurrency": trade.fee_asset,
        "execId": str(trade.id),
        "execPrice": number(trade.price),
        "execQty": number(trade.size),
        "execType": EXECUTED_AS[made.request.origin],
        "execPnl": number(trade.gain),
        "execValue": number(trade.quote),
        "execTime": str(trade.at),
        "isMaker": trade.maker,
        "feeRate": number(rounded(trade.fee / trade.quote)) if trade.quote else "0",
        "markPrice": number(trade.price),
        "isLeverage": "0",
        "seq": trade.id,
    }


def wallet(account: ClientAccount, margin: CrossMargin) -> Payload:
    """The unified account."""
    coins = []
    for asset in account.assets():
        balance, floating = account.total(asset), margin.floating(account, asset)
        tied = rounded(margin.initial(account, asset))
        held = [position for _, position in margin.held(account, asset)]
        coins.append(
            {
                "coin": asset,
                "walletBalance": number(balance),
                "equity": number(rounded(balance + floating)),
                "usdValue": "0",
                "free": number(rounded(account.available(asset))),
                "locked": number(rounded(balance - account.available(asset))),
                "availableToWithdraw": number(rounded(account.available(asset))),
                "borrowAmount": "0",
                "accruedInterest": "0",
                "totalOrderIM": number(account.locked.get(asset, ZERO)),
                "totalPositionIM": number(tied),
                "totalPositionMM": number(rounded(margin.maintenance(account, asset))),
                "unrealisedPnl": number(rounded(floating)),
                "cumRealisedPnl": number(sum((p.realised + p.funding for p in held), ZERO)),
                "bonus": "0",
                "marginCollateral": True,
                "collateralSwitch": True,
            }
        )
    return {"accountType": "UNIFIED", "totalEquity": "0", "totalWalletBalance": "0", "totalAvailableBalance": "0", "coin": coins}


def instrument(symbol: str, listing: Listing) -> Payload:
    """One entry of `instruments-info`."""
    rules = listing.rules
    shared = {"symbol": ident(symbol), "baseCoin": rules.base, "quoteCoin": rules.quote, "status": "Trading"}
    if category(symbol) == "spot":
        lot = {
            "basePrecision": number(rules.step), "quotePrecision": "0.00000001", "minOrderQty": number(rules.min_size),
            "maxOrderQty": number(largest_size(rules)), "minOrderAmt": number(rules.min_notional), "maxOrderAmt": number(MOST_VALUE),
            "maxLimitOrderQty": number(largest_size(rules)), "maxMarketOrderQty": number(rules.max_market_size),
        }  # fmt: skip
        return shared | {"innovation": "0", "marginTrading": "none", "lotSizeFilter": lot, "priceFilter": {"tickSize": number(rules.tick)}}
    lot = {
        "minOrderQty": number(rules.min_size), "maxOrderQty": number(largest_size(rules)), "qtyStep": number(rules.step),
        "maxMktOrderQty": number(rules.max_market_size),
        "postOnlyMaxOrderQty": number(largest_size(rules)), "minNotionalValue": number(rules.min_notional),
    }  # fmt: skip
    return shared | {
        "contractType": "LinearPerpetual",
        "settleCoin": rules.settle,
        "launchTime": "1577836800000",
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": str(-int(rules.tick.normalize().as_tuple().exponent)),
        "leverageFilter": {"minLeverage": "1", "maxLeverage": number(rules.margin_tiers[0].max_leverage), "leverageStep": "0.01"},
        "priceFilter": {"minPrice": number(rules.tick), "maxPrice": number(highest_price(rules)), "tickSize": number(rules.tick)},
        "lotSizeFilter": lot,
        "unifiedMarginTrade": True,
        "fundingInterval": 60 * rules.funding_hours,
        "copyTrading": "none",
    }


def kline_row(candle: Candle) -> list[str]:
    prices = [number(v) for v in (candle.open, candle.high, candle.low, candle.close, candle.volume, candle.quote_volume)]
    return [str(candle.start), *prices]


def kline_event(symbol: str, candle: Candle, interval: str, *, closed: bool, at: int) -> Payload:
    data = {
        "start": candle.start, "end": candle.start + INTERVALS[interval] - 1, "interval": interval, "open": number(candle.open),
        "close": number(candle.close), "high": number(candle.high), "low": number(candle.low), "volume": number(candle.volume),
        "turnover": number(candle.quote_volume), "confirm": closed, "timestamp": at,
    }  # fmt: skip
    return {"topic": f"kline.{interval}.{ident(symbol)}", "data": [data], "ts": at, "type": "snapshot"}


def ticker(symbol: str, day: Candle, listing: Listing, best: tuple[Level, Level], funding: Decimal, next_funding: int) -> Payload:
    """The answer of `tickers`, and the message of the topic; `day` is the last 24 hours as one candle."""
    bid, ask = best
    row = {
        "symbol": ident(symbol), "lastPrice": number(listing.last), "prevPrice24h": number(day.open), "highPrice24h": number(day.high),
        "lowPrice24h": number(day.low), "volume24h": number(day.volume), "turnover24h": number(day.quote_volume),
        "price24hPcnt": f"{(listing.last - day.open) / day.open:.4f}", "bid1Price": number(bid.price), "bid1Size": number(bid.size),
        "ask1Price": number(ask.price), "ask1Size": number(ask.size),
    }  # fmt: skip
    if category(symbol) == "spot":
        return row
    return row | {
        "indexPrice": number(listing.last), "markPrice": number(listing.mark), "openInterest": "0", "openInterestValue": "0",
        "fundingRate": number(funding), "nextFundingTime": str(next_funding), "basis": "", "deliveryTime": "0", "deliveryFeeRate": "",
        "prevPrice1h": number(listing.last),
    }  # fmt: skip


def levels(rows: list[Level]) -> list[list[str]]:
    return [[number(level.price), number(level.size)] for level in rows]


def shown_tif(text: str) -> TimeInForce:
    return TimeInForce[text] if text in TimeInForce.__members__ else TimeInForce.GTC


def rounded(value: Decimal) -> Decimal:
    """To eight decimals."""
    return value.quantize(Decimal("0.00000001"))
