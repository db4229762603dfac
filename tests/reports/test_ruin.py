"""An account with nothing left is ruined, whatever ratio its returns would give; and a few days have no growth rate."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forwardtrader.core.types import Verdict
from forwardtrader.reports.artefacts import empty_equity
from forwardtrader.reports.statistics import metrics
from forwardtrader.reports.summary import RATIOS, summarise_strategy
from forwardtrader.reports.verdict import judge
from tests.reports.test_verdict import GOOD

NO_FILLS = pd.DataFrame(columns=["timestamp", "symbol", "side", "size", "price", "fee", "fee_currency", "slippage"])


def account(values: list[float]) -> pd.DataFrame:
    index = pd.date_range("2022-01-01", periods=len(values), freq="D", tz="UTC", name="timestamp")
    return pd.DataFrame({"equity": values, "cash": values, "exposure": 0.0}, index=index)


def test_a_ruined_account_has_its_loss_and_no_ratio() -> None:
    values = [10_000.0 * 1.01**day for day in range(60)] + [-92_500.0]
    summary = summarise_strategy(account(values), NO_FILLS, 365, start_equity=10_000.0)
    assert summary.ruined is not None
    assert f"{summary.ruined:%Y-%m-%d}" == "2022-03-02"
    assert summary.total_return == pytest.approx(-10.25)
    assert {name: getattr(summary, name) for name in RATIOS} == dict.fromkeys(RATIOS)


def test_an_account_at_zero_is_ruined_and_one_above_it_is_not() -> None:
    assert metrics.ruin(account([1.0, 0.0])["equity"]) == pd.Timestamp("2022-01-02", tz="UTC")
    assert metrics.ruin(account([1.0, 1e-9])["equity"]) is None
    assert metrics.ruin(empty_equity()["equity"]) is None


def test_ruin_is_the_verdict() -> None:
    verdict = judge(GOOD.__class__(**{**vars(GOOD), "ruined": "on 2022-03-02 00:00", "sharpe": np.nan, "smoothness": np.nan}))
    assert verdict.verdict is Verdict.NO_EDGE
    assert verdict.reasons[0] == "the account was ruined: nothing was left of it on 2022-03-02 00:00, where the run ended"


@pytest.mark.parametrize(("days", "shown"), [(1, False), (20, False), (40, True)])
def test_a_growth_rate_needs_a_month(days: int, shown: bool) -> None:
    summary = summarise_strategy(account([10_000.0 * 1.01 ** (day % 3) for day in range(days)]), NO_FILLS, 365, start_equity=9_900.0)
    assert (summary.cagr is not None) is shown
    assert summary.total_return is not None


def test_that_costs_were_in_the_way_is_said_of_our_rule_only() -> None:
    words = [judge(GOOD.__class__(**{**vars(GOOD), "bets": 0.0, "own_rule": own})).reasons[-2:] for own in (True, False)]
    assert any("no trade was worth its costs" in reason for reason in words[0])
    assert any(reason == "the strategy traded nothing" for reason in words[1])
