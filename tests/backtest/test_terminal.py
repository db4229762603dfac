"""The summary on a terminal of 80 columns: nothing cut, nothing broken into lines."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from forwardtrader.backtest.job import FinishedRun
from forwardtrader.backtest.terminal import show
from forwardtrader.reports.manifest import StrategySummary
from forwardtrader.reports.sections.forecasts import DieboldMariano, SymbolForecast
from tests.reports import simulated

WIDE = {
    "total_return": 123.456, "cagr": 3.625, "sharpe": -10.25, "max_drawdown": -0.999, "volatility": 1.234, "trades": 12_345,
    "turnover": 1234.5, "exposure": 1.0,
}  # fmt: skip


def shown(width: int = 80) -> list[str]:
    run = simulated.run(200)
    forecast = next(iter(run.manifest.forecast.values()))
    assert forecast.lstm is not None
    scores = forecast.lstm.model_copy(update={"n": 32_133, "rank_ic": -0.123, "loss_skill": -0.1234})
    names = ("zero", "reversal", "momentum", "ridge", "huber_linear", "lightgbm", "majority")
    told = SymbolForecast(
        lstm=scores,
        baselines=dict.fromkeys(names, scores),
        diebold_mariano={n: DieboldMariano(statistic=-1.0, p=1e-300 if n == "zero" else 0.123) for n in names},
    )
    summary = StrategySummary.model_validate(WIDE)
    benchmark = dict.fromkeys(("buy_and_hold", "volatility_targeted", "random_entries"), summary)
    manifest = run.manifest.model_copy(update={"forecast": {"BTC/USDT": told}, "strategy": summary, "benchmark": benchmark})
    out = StringIO()
    show(FinishedRun(Path("out"), replace(run, manifest=manifest)), Console(file=out, width=width, highlight=False))
    return out.getvalue().splitlines()


def test_the_tables_fit_eighty_columns() -> None:
    lines = shown()
    assert max(map(len, lines)) <= 80
    assert not any("…" in line for line in lines)
    for name in ("lstm", "huber_linear", "majority", "strategy", "buy and hold", "vol. target", "at random"):
        assert sum(line.startswith(name) for line in lines) == 1, name


def test_a_p_value_is_never_shown_as_zero() -> None:
    ends = {line.split()[0]: line.split()[-1] for line in shown() if line.startswith(("zero", "ridge"))}
    assert ends == {"zero": "<0.001", "ridge": "0.123"}


@pytest.mark.parametrize("header", ["rank IC", "hit rate", "top 10%", "skill", "90% band", "DM p", "drawdown", "trades", "turns", "held"])
def test_no_header_is_broken(header: str) -> None:
    assert any(header in line for line in shown())
