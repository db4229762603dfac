"""The strategies on the project's pages trade here as they do on plain Backtrader."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import backtrader as bt
import pytest

from benchmarks.strategies.examples import Market, example_strategies, plain_broker, play
from forwardtrader.core.settings import StrategySettings
from forwardtrader.core.types import MarketRules
from forwardtrader.feeds.history.sample_market import sample_candles
from forwardtrader.feeds.venues.market_rules import market_rules
from forwardtrader.models.forecaster import RecordedForecasts
from forwardtrader.strategies.backtrader.assembly import build_cerebro, record_of
from tests.strategies.market import HOUR, feed, forecasts

SETTINGS = StrategySettings()
SPAN = 3000
EXAMPLES = example_strategies()


def rules() -> MarketRules:
    """What Binance accepts, which keeps the fee of a buy in the coin."""
    found = market_rules("BTC/USDT", "binance")
    assert found.fee_in_base
    return found


@pytest.fixture(scope="module")
def market() -> Market:
    bars = sample_candles("BTC/USDT", HOUR, seed=0, until=datetime(2022, 1, 1, tzinfo=UTC)).iloc[-SPAN:]
    return Market(bars, rules(), HOUR, RecordedForecasts(forecasts(bars), horizon=24))


def test_the_pages_show_strategies() -> None:
    assert {"README.md: Confident", "strategies.md: BuyConfidence", "backtrader: SMA_CrossOver"} <= EXAMPLES.keys()


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_makes_the_round_trips_that_it_makes_on_plain_backtrader(name: str, market: Market) -> None:
    ours, plain = play(market, EXAMPLES[name], SETTINGS), play(market, EXAMPLES[name], SETTINGS, plain_broker(SETTINGS))
    assert plain.trips > 20
    assert abs(ours.trips - plain.trips) <= 0.02 * plain.trips
    assert ours.refused == 0
    assert ours.equity == pytest.approx(plain.equity, rel=0.01)


@pytest.mark.parametrize("name", [n for n in EXAMPLES if "SMA" not in n])
def test_an_example_is_flat_after_each_close(name: str, market: Market) -> None:
    closes: list[bool] = []

    class Watched(EXAMPLES[name]):  # type: ignore[misc]
        def notify_order(self, order: Any) -> None:
            if order.issell() and order.status == bt.Order.Completed:
                closes.append(not self.position)

    record_of(build_cerebro([feed(market.bars, market.source, market.rules)], SETTINGS, strategy=Watched).run()[0])
    assert len(closes) > 20
    assert all(closes)
