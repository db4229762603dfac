"""Strategies as the community writes them come out here as they do on Backtrader: orders, fills, what they saw, and the account."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import backtrader as bt
import pandas as pd
import pytest

from benchmarks.strategies.collection import COLLECTION
from benchmarks.strategies.compared import FREE, Case, alike, differences, free_rules, ours, plain, played
from forwardtrader.feeds.backtrader_data import frame_data
from forwardtrader.feeds.history.sample_market import sample_candles
from forwardtrader.live.session.paper_broker import PaperBroker
from forwardtrader.live.session.strategy_guard import guarded
from forwardtrader.strategies.backtrader.assembly import Feed, build_cerebro, venue_broker
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


@pytest.mark.parametrize("case", COLLECTION, ids=lambda case: case.name)
def test_it_comes_out_on_paper_as_in_the_backtest(case: Case, markets: dict[str, pd.DataFrame]) -> None:
    """Bar by bar, behind the guard and the broker of a session, after a warm-up."""
    failures: list[str] = []
    runs = []
    for is_paper in (False, True):
        bars = {symbol: frame.iloc[:400] for symbol, frame in list(markets.items())[: case.symbols]}
        feeds = [
            Feed(data=frame_data(frame, HOUR, name=symbol), rules=free_rules(symbol), timeframe=HOUR) for symbol, frame in bars.items()
        ]
        first, kind = next(iter(bars.values())).index[60].to_pydatetime(), case.strategy or bt.SignalStrategy
        options: dict[str, Any] = {} if not is_paper else {
            "broker": venue_broker([feed.rules for feed in feeds], FREE, trade_from=first.timestamp(), kind=PaperBroker),
            "runonce": False, "preload": False,
        }  # fmt: skip
        strategy = guarded(kind, lambda where, error: failures.append(f"{where}: {error!r}")) if is_paper else kind
        runs.append(played(build_cerebro(feeds, FREE, strategy=strategy, strategy_params=case.params, trade_from=first, **options), case))
    assert failures == []
    assert differences(*runs) == []


def test_the_comparison_finds_a_fill_at_another_price() -> None:
    assert alike([(1, 2.0 + 1e-12)], [(1, 2.0)])
    assert not alike([(1, 2.001)], [(1, 2.0)])
    assert not alike([(1, 2.0)], [(1, 2.0), (1, 2.0)])
