"""The exchange without a network: the same requests at the same moments give the same bytes, and nothing waits."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.plain_client import PlainClient

PLACE: dict[str, tuple[str, dict[str, Any]]] = {
    "binance": ("/api/v3/order", {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}),
    "bybit": (
        "/v5/order/create",
        {"category": "spot", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Market", "qty": "0.01", "marketUnit": "baseCoin"},
    ),
}
QUERY = {"binance": ("/api/v3/myTrades", {"symbol": "BTCUSDT"}), "bybit": ("/v5/execution/list", {"category": "spot"})}


def whole_run(protocol: str, seed: int) -> list[Any]:
    """All that a client receives in a run with every recoverable fault."""
    client = PlainClient(seed, protocol=protocol, faults={"F40": {"probability": 0.2}}, fills="book", seed=seed)
    stream, answers = client.user_stream(), []
    for _ in range(30):
        path, params = PLACE[protocol]
        answers.append(client.send("POST", path, **params))
        client.venue.driver.advance()
        client.clock.pass_time(1.5)
        query, wanted = QUERY[protocol]
        answers.append(client.send("GET", query, **wanted))
    return [*answers, stream.messages, stream.ended, client.exchange.log.since(0)]


@pytest.mark.parametrize("protocol", PLACE)
def test_the_same_seed_gives_the_same_bytes(protocol: str) -> None:
    assert whole_run(protocol, 3) == whole_run(protocol, 3)
    assert whole_run(protocol, 3) != whole_run(protocol, 4)


@pytest.mark.parametrize("protocol", PLACE)
def test_a_placed_order_is_answered_reported_and_listed_without_a_loop(protocol: str) -> None:
    client = PlainClient(protocol=protocol)
    stream = client.user_stream()
    before = len(stream.messages)
    path, params = PLACE[protocol]
    assert client.send("POST", path, **params).status == 200
    assert len(stream.messages) > before
    query, wanted = QUERY[protocol]
    found = client.ask("GET", query, **wanted)
    assert len(found if protocol == "binance" else found["result"]["list"]) == 1


def test_a_fault_of_delivery_is_part_of_the_answer() -> None:
    path, params = PLACE["binance"]
    client = PlainClient(faults={"F3": {"seconds": 30.0}})
    hung = client.send("POST", path, **params)
    assert (hung.delay_s, hung.is_lost) == (30.0, True)
    client.exchange.faults.arm("F2", {})
    lost = client.send("POST", path, **params)
    assert (lost.delay_s, lost.is_lost) == (0.0, True)
    assert len(client.venue.exchange.order_index.trades) == 2


def test_an_unknown_path_is_not_found() -> None:
    assert PlainClient().send("GET", "/nothing").status == 404
