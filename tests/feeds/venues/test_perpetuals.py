"""Perpetuals are known without network, and what the venue lists is read in base units."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import ccxt
import pytest

from forwardtrader.core.types import MarginTier
from forwardtrader.feeds.venues.exchange import rules_of
from forwardtrader.feeds.venues.market_rules import market_rules, store_rules, stored_rules
from forwardtrader.feeds.venues.perpetuals import hours_of, listed_tiers, usual_tiers
from tests.feeds.made_candles import made

COINS = ("BTC", "ETH", "XRP", "ADA", "LTC", "LINK", "DOGE", "NEW")


def maintenance(tier: MarginTier, notional: Decimal) -> Decimal:
    return notional * tier.maintenance_rate - tier.maintenance_amount


@pytest.mark.parametrize("base", COINS)
def test_maintenance_is_continuous_and_rises_from_tier_to_tier(base: str) -> None:
    tiers = usual_tiers(base)
    assert tiers[0].notional_from == tiers[0].maintenance_amount == 0
    for below, above in pairwise(tiers):
        edge = above.notional_from
        assert maintenance(below, edge) == maintenance(above, edge)
        assert (below.maintenance_rate, above.max_leverage) < (above.maintenance_rate, below.max_leverage)
    assert all(tier.maintenance_rate < 1 / tier.max_leverage for tier in tiers)


def test_the_amounts_are_those_that_the_venue_publishes() -> None:
    assert [tier.maintenance_amount for tier in usual_tiers("BTC")[:6]] == [0, 50, 950, 11450, 131450, 481450]
    assert usual_tiers("XRP")[-1].maintenance_amount == 13345685
    assert usual_tiers("LINK")[-1].maintenance_amount == 9933045


def test_a_common_perpetual_has_its_grid_fees_and_funding_without_network() -> None:
    rules = market_rules("BTC/USDT:USDT", "binance")
    assert (rules.tick, rules.step, rules.min_notional) == (Decimal("0.1"), Decimal("0.001"), Decimal(100))
    assert (rules.settle, rules.is_perpetual, rules.can_short, rules.fee_in_base) == ("USDT", True, True, False)
    assert (rules.maker_fee, rules.taker_fee, rules.funding_hours) == (Decimal("0.0002"), Decimal("0.0005"), 8)
    spot = market_rules("BTC/USDT", "binance")
    assert (spot.settle, spot.is_perpetual, spot.margin_tiers, spot.maker_fee, spot.funding_hours) == ("", False, (), None, 0)


def test_the_grid_of_a_perpetual_in_no_table_follows_its_prices() -> None:
    rules = market_rules("NEW/USDT:USDT", "binance", frame=made(200))
    assert rules.tick != market_rules("NEW/USDT:USDT", "binance").tick
    assert market_rules("LINK/USDT:USDT", "binance", frame=made(200)) == market_rules("LINK/USDT:USDT", "binance")


def test_stored_rules_of_a_perpetual_come_back_and_older_files_stay_readable(tmp_path: Path) -> None:
    rules = replace(market_rules("BTC/USDT:USDT", "bybit"), funding_hours=4, contract_size=Decimal("0.001"))
    store_rules(tmp_path, "bybit", rules)
    assert stored_rules(tmp_path, "bybit") == {"BTC/USDT:USDT": rules}
    written_before = (
        '{"BTC/USDT": {"symbol": "BTC/USDT", "base": "BTC", "quote": "USDT", "tick": "0.01", "step": "0.00001", "min_size": "0.00001", '
        '"min_notional": "5", "max_market_size": null, "can_short": false, "fee_in_base": true, "periods_per_year": 365}}'
    )
    (tmp_path / "bybit" / "rules.json").write_text(written_before)
    assert stored_rules(tmp_path, "bybit") == {"BTC/USDT": market_rules("BTC/USDT", "bybit")}


BINANCE: dict[str, Any] = {
    "symbol": "BTCUSDT", "pair": "BTCUSDT", "contractType": "PERPETUAL", "deliveryDate": 4133404800000, "onboardDate": 1569398400000,
    "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT", "marginAsset": "USDT", "pricePrecision": 2, "quantityPrecision": 3,
    "baseAssetPrecision": 8, "quotePrecision": 8, "orderTypes": ["LIMIT", "MARKET"], "timeInForce": ["GTC", "GTX"],
    "filters": [
        {"filterType": "PRICE_FILTER", "tickSize": "0.10", "minPrice": "556.80", "maxPrice": "4529764"},
        {"filterType": "LOT_SIZE", "stepSize": "0.001", "minQty": "0.001", "maxQty": "1000"},
        {"filterType": "MARKET_LOT_SIZE", "stepSize": "0.001", "minQty": "0.001", "maxQty": "120"},
        {"filterType": "MIN_NOTIONAL", "notional": "100"},
    ],
}  # fmt: skip


def test_a_market_of_binance_is_read_as_it_lists_it() -> None:
    rules = rules_of(ccxt.binance().parse_market(BINANCE), "binance", ticks=True)
    assert (rules.symbol, rules.settle, rules.can_short, rules.contract_size) == ("BTC/USDT:USDT", "USDT", True, 1)
    assert (rules.tick, rules.step, rules.max_market_size) == (Decimal("0.1"), Decimal("0.001"), Decimal(120))
    assert (rules.maker_fee, rules.taker_fee) == (Decimal("0.0002"), Decimal("0.0005"))


def test_contracts_become_base_units() -> None:
    market = {
        "symbol": "BTC/USDT:USDT", "base": "BTC", "quote": "USDT", "settle": "USDT", "spot": False, "contractSize": 0.01, "maker": 0.0002,
        "taker": 0.0006, "precision": {"price": 0.1, "amount": 0.1}, "info": {"fundingInterval": 240},
        "limits": {"amount": {"min": 0.1}, "cost": {}, "market": {"max": 10000}},
    }  # fmt: skip
    rules = rules_of(market, "okx", ticks=True)
    assert (rules.contract_size, rules.step, rules.min_size, rules.max_market_size) == (
        Decimal("0.01"), Decimal("0.001"), Decimal("0.001"), Decimal(100)
    )  # fmt: skip
    assert (rules.funding_hours, rules.taker_fee) == (4, Decimal("0.0006"))


def test_a_listed_leverage_table_is_read_or_left_aside_whole() -> None:
    rows = [
        {"minNotional": 0, "maxNotional": 2e6, "maxLeverage": 100.0, "maintenanceMarginRate": 0.005},
        {"minNotional": 2e6, "maxNotional": 2.6e6, "maxLeverage": 90.0, "maintenanceMarginRate": 0.0056},
    ]
    assert [tier.maintenance_amount for tier in listed_tiers(rows)] == [0, 1200]
    assert listed_tiers([*rows, {"minNotional": 2.6e6, "maxLeverage": None, "maintenanceMarginRate": 0.0061}]) == ()


@pytest.mark.parametrize(("text", "hours"), [("8h", 8), ("1h", 1), (None, 0), ("h", 0), ("480", 0)])
def test_intervals_are_read(text: str | None, hours: int) -> None:
    assert hours_of(text) == hours
