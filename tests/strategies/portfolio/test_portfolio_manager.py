"""All symbols of a bar decided on together: in Backtrader as in the replay, across a restart, and within the cash there is."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forwardtrader.core.settings import StrategySettings
from forwardtrader.core.types import MarketRules
from forwardtrader.models.forecaster import RecordedForecasts
from forwardtrader.strategies.backtrader.assembly import build_cerebro, record_of
from forwardtrader.strategies.decision import DecisionParams
from forwardtrader.strategies.portfolio.correlations import Correlations
from forwardtrader.strategies.portfolio.portfolio_manager import PortfolioManager, Standing
from forwardtrader.strategies.position_manager import PositionManager
from forwardtrader.strategies.replay import Replay
from forwardtrader.strategies.replay_track import Tape
from forwardtrader.strategies.risk import Gate
from tests.strategies.market import BTC, ETH, HOUR, candles, feed, forecasts, knobs
from tests.strategies.test_position_manager import Port
from tests.strategies.test_replay import equal_to_backtrader

ADA = replace(BTC, symbol="ADA/USDT", base="ADA")
MARKETS = (BTC, ETH, ADA)
CASES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "shorts": {"allow_short": True},
    "eager": {"portfolio_margin": 0.2, "portfolio_share": 3.0, "portfolio_min_trade": 0.0},
    "tight stops": {"portfolio_stop": 0.4, "portfolio_margin": 0.3, "cooldown": "3h"},
    "tight limits": {"portfolio_margin": 0.2, "portfolio_volatility": 0.15, "portfolio_net": 0.3, "allow_short": True},
    "halted": {"max_drawdown": 0.02, "max_daily_loss": 0.005, "portfolio_margin": 0.3},
}


def together(**changes: Any) -> StrategySettings:
    return knobs(**{"rule": "portfolio", "scale_memory": "3d", **changes})


def tapes(*markets: MarketRules, rows: int = 350) -> list[Tape]:
    """One lacks bars in the middle, one begins late and ends early."""
    bars = [candles(rows, 3 + i, price) for i, price in enumerate((20_000.0, 1_500.0, 50.0))]
    bars[1] = bars[1].drop(bars[1].index[200:215])
    bars[2] = bars[2].iloc[60 : rows - 40]
    return [
        Tape(bars=b, forecasts=forecasts(b, 20 + i, skill=0.7), market=market, timeframe=HOUR, horizon=24)
        for i, (b, market) in enumerate(zip(bars, markets, strict=False))
    ]


def managers(settings: StrategySettings, *markets: MarketRules) -> list[PositionManager]:
    return [PositionManager(m, DecisionParams.of(settings, m, HOUR, 24, len(markets)), Port()) for m in markets]


def trades(manager: PositionManager) -> list[tuple[float, str]]:
    port = manager.port
    assert isinstance(port, Port)
    return port.trades


@pytest.mark.parametrize("name", CASES)
def test_the_replay_fills_what_backtrader_fills(name: str) -> None:
    chosen = together(**CASES[name])
    markets = [replace(market, can_short=chosen.allow_short) for market in MARKETS]
    fills = equal_to_backtrader(tapes(*markets), chosen)
    assert fills["symbol"].nunique() == 3
    assert not chosen.allow_short or fills.iloc[:40]["side"].eq("sell").any()


@pytest.mark.parametrize("seed", range(3))
def test_symbols_out_of_the_order_of_their_names_are_replayed_alike(seed: int) -> None:
    """Two of them move as one, so it matters whose risk is whose."""
    rows, rules = 600, [replace(market, can_short=True) for market in sorted(MARKETS, key=lambda market: market.symbol)]
    twin, alone = candles(rows, 30 + seed), candles(rows, 40 + seed, 1_500.0)
    bars = [twin, twin * [0.1, 0.1, 0.1, 0.1, 1.0], alone]
    told = [forecasts(b, 50 + seed + i, skill=0.5) for i, b in enumerate(bars)]
    made = [
        Tape(bars=b, forecasts=f, market=rule, timeframe=HOUR, horizon=24)
        for b, f, rule in zip(bars, told, rules[2:] + rules[:2], strict=True)
    ]
    assert len(equal_to_backtrader(made, together(allow_short=True, portfolio_aversion=8.0))) > 20


@pytest.mark.parametrize("name", ["shorts", "eager"])
def test_perpetuals_on_margin_are_replayed_alike(name: str) -> None:
    markets = [replace(m, symbol=f"{m.symbol}:USDT", settle="USDT", can_short=True) for m in MARKETS]
    fills = equal_to_backtrader(tapes(*markets), together(**{**CASES[name], "allow_short": True, "leverage": 2.0, "max_exposure": 1.5}))
    assert fills["symbol"].nunique() == 3


def test_a_venue_that_stood_still_is_replayed_alike() -> None:
    made = tapes(*MARKETS)
    made[0].bars.iloc[150:156, :4] = made[0].bars["close"].iloc[149]  # orders wait, and what is remembered with them
    made[0].bars.iloc[150:156, 4] = 0.0
    equal_to_backtrader(made, together(portfolio_margin=0.2))


def test_outside_its_universe_nothing_of_a_symbol_is_held() -> None:
    made = tapes(*MARKETS)
    index = made[0].bars.index
    made[0] = replace(made[0], members=((0.0, index[150].timestamp()),))
    fills = equal_to_backtrader(made, together(portfolio_margin=0.2))
    own = fills.loc[fills["symbol"] == made[0].market.symbol]
    assert len(own)
    assert own["timestamp"].max() <= index[152]


def test_a_second_run_of_a_replay_on_other_forecasts_is_one_of_its_own() -> None:
    made, chosen = tapes(*MARKETS), together(portfolio_margin=0.5)
    own = [tape.forecasts["location"].to_numpy(dtype=np.float64) for tape in made]
    walked = Replay(made, chosen)
    walked.run([-location for location in own])
    again, fresh = walked.run(own), Replay(made, chosen).run(own)
    pd.testing.assert_frame_equal(again[0], fresh[0], check_exact=True)
    pd.testing.assert_frame_equal(again[1], fresh[1], check_exact=True)


def test_without_a_choice_several_symbols_and_perpetuals_are_decided_on_together_and_a_coin_by_itself() -> None:
    assert not StrategySettings().decides_together(1, perpetual=False)
    assert StrategySettings().decides_together(2, perpetual=False)
    assert StrategySettings().decides_together(1, perpetual=True)
    assert not StrategySettings(rule="single").decides_together(2, perpetual=True)
    assert StrategySettings(rule="portfolio").decides_together(1, perpetual=False)


def test_without_a_choice_perpetuals_are_sold_short_and_coins_are_not() -> None:
    assert [StrategySettings().sells_short(perpetual=kind) for kind in (True, False)] == [True, False]
    assert [StrategySettings(allow_short=True).sells_short(perpetual=kind) for kind in (True, False)] == [True, True]
    assert not StrategySettings(allow_short=False).sells_short(perpetual=True)


def test_a_restart_goes_on_as_if_there_had_been_none() -> None:
    made, chosen = tapes(*MARKETS), together(portfolio_margin=0.5)

    def run(first: int, last: int, saved: Any = None) -> Any:
        feeds = [feed(t.bars.iloc[: last - (350 - len(t.bars))], RecordedForecasts(t.forecasts, horizon=24), t.market) for t in made[:1]]
        start = made[0].bars.index[first].to_pydatetime()
        return build_cerebro(feeds, chosen, trade_from=start, saved=saved).run()[0]

    whole = run(0, 350)
    before = run(0, 200)
    state = json.loads(json.dumps(before.state()))
    after = run(200, 350, state)
    assert after.state()["correlations"] == whole.state()["correlations"]
    assert record_of(whole).fills["timestamp"].max() > made[0].bars.index[200]


def test_a_state_from_before_there_were_correlations_is_read() -> None:
    made, chosen = tapes(*MARKETS), together()
    feeds = [feed(t.bars, RecordedForecasts(t.forecasts, horizon=24), t.market) for t in made[:1]]
    saved = {"version": 1, "risk": None, "books": {}}
    [strategy] = build_cerebro(feeds, chosen, saved=saved).run()
    assert strategy.state()["correlations"] and len(record_of(strategy).fills)


def test_what_is_sold_pays_for_what_is_bought_on_the_same_bar() -> None:
    chosen = together(cash_reserve=0.0, portfolio_share=2.0, max_exposure=1.0)
    sold, bought = managers(chosen, BTC, ETH)
    all_of_them = PortfolioManager(chosen, HOUR, [bought, sold], 24, Correlations(["ETH/USDT", "BTC/USDT"]))
    standings = [Standing(bought, 0.2, 0.02, 0.0, 0.0, 100.0), Standing(sold, -0.2, 0.02, 100.0, 100.0, 100.0)]
    all_of_them.on_bar(standings, 10_000.0, 0.0, 0.0, Gate.OPEN)
    [(change, _)] = trades(sold)
    assert change == -100.0
    [(units, _)] = trades(bought)
    assert 90.0 < units < 100.0


def test_two_buys_on_a_bar_are_paid_from_one_purse() -> None:
    chosen = together(cash_reserve=0.0, portfolio_share=2.0)
    pair = managers(chosen, BTC, ETH)
    all_of_them = PortfolioManager(chosen, HOUR, pair, 24, Correlations(["BTC/USDT", "ETH/USDT"]))
    all_of_them.on_bar([Standing(one, 0.2, 0.02, 0.0, 0.0, 100.0) for one in pair], 10_000.0, 6_000.0, 0.0, Gate.OPEN)
    cost = 1.0 + pair[0].params.size.entry_cost
    assert sum(change for one in pair for change, _ in trades(one)) * 100.0 * cost <= 6_000.0 * (1 + 1e-12)


def test_two_shorts_on_a_bar_share_the_free_margin() -> None:
    chosen = together(cash_reserve=0.0, portfolio_share=2.0, allow_short=True)
    pair = managers(chosen, *(replace(m, symbol=f"{m.symbol}:USDT", settle="USDT", can_short=True) for m in (BTC, ETH)))
    all_of_them = PortfolioManager(chosen, HOUR, pair, 24, Correlations([one.market.symbol for one in pair]))
    all_of_them.on_bar([Standing(one, -0.2, 0.02, 0.0, 0.0, 100.0) for one in pair], 10_000.0, 6_000.0, 0.0, Gate.OPEN)
    sold = [change for one in pair for change, _ in trades(one)]
    assert len(sold) == 2
    assert -60.0 <= sum(sold) < -59.0


@pytest.mark.parametrize(("gate", "sold"), [(Gate.HALTED, -10.0), (Gate.LOCKED, 0.0), (Gate.OPEN, 0.0)])
def test_the_accounts_brakes_hold_for_all_symbols(gate: Gate, sold: float) -> None:
    chosen = together()
    held, other = managers(chosen, BTC, ETH)
    all_of_them = PortfolioManager(chosen, HOUR, [held, other], 24, Correlations(["BTC/USDT", "ETH/USDT"]))
    standings = [Standing(held, 0.05, 0.02, 10.0, 100.0, 100.0), Standing(other, 0.2, 0.02, 0.0, 0.0, 100.0)]
    all_of_them.on_bar(standings, 10_000.0, 9_000.0, 0.0, gate)
    assert sum(change for change, _ in trades(held) if change < 0.0) == sold
    assert bool(trades(other)) == (gate is Gate.OPEN)


def test_a_symbol_without_a_bar_or_with_an_order_out_is_left_alone() -> None:
    chosen = together()
    trio = managers(chosen, *MARKETS)
    trio[1].busy = True
    all_of_them = PortfolioManager(chosen, HOUR, trio, 24, Correlations([m.symbol for m in MARKETS]))
    standings = [
        Standing(trio[0], 0.2, 0.02, 1.0, 100.0, 100.0, has_bar=False),
        Standing(trio[1], 0.2, 0.02, 1.0, 100.0, 100.0),
        Standing(trio[2], math.nan, math.nan, 1.0, 100.0, 100.0),
    ]
    all_of_them.on_bar(standings, 1_000.0, 700.0, 0.0, Gate.OPEN)
    assert [bool(trades(one)) for one in trio] == [False, False, True]
