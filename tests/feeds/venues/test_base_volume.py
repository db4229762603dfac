"""Contracts of any size: grids and volumes become base units where a venue is read, and nothing behind that knows of contracts."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.core.types import MarketRules
from forwardtrader.feeds.live.client import open_client
from forwardtrader.feeds.venues.base_volume import lists_tiers_in_money
from forwardtrader.feeds.venues.exchange import CcxtVenue, rules_of
from forwardtrader.strategies.replay import replay
from tests.strategies.fast_replay.test_margin_walk import BOTH_WAYS, perpetual
from tests.strategies.market import candles, knobs

BARS = candles(400, 3)
SIZES = ("0.0001", "0.001", "0.01", "0.1", "1", "10", "1000")


def listed(contract: Decimal, step: Decimal, least: Decimal, most: Decimal) -> MarketRules:
    """The rules of a market whose amounts are these numbers of contracts."""
    market: dict[str, Any] = {
        "symbol": "BTC/USDT:USDT", "base": "BTC", "quote": "USDT", "settle": "USDT", "contractSize": float(contract), "maker": 0.0002,
        "taker": 0.0005, "precision": {"price": 0.01, "amount": float(step)},
        "limits": {"amount": {"min": float(least)}, "cost": {"min": 5}, "market": {"max": float(most)}},
    }  # fmt: skip
    return rules_of(market, "gate", ticks=True)


@settings(max_examples=6, deadline=None)
@given(contract=st.sampled_from(SIZES), step=st.sampled_from(["1", "0.1"]), least=st.integers(1, 3), seed=st.integers(0, 99))
def test_an_account_in_contracts_of_any_size_is_that_in_units_on_the_same_grid(contract: str, step: str, least: int, seed: int) -> None:
    size, grid = Decimal(contract), Decimal(step)
    counted = listed(size, grid, least * grid, 10_000 * grid)
    plain = listed(Decimal(1), grid * size, least * grid * size, 10_000 * grid * size)
    assert (counted.contract_size, plain.contract_size) == (size, 1)
    assert replace(counted, contract_size=Decimal(1)) == plain
    chosen = knobs(**{**BOTH_WAYS, "cash": float(max(10_000 * size, Decimal(1)) * 2_000)})
    fills, equity = replay([perpetual(BARS, seed, counted)], chosen)
    same_fills, same_equity = replay([perpetual(BARS, seed, plain)], chosen)
    pd.testing.assert_frame_equal(fills, same_fills, check_exact=True)
    pd.testing.assert_frame_equal(equity, same_equity, check_exact=True)
    assert all(Decimal(repr(round(units, 9))) % (grid * size) == 0 for units in fills["size"])


@pytest.mark.parametrize("size", SIZES)
def test_every_order_is_a_whole_number_of_contracts(size: str) -> None:
    contract = Decimal(size)
    cash = float(max(contract, Decimal("0.001")) * 20_000 * 300)
    fills, _ = replay([perpetual(BARS, 5, listed(contract, Decimal(1), Decimal(1), Decimal(10**6)))], knobs(**{**BOTH_WAYS, "cash": cash}))
    assert len(fills) > 5
    assert all(abs(units / float(contract) - round(units / float(contract))) < 1e-6 for units in fills["size"])


@pytest.mark.parametrize("client", [CcxtVenue("gate")._client, open_client("gate", linear=True)])
def test_volumes_that_a_venue_counts_in_contracts_become_base_units(client: Any) -> None:
    market = {"contract": True, "contractSize": 0.0001, "symbol": "BTC/USDT:USDT"}
    told = {"t": 1_700_000_000, "o": "41025", "h": "41882.17", "c": "41776.92", "l": "40783.94", "v": 97151}
    assert client.parse_ohlcv(told, market)[5] == 9.7151
    assert client.parse_ohlcv({**told, "v": None}, market)[5] is None
    spot = ["1660957920", "6227.07", "0.0000133485", "0.0000133615", "0.0000133347", "0.0000133468", "466641934.99"]
    assert client.parse_ohlcv(spot, {"contract": False, "contractSize": None})[5] == 466641934.99


def test_volumes_that_come_in_base_units_stay() -> None:
    market = {"type": "swap", "contract": True, "contractSize": 0.01}
    row = ["1700000000000", "41025", "41882", "40783", "41776", "628", "6.28", "258000", "1"]
    assert CcxtVenue("okx")._client.parse_ohlcv(row, market)[5] == 6.28


def test_a_leverage_table_that_counts_contracts_is_not_taken_for_money() -> None:
    assert not lists_tiers_in_money("okx")
    assert lists_tiers_in_money("bybit")
