"""Request handlers of the Algo Service: conditional orders, which are orders of the matching engine from their trigger on."""

from __future__ import annotations

from typing import Any

from forwardtrader.sandbox.binance import errors as codes
from forwardtrader.sandbox.binance.params import Params
from forwardtrader.sandbox.faults.read_lags import AccountReads
from forwardtrader.sandbox.orders.order import ExchangeOrder
from forwardtrader.sandbox.orders.refusal import OrderRefused, RefusalReason
from forwardtrader.sandbox.usdm import format as form
from forwardtrader.sandbox.usdm.errors import translated
from forwardtrader.sandbox.usdm.handlers import UsdmHandlers
from forwardtrader.sandbox.usdm.params import read_algo_order
from forwardtrader.sandbox.venue import ACCOUNT


class AlgoOrders:
    """Margin is checked when a conditional order arrives, and not only at its trigger. Every method raises ApiError as the venue would."""

    def __init__(self, handlers: UsdmHandlers, reads: AccountReads) -> None:
        self._handlers = handlers
        self._reads = reads
        self._exchange = handlers.venue.exchange

    def place(self, params: Params) -> Any:
        symbol = self._handlers.may_trade(params)
        request = read_algo_order(params, symbol, self._handlers.generated_id(), hedged=self._handlers.is_hedged)
        return form.algo_queried(translated(lambda: self._exchange.place(ACCOUNT, request)))

    def cancel(self, params: Params) -> Any:
        params.ignore("symbol")
        order = translated(lambda: self._waiting(params), codes.CANCEL)
        params.finish()
        translated(lambda: self._exchange.cancel(order), codes.CANCEL)
        return {"algoId": form.ALGO_IDS + order.id, "clientAlgoId": order.request.client_id, "code": "200", "msg": "success"}

    def cancel_all(self, params: Params) -> Any:
        self._handlers.take_off(self._handlers.symbol(params.needed("symbol")), form.is_waiting)
        return {"code": 200, "msg": "The operation of cancel all open order is done."}

    def query(self, params: Params) -> Any:
        params.ignore("symbol")
        order = translated(lambda: self._found(params), codes.QUERY)
        return form.algo_queried(translated(lambda: self._reads.order(order), codes.QUERY))

    def open_orders(self, params: Params) -> Any:
        return [form.algo_queried(order) for order in self._handlers.resting(params) if form.is_waiting(order)]

    def all_orders(self, params: Params) -> Any:
        first = params.integer("algoId")
        found = self._handlers.listed(params, first, lambda order: form.ALGO_IDS + order.id, form.is_conditional)
        return [form.algo_queried(order) for order in found]

    def _waiting(self, params: Params) -> ExchangeOrder:
        order = self._found(params)
        if not form.is_waiting(order):
            raise OrderRefused(RefusalReason.UNKNOWN_ORDER)
        return order

    def _found(self, params: Params) -> ExchangeOrder:
        number, client_id = params.integer("algoId"), params.text("clientAlgoId")
        if number is None and client_id is None:
            raise codes.missing("algoId")
        index = self._exchange.order_index
        order = index.by_client_id(ACCOUNT, client_id or "") if number is None else index.orders.get(number - form.ALGO_IDS)
        if order is None or not form.is_conditional(order) or order.request.symbol not in self._handlers.symbols.values():
            raise OrderRefused(RefusalReason.UNKNOWN_ORDER)
        return order
