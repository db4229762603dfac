"""Three clients that nobody here wrote complete the same script: rules, candles, book, orders, cancel, fills, balances, streams."""

from __future__ import annotations

import asyncio
import json
import queue
from collections.abc import Iterator
from typing import Any

import pytest

from forwardtrader.sandbox.process import SandboxHandle, start_sandbox
from tests import PATIENCE_S

pytestmark = [
    pytest.mark.slow,
    # These vendors warn of their own use of asyncio, websockets and pydantic.
    pytest.mark.filterwarnings("ignore"),
]
S = "BTCUSDT"


@pytest.fixture
def venue() -> Iterator[SandboxHandle]:
    with start_sandbox(speed=600) as handle:
        yield handle


def test_python_binance_completes_the_script(venue: SandboxHandle) -> None:
    module = pytest.importorskip("binance.client")

    class Client(module.Client):  # type: ignore[name-defined, misc]
        API_URL = venue.url + "/api"

    client = Client(venue.api_key, venue.api_secret, ping=False)
    assert client.get_symbol_info(S)["filters"][0]["tickSize"] == "0.01000000"
    assert len(client.get_klines(symbol=S, interval="1m", limit=5)) == 5
    book = client.get_order_book(symbol=S)
    assert float(book["bids"][0][0]) < float(book["asks"][0][0])
    assert client.order_market_buy(symbol=S, quantity="0.01")["status"] == "FILLED"
    resting = client.order_limit_buy(symbol=S, quantity="0.01", price="20000.00")
    assert [o["orderId"] for o in client.get_open_orders(symbol=S)] == [resting["orderId"]]
    assert client.cancel_order(symbol=S, orderId=resting["orderId"])["status"] == "CANCELED"
    assert client.get_order(symbol=S, orderId=resting["orderId"])["status"] == "CANCELED"
    assert len(client.get_my_trades(symbol=S)) == 1
    assert client.get_asset_balance("BTC")["free"] == "0.00999000"
    exceptions = pytest.importorskip("binance.exceptions")
    with pytest.raises(exceptions.BinanceAPIException) as caught:
        client.order_market_buy(symbol=S, quantity="500")
    assert caught.value.code == -2010


def test_python_binances_sockets_deliver_candles_and_reports(venue: SandboxHandle) -> None:
    pytest.importorskip("binance.client")
    from binance.async_client import AsyncClient
    from binance.ws.streams import BinanceSocketManager

    class Client(AsyncClient):  # type: ignore[misc]
        API_URL = venue.url + "/api"
        WS_API_URL = venue.ws_url + "/ws-api/v3"

    class Manager(BinanceSocketManager):  # type: ignore[misc]
        STREAM_URL = venue.ws_url + "/"

    async def script() -> None:
        client = Client(venue.api_key, venue.api_secret)
        manager = Manager(client)
        async with manager.kline_socket(S, interval="1m") as candles, manager.user_socket() as user:
            assert (await asyncio.wait_for(candles.recv(), PATIENCE_S))["e"] == "kline"
            await client.order_market_buy(symbol=S, quantity="0.01")
            report = await asyncio.wait_for(user.recv(), PATIENCE_S)
            while report.get("e") != "executionReport" or report["x"] != "TRADE":
                report = await asyncio.wait_for(user.recv(), PATIENCE_S)
            assert report["X"] == "FILLED"
        await client.close_connection()

    asyncio.run(asyncio.wait_for(script(), PATIENCE_S))


