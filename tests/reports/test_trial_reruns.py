"""The same run with an end that grew is the same trial; whatever was chosen anew, or looks at another past, is another one."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forwardtrader.core.clock import FixedClock
from forwardtrader.reports.statistics.sharpe_tests import SharpeMoments
from forwardtrader.reports.trial_ledger import _SCHEMA, Trial, TrialLedger, landmarks_of
from forwardtrader.reports.trial_reruns import SCHEMA, OpenEnd

HOURS = 24 * 30


def candles(hours: int, seed: int = 0, start: str = "2024-01-01") -> pd.DataFrame:
    close = 30_000 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, 24 * 400)))
    index = pd.date_range(start, periods=24 * 400, freq="h", tz="UTC")
    return pd.DataFrame({"close": close}, index=index).iloc[:hours]


def daily(frame: pd.DataFrame, code: int = 1) -> pd.Series:
    """Net returns of an account that holds what the code says."""
    return frame["close"].groupby(frame.index.floor("D")).last().pct_change().fillna(0.0) * code


def trial(
    frame: pd.DataFrame, *, choice: str = "c", code: int = 1, named: bool = False, more: dict[str, pd.DataFrame] | None = None
) -> Trial:
    """As a run makes it: without a named end its settings hold the moment at which it ran."""
    markets = {"BTC/USDT": frame, **(more or {})}
    return Trial(
        run_id="run", symbols=tuple(markets), kind="real", data=f"{len(frame)}{frame['close'].sum()}",
        settings=f"{choice} {frame.index[-1]}", result=str(daily(frame, code).sum()), what="tried",
        moments=SharpeMoments(sharpe=0.05, skew=0.0, kurtosis=3.0, periods=30),
        periods_per_year=365, landmarks={s: landmarks_of(f) for s, f in markets.items()},
        open_end=None if named else OpenEnd(choice=choice, candles=markets, daily=daily(frame, code)),
    )  # fmt: skip


@pytest.fixture
def ledger(tmp_path: Path) -> TrialLedger:
    return TrialLedger(tmp_path / "trials.sqlite", FixedClock(datetime(2026, 1, 1, tzinfo=UTC)))


def count(ledger: TrialLedger) -> int:
    return ledger.tries_on({"BTC/USDT": landmarks_of(candles(24 * 400))}, 365).trials


@pytest.mark.parametrize("grown", [[0], [1], [7, 100], [24, 24, 240]])
def test_a_run_whose_end_grew_is_no_new_trial(ledger: TrialLedger, grown: list[int]) -> None:
    assert ledger.record(trial(candles(HOURS)))
    for hours in np.cumsum(grown):
        assert not ledger.record(trial(candles(HOURS + int(hours))))
    assert count(ledger) == 1


@pytest.mark.parametrize(
    "other",
    [
        trial(candles(HOURS + 5), choice="another setting, or another start"),
        trial(candles(HOURS + 5), named=True),
        trial(candles(HOURS + 5), code=2),
        trial(candles(HOURS + 5, start="2024-01-02")),
        trial(candles(HOURS + 5).assign(close=lambda frame: frame["close"].where(frame.index != frame.index[3], 1.0))),
        trial(candles(HOURS - 5)),
        trial(candles(HOURS + 5), more={"ETH/USDT": candles(HOURS + 5, seed=3)}),
    ],
    ids=["setting", "named end", "code", "start", "data", "end before", "symbols"],
)  # fmt: skip
def test_whatever_else_differs_makes_a_new_trial(ledger: TrialLedger, other: Trial) -> None:
    assert ledger.record(trial(candles(HOURS)))
    assert ledger.record(other)
    assert len(ledger.table()) == 2


def test_an_end_between_two_known_ones_was_chosen(ledger: TrialLedger) -> None:
    for hours in (HOURS, HOURS + 100):
        ledger.record(trial(candles(hours)))
    assert ledger.record(trial(candles(HOURS + 50)))
    assert not ledger.record(trial(candles(HOURS)))  # the very same as the first
    assert not ledger.record(trial(candles(HOURS + 101)))
    assert count(ledger) == 2


def test_two_pasts_of_the_same_choice_grow_side_by_side(ledger: TrialLedger) -> None:
    for hours in (HOURS, HOURS + 30, HOURS + 60):
        for seed in (1, 2):
            ledger.record(trial(candles(hours, seed)))
    assert len(ledger.table()) == 2


def test_one_symbol_that_lags_behind_is_waited_for(ledger: TrialLedger) -> None:
    ledger.record(trial(candles(HOURS), more={"ETH/USDT": candles(HOURS - 40, seed=3)}))
    assert not ledger.record(trial(candles(HOURS + 1), more={"ETH/USDT": candles(HOURS - 40, seed=3)}))
    assert not ledger.record(trial(candles(HOURS + 2), more={"ETH/USDT": candles(HOURS + 2, seed=3)}))
    assert ledger.record(trial(candles(HOURS + 3), more={"ETH/USDT": candles(HOURS + 1, seed=3)}))


def test_days_that_only_the_rerun_saw_count_as_seen(ledger: TrialLedger) -> None:
    later = {"x": landmarks_of(candles(HOURS + 480).iloc[HOURS + 24 :])}
    ledger.record(trial(candles(HOURS)))
    assert ledger.tries_on(later, 365).trials == 0
    ledger.record(trial(candles(HOURS + 480)))
    assert ledger.tries_on(later, 365).trials == 1


def test_a_ledger_of_an_earlier_version_is_read_and_grows(ledger: TrialLedger) -> None:
    with sqlite3.connect(ledger.path) as old:
        old.executescript(_SCHEMA.removesuffix(SCHEMA))
        assert [row[0] for row in old.execute("SELECT name FROM sqlite_master WHERE type = 'table'")] == ["trials"]
    old.close()
    ledger.record(replace(trial(candles(HOURS)), open_end=None))  # as earlier versions wrote every run
    assert count(ledger) == 1
    assert ledger.record(trial(candles(HOURS + 1)))  # whether its end was named cannot be known any more
    assert not ledger.record(trial(candles(HOURS + 2)))
    assert not ledger.record(replace(trial(candles(HOURS)), open_end=None))
    assert count(ledger) == 2


def test_ends_stay_as_they_are(ledger: TrialLedger) -> None:
    ledger.record(trial(candles(HOURS)))
    with sqlite3.connect(ledger.path) as connection:
        for statement in ("DELETE FROM ends", "UPDATE ends SET choice = 'x'"):
            with pytest.raises(sqlite3.IntegrityError, match="only grows"):
                connection.execute(statement)
    connection.close()
