"""A coin that costs a billionth, with lots and ticks that match, is traded as the other one: no rule here knows what a price is."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import backtrader as bt
import pandas as pd
import pytest

from forwardtrader.core.types import MarketRules
from forwardtrader.feeds.venues.market_rules import market_rules
from forwardtrader.models.forecaster import RecordedForecasts
from forwardtrader.strategies.backtrader.assembly import Record, build_cerebro, record_of
from forwardtrader.strategies.replay import replay
from forwardtrader.strategies.replay_track import Tape
from tests.strategies.market import BTC, HOUR, candles, feed, forecasts, knobs

PRICES = ["open", "high", "low", "close"]
OFTEN = knobs(holding="0d", min_trade=0.1, margin=0.2, premium=0.0)


class Brackets(bt.Strategy):
    """Entries with a stop and a limit, and one with a stop that trails."""

    def __init__(self) -> None:
        self.cross = bt.ind.CrossOver(bt.ind.EMA(period=5), bt.ind.EMA(period=20))
        self.range = bt.ind.ATR(period=14)

    def next(self) -> None:
        if self.position or not self.cross[0]:
            return
        price, away = self.data.close[0], 3 * self.range[0]
        size = 0.5 * self.broker.getvalue() / price
        if self.cross[0] > 0:
            self.buy_bracket(size=size, exectype=bt.Order.Market, stopprice=price - away, limitprice=price + 2 * away)
        else:
            self.buy_bracket(
                size=size,
                exectype=bt.Order.Market,
                stopexec=bt.Order.StopTrail,
                stopargs={"trailamount": away},
                limitprice=price + 2 * away,
            )


def scaled(bars: pd.DataFrame, by: int) -> pd.DataFrame:
    made = bars.copy()
    made[PRICES], made["volume"] = made[PRICES] * 10.0**by, made["volume"] / 10.0**by
    return made


def rules(by: int, **changes: Any) -> MarketRules:
    up = Decimal(10) ** by
    return replace(BTC, tick=BTC.tick * up, step=BTC.step / up, min_size=BTC.min_size / up, **changes)


def require_equal(record: Record, other: Record, by: int) -> None:
    mine, theirs = record.fills, other.fills
    assert len(mine) > 10
    assert mine[["timestamp", "side"]].equals(theirs[["timestamp", "side"]])
    assert (mine["size"] / theirs["size"] * 10.0**-by).to_numpy() == pytest.approx(1.0, rel=1e-6)
    assert record.equity["equity"].to_numpy() == pytest.approx(other.equity["equity"].to_numpy(), rel=1e-6)


@pytest.mark.parametrize("by", [-9, 9])
@pytest.mark.parametrize("fee_in_base", [False, True])
@pytest.mark.parametrize("own", [True, False])
def test_prices_of_another_size_give_the_same_trades_and_returns(own: bool, fee_in_base: bool, by: int) -> None:
    bars = candles(700, 3)
    given = forecasts(bars)

    def play(power: int) -> Record:
        source = RecordedForecasts(given, horizon=24)
        feeds = [feed(scaled(bars, power), source, rules(power, fee_in_base=fee_in_base))]
        return record_of(build_cerebro(feeds, OFTEN, **({} if own else {"strategy": Brackets})).run()[0])

    require_equal(play(0), play(by), by)


@pytest.mark.parametrize("by", [-9, 9])
def test_the_fast_replay_does_not_know_the_size_of_prices_either(by: int) -> None:
    bars = candles(700, 3)
    fills = [
        replay([Tape(bars=scaled(bars, n), forecasts=forecasts(bars), market=rules(n), timeframe=HOUR, horizon=24)], OFTEN)[0]
        for n in (0, by)
    ]
    assert len(fills[0]) > 10
    assert fills[0][["timestamp", "side"]].equals(fills[1][["timestamp", "side"]])


@pytest.mark.parametrize("by", [-9, 9])
def test_the_rules_made_up_for_a_coin_that_nobody_lists_follow_its_prices(by: int) -> None:
    bars = candles(700, 3)
    one, other = (market_rules("WXYZ/USDT", "", frame=scaled(bars, power)) for power in (0, by))
    assert (other.tick, other.step) == (one.tick * Decimal(10) ** by, one.step / Decimal(10) ** by)
