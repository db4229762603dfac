"""The requests of Binance USD-M that the practice exchange answers."""

from __future__ import annotations

from forwardtrader.sandbox.binance.handlers import PLACE, BinanceAction
from forwardtrader.sandbox.usdm.algo_orders import AlgoOrders
from forwardtrader.sandbox.usdm.handlers import UsdmHandlers
from forwardtrader.sandbox.usdm.positions import UsdmPositions
from forwardtrader.sandbox.usdm.user_stream import UsdmUserStream

Actions = dict[tuple[str, str], BinanceAction]


def usdm_actions(handlers: UsdmHandlers, algo: AlgoOrders, positions: UsdmPositions, stream: UsdmUserStream) -> Actions:
    """Method and path under `/fapi/` to action."""
    return _public(handlers) | _orders(handlers, algo) | _account(handlers, positions) | _keys(stream)


def _public(handlers: UsdmHandlers) -> Actions:
    answers = {
        "v1/ping": handlers.ping, "v1/time": handlers.time, "v1/exchangeInfo": handlers.exchange_info,
        "v1/ticker/24hr": handlers.ticker_day, "v1/ticker/bookTicker": handlers.ticker_book, "v1/ticker/price": handlers.ticker_price,
        "v2/ticker/price": handlers.ticker_price, "v1/depth": handlers.depth, "v1/premiumIndex": handlers.premium_index,
        "v1/fundingInfo": handlers.funding_info, "v1/fundingRate": handlers.funding_rates,
    }  # fmt: skip
    public = {("GET", path): BinanceAction(answer, 1) for path, answer in answers.items()}
    klines = {"v1/klines": handlers.klines, "v1/markPriceKlines": handlers.mark_klines}
    return public | {("GET", path): BinanceAction(answer, 5, "klines") for path, answer in klines.items()}


def _orders(handlers: UsdmHandlers, algo: AlgoOrders) -> Actions:
    return {
        ("POST", "v1/order"): BinanceAction(handlers.place, 0, PLACE, signed=True),
        ("GET", "v1/order"): BinanceAction(handlers.query, 1, "query", signed=True),
        ("DELETE", "v1/order"): BinanceAction(handlers.cancel, 1, "cancel", signed=True),
        ("GET", "v1/openOrders"): BinanceAction(handlers.open_orders, 1, "orders", signed=True),
        ("DELETE", "v1/allOpenOrders"): BinanceAction(handlers.cancel_all, 1, "cancel", signed=True),
        ("GET", "v1/allOrders"): BinanceAction(handlers.all_orders, 5, "orders", signed=True),
        ("GET", "v1/userTrades"): BinanceAction(handlers.my_trades, 5, "trades", signed=True),
        ("POST", "v1/algoOrder"): BinanceAction(algo.place, 0, PLACE, signed=True),
        ("GET", "v1/algoOrder"): BinanceAction(algo.query, 1, "query", signed=True),
        ("DELETE", "v1/algoOrder"): BinanceAction(algo.cancel, 1, "cancel", signed=True),
        ("GET", "v1/openAlgoOrders"): BinanceAction(algo.open_orders, 1, "orders", signed=True),
        ("DELETE", "v1/algoOpenOrders"): BinanceAction(algo.cancel_all, 1, "cancel", signed=True),
        ("GET", "v1/allAlgoOrders"): BinanceAction(algo.all_orders, 5, "orders", signed=True),
    }


def _account(handlers: UsdmHandlers, positions: UsdmPositions) -> Actions:
    queries = {
        "v3/account": positions.account, "v3/positionRisk": positions.risk, "v1/symbolConfig": positions.symbol_config,
        "v1/accountConfig": positions.account_config, "v1/positionSide/dual": positions.mode, "v1/income": positions.income,
        "v1/forceOrders": positions.force_orders, "v1/leverageBracket": handlers.leverage_brackets,
    }  # fmt: skip
    changes = {
        "v1/leverage": positions.set_leverage, "v1/marginType": positions.set_margin_type, "v1/positionSide/dual": positions.set_mode,
        "v1/countdownCancelAll": positions.countdown,
    }  # fmt: skip
    return {("GET", path): BinanceAction(answer, 5, "account", signed=True) for path, answer in queries.items()} | {
        ("POST", path): BinanceAction(answer, 1, "account", signed=True) for path, answer in changes.items()
    }


def _keys(stream: UsdmUserStream) -> Actions:
    return {
        ("POST", "v1/listenKey"): BinanceAction(stream.begin, 1, "listen key", keyed=True),
        ("PUT", "v1/listenKey"): BinanceAction(stream.renew, 1, "listen key", keyed=True),
        ("DELETE", "v1/listenKey"): BinanceAction(stream.end, 1, "listen key", keyed=True),
    }
