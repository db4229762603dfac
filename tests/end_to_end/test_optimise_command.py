"""`--optimise` on the sample market with small models: one account of all choices, each made on the past alone, every look counted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forwardtrader.backtest import shifted_runs
from forwardtrader.backtest.cli import command
from forwardtrader.backtest.sweep import bench as sweep_bench
from forwardtrader.core.clock import FixedClock
from forwardtrader.reports.trial_ledger import TrialLedger
from tests.end_to_end.small_run import CLOCK, WORDS
from tests.end_to_end.test_sweep_command import CROSSING

PLAIN = [*WORDS, "--baselines", "none", "--quiet"]
WALK = "window: 28d\nevery: 14d\n"
OURS = WALK + "strategies.margin: [0.2, 1, 4]\nstrategies.premium: [0, 1]\n"
YOURS = WALK + "strategy.fast: [4, 9, 60]\nstrategy.slow: [20, 60]\n"
CROSS = ["--strategy", "optimised_crossing.py:Crossing"]


def optimise(text: str, *more: str, clock: FixedClock = CLOCK) -> int:
    Path("walk.yaml").write_text(text, encoding="utf-8")
    Path("optimised_crossing.py").write_text(CROSSING, encoding="utf-8")
    return command([*PLAIN, "--optimise", "walk.yaml", *more], clock)


def told() -> dict:
    """The newest `run.json`."""
    found = max(Path("reports/output").glob("*/run.json"), key=lambda path: path.stat().st_mtime_ns)
    return json.loads(found.read_text(encoding="utf-8")) | {"folder": found.parent}


def chosen(run: dict, until: str = "9") -> list[tuple[str, str, float]]:
    """What was chosen at each boundary before a day."""
    rows = run["optimisation"]["choices"]
    return [(row["since"], row["flags"], row["in_sample"]) for row in rows if row["boundary"] < until]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One place for all tests, so that models are trained once."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(shifted_runs, "SHIFTS", 9)
        yield folder


@pytest.fixture(autouse=True)
def _there(home: Path) -> None:
    """Every test works in that place."""


def test_the_choices_are_one_run_with_its_page_its_trials_and_its_stability() -> None:
    assert optimise(OURS) == 0
    run = told()
    found = run["optimisation"]
    assert (found["points"], len(found["choices"])) == (6, 4)
    assert found["trials"] == 24
    assert run["strategy"]["trials"] == 25
    assert run["strategy"]["dsr"] is not None or run["strategy"]["sharpe"] is None
    assert run["strategy"]["pbo"] is not None
    assert set(found["spread"]) == {"strategies.margin", "strategies.premium"}
    assert found["choices"][0]["since"].startswith("2024-04-20T00:00")
    assert all(row["since"] > row["boundary"] for row in found["choices"][1:])
    assert 1.0 <= run["strategy"]["effective_trials"] < 8.0
    page = (run["folder"] / "index.html").read_text(encoding="utf-8")
    assert "Parameters over time" in page and all(f'"id":"parameter:{key}"' in page for key in found["spread"])
    assert found["choices"][-1]["flags"] in page


def test_giving_it_again_computes_no_point_and_counts_no_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    first = told()
    monkeypatch.setattr(sweep_bench, "trade_point", None)
    assert optimise(OURS, "--name", "again") == 0
    assert told()["fingerprints"] == first["fingerprints"]
    assert told()["strategy"]["trials"] == first["strategy"]["trials"]


@pytest.mark.slow
def test_choices_of_a_users_strategy_are_the_same_with_the_future_cut_off_and_so_is_the_account() -> None:
    assert optimise(YOURS, *CROSS, "--param", "slow=33") == 0
    whole = told()
    assert whole["optimisation"]["points"] == 4
    assert list(whole["optimisation"]["left_out"]) == ["--param fast=60 --param slow=20", "--param fast=60 --param slow=60"]
    assert optimise(YOURS, *CROSS, "--param", "slow=33", "--to", "2024-05-16") == 0
    part = told()
    assert chosen(part) == chosen(whole, "2024-05-16")
    assert len(chosen(part)) >= 2
    curves = [pd.read_parquet(run["folder"] / "equity.parquet") for run in (whole, part)]
    known = curves[1].index if isinstance(curves[1].index, pd.DatetimeIndex) else curves[1]["timestamp"]
    np.testing.assert_array_equal(curves[0]["equity"].iloc[: len(known)], curves[1]["equity"])


@pytest.mark.parametrize(
    ("text", "more", "said"),
    [
        (OURS, ["--sweep", "walk.yaml"], "--optimise, --sweep and --audit are separate commands"),
        (
            "window: 400d\n" + OURS.split("\n", 1)[1],
            ["--set", "feeds.sample_seed=0", "--from", "2019-02-10", "--to", "2019-03-01"],
            "set a shorter window",
        ),
        (WALK + "strategy.fast: [70, 80]\n", CROSS, "fast must be below slow"),
        (WALK + "strategy.fats: [7]\n", CROSS, "did you mean 'fast'"),
        ("", [], "names no setting"),
    ],
)
def test_what_cannot_end_well_is_one_line(text: str, more: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert optimise(text, *more) == 2
    line = capsys.readouterr().err.strip()
    assert said in line
    assert "\n" not in line


def test_a_point_is_one_row_of_the_ledger_that_says_how_often_it_was_looked_at() -> None:
    table = TrialLedger(Path("reports/output/trials.sqlite")).table()
    assert set(table["looks"]) >= {1, 4}


@pytest.mark.slow
def test_an_optimisation_without_an_end_is_no_new_trial_a_day_later() -> None:
    table = TrialLedger(Path("reports/output/trials.sqlite")).table()
    assert optimise(OURS, clock=FixedClock(CLOCK.at + timedelta(days=1))) == 0
    assert len(TrialLedger(Path("reports/output/trials.sqlite")).table()) == len(table)
