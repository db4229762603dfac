"""An order in the words of ccxt."""

from __future__ import annotations

from typing import Any

from forwardtrader.core.types import Side
from forwardtrader.live.execution.events import Intent


def order_arguments(intent: Intent) -> tuple[str, str, str, float, float | None, dict[str, Any]]:
    """ccxt's arguments of an order. A market order never carries a price: binance would buy for an amount of quote currency."""
    request = intent.request
    params: dict[str, Any] = {"clientOrderId": intent.client_id}
    if request.stop_price is not None:
        params["stopLossPrice"] = float(request.stop_price)
    kind = "market" if request.limit_price is None else "limit"
    price = None if request.limit_price is None else float(request.limit_price)
    side = "buy" if request.side is Side.BUY else "sell"
    return request.symbol, kind, side, float(request.size), price, params
