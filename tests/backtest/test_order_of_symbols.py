"""The order in which symbols are named is no choice: the same models, decisions and fills, and one trial."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from forwardtrader.backtest.job import judge_market
from forwardtrader.backtest.market_data import load_markets
from forwardtrader.backtest.request import BacktestRequest
from forwardtrader.core.clock import FixedClock
from forwardtrader.core.config import changed
from forwardtrader.core.settings import Settings

CLOCK = FixedClock(datetime(2024, 3, 1, tzinfo=UTC))
SPOT, PERPETUALS = ("BTC/USDT", "ETH/USDT", "SOL/USDT"), ("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT")


def traded(symbols: tuple[str, ...], folder: Path) -> tuple[pd.DataFrame, pd.DataFrame, int]:
    """Fills, equity, and how many trials there are now."""
    settings = changed(
        Settings(),
        {
            "models.forecaster": "tests.models.own_forecasters:Ridge", "models.seeds": 1, "models.train_window": "40d",
            "models.retrain_every": "56d", "models.horizons": [1, 8], "models.baselines": ["none"], "models.jobs": 1,
            "models.save_path": str(folder / "models"), "reports.ledger_path": str(folder / "trials.sqlite"), "feeds.source": "sample",
            "feeds.symbols": list(symbols), "strategies.horizon": 8, "strategies.margin": 0.2, "strategies.min_trade": 0.1,
        },
    )  # fmt: skip
    request = BacktestRequest(settings=settings, first=datetime(2024, 2, 1, tzinfo=UTC), last=CLOCK.at, quiet=True)
    run, judgement = judge_market(request, load_markets(request, CLOCK), CLOCK, in_full=False)
    return run.fills, run.equity, int(judgement.strategy["trials"])


@pytest.mark.parametrize("symbols", [SPOT, pytest.param(PERPETUALS, marks=pytest.mark.slow)])
def test_symbols_in_another_order_make_the_same_run(symbols: tuple[str, ...], tmp_path: Path) -> None:
    first, second, third = symbols
    fills, equity, trials = traded(symbols, tmp_path)
    same_fills, same_equity, still = traded((third, first, second), tmp_path)
    assert len(fills) > 5
    shown = ["timestamp", "symbol", "side", "size"]
    key = {"by": ["timestamp", "symbol"], "kind": "stable", "ignore_index": True}
    pd.testing.assert_frame_equal(fills[shown].sort_values(**key), same_fills[shown].sort_values(**key), rtol=1e-12)
    pd.testing.assert_series_equal(equity["equity"], same_equity["equity"], rtol=1e-12)
    assert (trials, still) == (1, 1)
    assert traded((first, second), tmp_path)[2] == 2
