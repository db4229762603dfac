"""What an account learns from its own outcomes: in its record, across a restart, and on planted changes of the sample market."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from forwardtrader.core.settings import LearningSettings, StrategySettings
from forwardtrader.feeds.history.sample_market import simulate
from forwardtrader.models.forecaster import RecordedForecasts, normal_frame
from forwardtrader.strategies.backtrader.assembly import build_cerebro, record_of
from forwardtrader.strategies.learning.account_learning import KEPT, AccountLearning
from forwardtrader.strategies.learning.symbol_learning import SeenBar
from forwardtrader.strategies.replay import Replay
from forwardtrader.strategies.replay_track import Tape
from tests.strategies.market import BTC, HOUR, candles, feed, forecasts, knobs

OFF = LearningSettings()
EDGE = LearningSettings(edge=True)
ALL = LearningSettings(costs=True, edge=True, volatility=True)
COIN = replace(BTC, can_short=True)
# Costs at which forecasts of the sample market, one bar ahead, are traded often.
CHEAP = StrategySettings(
    rule="portfolio",
    fee_bps=0.0,
    slippage_bps=1.0,
    spread_bps=0.0,
    horizon=1,
    allow_short=True,
    portfolio_margin=1.25,
    portfolio_min_trade=0.0,
)
SHOCK_AT, TIMES = 24 * 20, 4.0


@cache
def sample(seed: int, days: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Candles of the sample market, and the forecast of one who knows what can be known of the next bar."""
    made = simulate("BTC/USDT", HOUR, seed=seed, until=datetime(2019, 7, 1, tzinfo=UTC))
    bars = made.candles.iloc[: 24 * days]
    scale = np.log(made.candles["close"]).diff().ewm(halflife=72).std()
    location = made.expected.shift(-1)
    told = pd.DataFrame({"location": location, "scale": scale}).iloc[: 24 * days]
    told.iloc[:48] = np.nan
    return bars, told


class SlippageShock(bt.Analyzer):
    """From a bar on every fill slips so many times as far."""

    def next(self) -> None:
        if len(self.strategy) == SHOCK_AT:
            self.strategy.broker.set_slippage_perc(TIMES * CHEAP.slippage_bps / 1e4, slip_open=True, slip_match=True, slip_out=True)