def test_binance_connector_completes_the_script(venue: SandboxHandle) -> None:
    Spot = pytest.importorskip("binance.spot").Spot  # noqa: N806 - the vendor's class
    client = Spot(venue.api_key, venue.api_secret, base_url=venue.url)
    assert client.exchange_info(symbol=S)["symbols"][0]["status"] == "TRADING"
    assert len(client.klines(S, "1m", limit=5)) == 5
    assert client.depth(S, limit=5)["bids"]
    assert client.new_order(symbol=S, side="BUY", type="MARKET", quantity="0.01")["fills"]
    resting = client.new_order(symbol=S, side="BUY", type="LIMIT", timeInForce="GTC", quantity="0.01", price="20000.00")
    assert client.get_open_orders(S)[0]["orderId"] == resting["orderId"]
    assert client.cancel_order(S, orderId=resting["orderId"])["status"] == "CANCELED"
    assert client.my_trades(S)[0]["isBuyer"]
    assert {b["asset"] for b in client.account()["balances"]} == {"BTC", "USDT"}
    error = pytest.importorskip("binance.error").ClientError
    with pytest.raises(error) as caught:
        client.get_order(S, orderId=99)
    assert (caught.value.status_code, caught.value.error_code) == (400, -2013)


def test_binance_connectors_stream_delivers_candles(venue: SandboxHandle) -> None:
    stream = pytest.importorskip("binance.websocket.spot.websocket_stream").SpotWebsocketStreamClient
    got: queue.Queue[Any] = queue.Queue()
    client = stream(stream_url=venue.ws_url, on_message=lambda _, message: got.put(json.loads(message)))
    client.kline(symbol=S, interval="1m")
    kinds = [got.get(timeout=PATIENCE_S).get("e") for _ in range(4)]
    client.stop()
    assert "kline" in kinds


def test_binance_sdk_spot_completes_the_script(venue: SandboxHandle) -> None:
    pytest.importorskip("binance_sdk_spot")
    from binance_common.configuration import ConfigurationRestAPI
    from binance_sdk_spot.spot import Spot

    config = ConfigurationRestAPI(api_key=venue.api_key, api_secret=venue.api_secret, base_path=venue.url)
    rest = Spot(config_rest_api=config).rest_api
    assert rest.exchange_info(symbol=S).data().symbols[0].base_asset == "BTC"
    assert len(rest.klines(symbol=S, interval="1m", limit=5).data()) == 5
    assert rest.depth(symbol=S, limit=5).data().bids
    bought = rest.new_order(symbol=S, side="BUY", type="MARKET", quantity=0.01).data()
    assert bought.status == "FILLED"
    resting = rest.new_order(symbol=S, side="BUY", type="LIMIT", time_in_force="GTC", quantity=0.01, price=20000.0).data()
    assert rest.get_order(symbol=S, order_id=resting.order_id).data().status == "NEW"
    assert rest.delete_order(symbol=S, order_id=resting.order_id).data().status == "CANCELED"
    assert rest.my_trades(symbol=S).data()[0].order_id == bought.order_id
    assert {b.asset for b in rest.get_account().data().balances} == {"BTC", "USDT"}


def test_binance_sdk_spots_sockets_deliver_candles_and_orders(venue: SandboxHandle) -> None:
    pytest.importorskip("binance_sdk_spot")
    from binance_common.configuration import ConfigurationWebSocketAPI, ConfigurationWebSocketStreams
    from binance_sdk_spot.spot import Spot

    api_config = ConfigurationWebSocketAPI(api_key=venue.api_key, api_secret=venue.api_secret, stream_url=venue.ws_url + "/ws-api/v3")
    spot = Spot(config_ws_api=api_config, config_ws_streams=ConfigurationWebSocketStreams(stream_url=venue.ws_url))

    async def script() -> None:
        connection = await spot.websocket_streams.create_connection()
        got: asyncio.Queue[Any] = asyncio.Queue()
        stream = await connection.kline(symbol=S.lower(), interval="1m")
        stream.on("message", got.put_nowait)
        assert (await asyncio.wait_for(got.get(), PATIENCE_S)).e == "kline"
        await connection.close_connection(close_session=True)
        api = await spot.websocket_api.create_connection()
        placed = await api.order_place(symbol=S, side="BUY", type="MARKET", quantity=0.01)
        assert placed.data().result.status == "FILLED"
        await api.close_connection(close_session=True)

    asyncio.run(asyncio.wait_for(script(), PATIENCE_S))
