"""Strategies as the community writes them come out here as they do on Backtrader: orders, fills, what they saw, and the account."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pytest

from benchmarks.strategies.collection import COLLECTION
from benchmarks.strategies.compared import Case, alike, differences, ours, plain
from forwardtrader.feeds.history.sample_market import sample_candles
from tests.strategies.market import HOUR

SPAN = 800


@pytest.fixture(scope="module")
def markets() -> dict[str, pd.DataFrame]:
    end = datetime(2022, 1, 1, tzinfo=UTC)
    return {s: sample_candles(s, HOUR, seed=seed, until=end).iloc[-SPAN:] for seed, s in enumerate(("BTC/USDT", "ETH/USDT"))}


@pytest.mark.parametrize("case", COLLECTION, ids=lambda case: case.name)
def test_a_strategy_of_the_community_comes_out_as_on_backtrader(case: Case, markets: dict[str, pd.DataFrame]) -> None:
    here, there = ours(case, markets, HOUR), plain(case, markets, HOUR)
    assert there.notices
    assert bool(differences(here, there)) == bool(case.difference)


def test_the_comparison_finds_a_fill_at_another_price() -> None:
    assert alike([(1, 2.0 + 1e-12)], [(1, 2.0)])
    assert not alike([(1, 2.001)], [(1, 2.0)])
    assert not alike([(1, 2.0)], [(1, 2.0), (1, 2.0)])
