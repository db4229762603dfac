"""Perpetuals at each venue: cash and positions, funding page by page, and what the venue closes by itself."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from forwardtrader.core.errors import ConfigError
from forwardtrader.core.types import MarketRules
from forwardtrader.live.venue.perpetuals import VENUES, require_plain_contracts, traits_of

SYMBOL = "BTC/USDT:USDT"
WEEK_MS = 7 * 86_400_000


class Venue:
    """Answers as ccxt does: the pages of funding are those that it is made with."""

    def __init__(self, venue_id: str, pages: Any = ()) -> None:
        self.id, self.pages = venue_id, list(pages)
        self.asked: list[Any] = []
        self.markets = {SYMBOL: {"id": "BTCUSDT", "settle": "USDT"}}

    async def fetch_positions(self, symbols: Any, params: Any) -> Any:
        return [
            {"symbol": SYMBOL, "side": "short", "contracts": 0.5, "contractSize": 1.0, "entryPrice": 100.0},
            {"symbol": "ETH/USDT:USDT", "side": "long", "contracts": 2.0, "contractSize": 0.1, "entryPrice": 10.0},
        ]

    async def fetch_balance(self) -> Any:
        raw = {"positions": [{"symbol": "BTCUSDT", "positionAmt": "-0.5", "notional": "-60", "unrealizedProfit": "-10"}]}
        return {"total": {"USDT": 1000.0 if self.id == "bybit" else 990.0}, "info": raw}

    async def fetch_funding_history(self, symbol: Any, since: Any, limit: Any, params: Any) -> Any:
        self.asked.append(params)
        return self.pages.pop(0) if self.pages else []


def row(number: int, amount: float, cursor: str = "") -> Any:
    return {"id": f"f{number}", "symbol": SYMBOL, "code": "USDT", "amount": amount, "timestamp": number, "info": {"nextPageCursor": cursor}}


def test_cash_is_what_is_left_once_positions_are_paid_for_at_their_entry() -> None:
    held = asyncio.run(VENUES["bybit"].holdings(Venue("bybit"), "USDT"))  # type: ignore[arg-type]
    assert (held.cash, held.sizes) == (1000 + 50 - 2, {SYMBOL: Decimal("-0.5"), "ETH/USDT:USDT": Decimal("0.2")})
    held = asyncio.run(VENUES["binance"].holdings(Venue("binance"), "USDT"))  # type: ignore[arg-type]
    assert (held.cash, held.sizes) == (990 + 60, {SYMBOL: Decimal("-0.5")})


def test_funding_is_read_to_the_end_with_the_sign_of_what_was_received() -> None:
    venue = Venue("bybit", [[row(3, 0.5, "next"), row(2, -0.25, "next")], [row(1, 1.0)]])
    paid = asyncio.run(VENUES["bybit"].funding(venue, 0, 10))  # type: ignore[arg-type]
    assert [(p.id, p.amount) for p in paid] == [("f1", -1), ("f2", Decimal("0.25")), ("f3", Decimal("-0.5"))]
    assert venue.asked[1]["cursor"] == "next"


def test_what_the_venue_closed_is_read_to_the_end() -> None:
    venue = Venue("bybit")
    pages = {("BustTrade", None): [{"id": "1", "info": {"nextPageCursor": "c"}}], ("BustTrade", "c"): [{"id": "2", "info": {}}]}

    async def fetch_my_trades(symbol: Any, since: Any, limit: Any, params: Any) -> Any:
        return pages.get((params["execType"], params.get("cursor")), [])

    venue.fetch_my_trades = fetch_my_trades  # type: ignore[attr-defined]
    found = asyncio.run(VENUES["bybit"].forced(venue, SYMBOL))  # type: ignore[arg-type]
    assert [(kind, trade["id"]) for kind, trade in found] == [("liquidation", "1"), ("liquidation", "2")]


def test_weeks_without_a_question_are_asked_for_one_by_one() -> None:
    venue = Venue("binance", [[row(5, 1.0)], [row(9, 2.0)]])
    paid = asyncio.run(VENUES["binance"].funding(venue, 5, 6 + WEEK_MS))  # type: ignore[arg-type]
    assert [(p.id, p.amount) for p in paid] == [("f5", 1), ("f9", 2)]
    assert [asked.get("startTime") for asked in venue.asked] == [5, None]


@pytest.mark.parametrize(
    ("venue", "info", "kind"),
    [
        ("bybit", {"execType": "BustTrade"}, "liquidation"), ("bybit", {"execType": "AdlTrade"}, "deleveraging"),
        ("bybit", {"execType": "Trade"}, ""), ("binance", {"c": "autoclose-1"}, "liquidation"),
        ("binance", {"c": "adl_autoclose"}, "deleveraging"), ("binance", {"c": "settlement_autoclose-1"}, "delisting"),
        ("bybit", {"execType": "Delivery"}, "delisting"), ("binance", {"c": "ft-1"}, ""), ("binance", None, ""),
    ],
)  # fmt: skip
def test_the_venues_own_executions_are_known(venue: str, info: Any, kind: str) -> None:
    assert VENUES[venue].kind_of({"info": info}) == kind


def test_the_venues_own_orders_are_known() -> None:
    assert VENUES["bybit"].is_forced({"info": {"createType": "CreateByLiq"}})
    assert not VENUES["bybit"].is_forced({"info": {"createType": "CreateByUser"}})
    assert VENUES["binance"].is_forced({"clientOrderId": "autoclose-7"})
    assert not VENUES["binance"].is_forced({"clientOrderId": None})


def test_a_venue_without_perpetuals_here_and_contracts_of_another_size_are_refused() -> None:
    client: Any = SimpleNamespace(id="kraken")
    with pytest.raises(ConfigError, match="not traded at kraken yet; take --exchange binance or binanceusdm or bybit"):
        traits_of(client)
    rules = MarketRules(symbol=SYMBOL, base="BTC", quote="USDT", tick=Decimal(1), step=Decimal(1), settle="USDT")
    require_plain_contracts([rules])
    with pytest.raises(ConfigError, match=r"0\.01 BTC"):
        require_plain_contracts([MarketRules(**{**vars(rules), "contract_size": Decimal("0.01")})])