def shocked(learning: LearningSettings) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Fills after the shock, each with what was forecast where it was decided, and all equity."""
    bars, told = sample(1, 60)
    source = RecordedForecasts(normal_frame(bars.index, told["location"].to_numpy(), told["scale"].to_numpy(), "planted"), horizon=1)
    run = build_cerebro([feed(bars, source, COIN)], CHEAP, learning=learning, analyzers=[(SlippageShock, {})]).run()[0]
    record = record_of(run)
    fills = record.fills[record.fills["timestamp"] > bars.index[SHOCK_AT]]
    decided = told["location"].abs().shift(1).reindex(fills["timestamp"]).to_numpy()
    return fills.assign(promised=decided), record.equity


def entries_below(fills: pd.DataFrame, least: float) -> int:
    """Fills that added exposure for less than `least` of gain."""
    adds = fills["reason"].str.contains("edge beats costs|edge grew")
    return int((adds & (fills["promised"] < least)).sum())


def test_within_fifty_fills_of_a_cost_shock_no_trade_is_entered_that_does_not_pay() -> None:
    round_trip = 2 * TIMES * CHEAP.slippage_bps / 1e4
    deaf, learned = shocked(OFF)[0], shocked(LearningSettings(costs=True))[0]
    assert entries_below(deaf.iloc[50:], round_trip) > 30
    assert entries_below(learned.iloc[:50], round_trip) > 0
    assert entries_below(learned.iloc[50:], round_trip) == 0


def test_within_thirty_days_of_a_signals_death_exposure_halves() -> None:
    days = 60
    settings = CHEAP.model_copy(update={"portfolio_margin": 2.0, "fee_bps": 0.5, "slippage_bps": 0.5})
    held: dict[str, list[float]] = {"deaf": [], "learned": [], "alive": []}
    for seed in (0, 1, 2):
        bars, told = sample(seed, days + 36)
        dead = told.copy()
        z = (told["location"] / told["scale"]).to_numpy()[24 * days :]
        dead.iloc[24 * days :, 0] = np.random.default_rng(seed).permutation(z) * told["scale"].to_numpy()[24 * days :]
        for name, frame, learning in (("deaf", dead, OFF), ("learned", dead, EDGE), ("alive", told, EDGE)):
            tape = Tape(bars=bars, forecasts=frame, market=COIN, timeframe=HOUR, horizon=1)
            equity = Replay([tape], settings, learning).run([frame["location"].to_numpy()])[1]
            held[name].append(float((1 - equity["cash"] / equity["equity"]).abs().iloc[24 * (days + 30) :].mean()))
    assert sum(held["learned"]) < 0.5 * sum(held["deaf"])
    assert sum(held["alive"]) > sum(held["learned"])


def seen(rows: int, seed: int = 1) -> list[SeenBar]:
    bars = candles(rows, seed)
    made = forecasts(bars, horizon=4)
    times = bars.index.as_unit("ms").asi8 / 1000.0
    columns = zip(times, bars["open"], bars["close"], made["location"], made["scale"], strict=True)
    return [SeenBar(*map(float, row)) for row in columns]


def account(learning: LearningSettings = ALL) -> AccountLearning:
    made = AccountLearning.of(learning, knobs(), HOUR, 4, ["BTC/USDT"])
    assert made is not None
    return made


def test_where_nothing_is_learned_there_is_no_account_of_it() -> None:
    assert AccountLearning.of(OFF, knobs(), HOUR, 4, ["BTC/USDT"]) is None
    assert AccountLearning.of(LearningSettings(costs=True, edge=True, freeze=True), knobs(), HOUR, 4, ["BTC/USDT"]) is None


def test_an_outcome_counts_only_once_its_horizon_is_over() -> None:
    changed = seen(60)
    later = [*changed[:-1], changed[-1]._replace(close=changed[-1].close * 1.5)]
    one, other = account(), account()
    for bar in changed[:-1]:
        one.see([bar])
    for bar in later[:-1]:
        other.see([bar])
    assert one.as_dict() == other.as_dict()
    before = one.symbols[0].outlook(0.01, 0.01)
    one.see([changed[-1]])
    other.see([later[-1]])
    assert one.as_dict() != other.as_dict()
    assert before != one.symbols[0].outlook(0.01, 0.01)


def test_a_bar_that_is_shown_twice_teaches_nothing() -> None:
    learned = account()
    for bar in seen(100):
        learned.see([bar])
    before = json.dumps(learned.as_dict())
    assert learned.see([seen(100)[-1]]) == []
    assert json.dumps(learned.as_dict()) == before


def test_a_restart_goes_on_to_the_bit() -> None:
    bars, whole = seen(300), account()
    for bar in bars:
        whole.see([bar])
        whole.symbols[0].expect(bar.opened)
        whole.symbols[0].settle(1.0, bar.close, 0.1)
    first = account()
    for place, bar in enumerate(bars):
        if place % 50 == 7:
            saved = json.loads(json.dumps(first.as_dict(), allow_nan=False))
            first = account()
            first.restore(saved)
        first.see([bar])
        first.symbols[0].expect(bar.opened)
        first.symbols[0].settle(1.0, bar.close, 0.1)
    assert first.as_dict() == whole.as_dict()
    assert first.report() == whole.report()


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_an_entry_that_rested_in_vain_cost_what_the_price_ran_away_by(side: float) -> None:
    learned = account(LearningSettings(costs=True))
    first, second = (bar._replace(close=100.0 + side * gone) for bar, gone in zip(seen(2), (0.0, 1.0), strict=True))
    learned.see([first])
    learned.symbols[0].expect(100.0, side)
    learned.symbols[0].settle(0.0, 0.0, 0.0)
    assert learned.symbols[0].cost_multiple == 1.0
    learned.see([second])
    assert learned.symbols[0].cost_multiple > 1.5


def test_a_market_order_that_was_refused_teaches_nothing() -> None:
    learned = account(LearningSettings(costs=True))
    learned.symbols[0].expect(100.0)
    learned.symbols[0].settle(0.0, 0.0, 0.0)
    learned.see([seen(1)[0]])
    assert learned.symbols[0].fills == 0


def test_each_change_is_recorded_with_before_and_after_and_the_record_is_bounded() -> None:
    learned = account(LearningSettings(costs=True, costs_memory=1.0, costs_prior=0.1))
    for number, bar in enumerate(seen(600)):
        learned.symbols[0].expect(100.0)
        learned.symbols[0].settle(1.0, 100.0 + 2.0 * (number % 20 > 9), 0.0)
        learned.see([bar])
    report = learned.report()
    assert report.count > KEPT == len(report.changes)
    for earlier, later in zip(report.changes, report.changes[1:], strict=False):
        assert later.before == earlier.after
        assert abs(later.after - later.before) >= 0.1 * later.before


@pytest.mark.parametrize("rule", ["single", "portfolio"])
def test_a_strategy_that_is_stopped_and_started_decides_what_one_that_never_was_does(rule: str) -> None:
    bars = candles(500, 5)
    chosen = knobs(rule=rule, holding="0d", min_trade=0.1, margin=0.2, premium=0.0, portfolio_margin=0.2)
    source = RecordedForecasts(forecasts(bars, 7), horizon=24)
    whole = build_cerebro([feed(bars, source)], chosen, learning=ALL).run()[0]
    part = build_cerebro([feed(bars.iloc[:300], source)], chosen, learning=ALL).run()[0]
    saved = json.loads(json.dumps(part.state(), allow_nan=False))
    assert saved["learning"]["symbols"]["BTC/USDT"]["fills"] > 0
    again: Any = build_cerebro([feed(bars, source)], chosen, learning=ALL, saved=saved, trade_from=bars.index[300].to_pydatetime()).run()[0]
    ours, theirs = again.state()["learning"], whole.state()["learning"]
    assert ours["symbols"]["BTC/USDT"]["newest"] == theirs["symbols"]["BTC/USDT"]["newest"]
    assert ours["edge"] == theirs["edge"]
    assert ours["symbols"]["BTC/USDT"]["volatility"] == theirs["symbols"]["BTC/USDT"]["volatility"]
