"""A venue that changes its grid while we trade is obeyed from the next bar on."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import backtrader as bt

from forwardtrader.strategies.backtrader.assembly import build_cerebro
from forwardtrader.strategies.feed_context import attach, context_of
from tests.strategies.market import candles, feed, knobs, source

COARSE = Decimal("0.01")


class Venue(bt.Analyzer):
    """Makes the grid coarser after 600 bars."""

    def next(self) -> None:
        data = self.strategy.data
        facts = context_of(data)
        if len(data) == 600:
            attach(data, replace(facts, rules=replace(facts.rules, step=COARSE, min_size=COARSE)))


def test_the_strategy_goes_by_the_rules_that_are_on_the_feed_now() -> None:
    bars = candles()
    cerebro = build_cerebro([feed(bars, source(bars))], knobs(), analyzers=[(Venue, {})], runonce=False, preload=False)
    [strategy] = cerebro.run()
    market = strategy._feeds[0].manager.market
    assert (market.step, market.min_size) == (COARSE, COARSE)
    fills: Any = strategy.analyzers.fills.frame()
    later = fills[fills["timestamp"] > bars.index[602]]
    assert len(later) and all(Decimal(str(round(size, 8))) % COARSE == 0 for size in later["size"].iloc[1:])
