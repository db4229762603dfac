"""What features add, in a run: on its page, on the terminal, in `run.json` and as a table for notebooks."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pytest

import forwardtrader as ft
from forwardtrader.backtest.command_line import read_request
from forwardtrader.core.errors import ConfigError, InvalidSetting
from forwardtrader.models.checks.null_market import planted_market
from forwardtrader.reports import manifest
from forwardtrader.reports.pages.run_page import render_run_page
from tests.backtest.importance.test_measurement import OWN
from tests.end_to_end.small_run import CLOCK, small_run
from tests.models.bars import simulated_bars

ASKED = (
    "--from",
    "2024-05-14",
    "--forecaster",
    f"{OWN}:Quick",
    "--baselines",
    "none",
    "--set",
    f"models.features=[volume_now,move_6,{OWN}:last_digits]",
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a run that was asked what its features add, and what it printed."""
    home = tmp_path_factory.mktemp("importance")
    with contextlib.chdir(home), contextlib.redirect_stdout(io.StringIO()) as said:
        assert small_run(*ASKED, "--importance", "refit") == 0
    return next((home / "reports/output").glob("*/run.json")).parent, said.getvalue()


def test_the_page_and_the_file_hold_it(run: tuple[Path, str]) -> None:
    folder, _ = run
    found = manifest.read(folder).importance
    assert found is not None and found.draws == 3 and "importance" in manifest.read(folder).timing_s
    assert {row.name for row in found.features} == {"volume_now", "move_6", "last_digits"}
    assert {row.name for row in found.refit} == {"volume", "moves", "own last_digits"} == {row.name for row in found.groups}
    page = render_run_page(folder).read_text(encoding="utf-8")
    for part in ("What features add", found.sentence, "All 3 features", "Models trained anew without a group", 'class="whisker"'):
        assert part in page


def test_the_terminal_says_how_many_add_nothing(run: tuple[Path, str]) -> None:
    folder, said = run
    found = manifest.read(folder).importance
    assert found is not None
    idle = sum(not row.adds for row in found.features)
    assert f"{idle} of 3 features add nothing by themselves" in said and "last_digits" in said


def test_a_run_that_was_not_asked_has_none(run: tuple[Path, str]) -> None:
    folder, _ = run
    plain = manifest.read(folder).model_copy(update={"importance": None})
    manifest.write(folder, plain)
    assert "What features add" not in render_run_page(folder).read_text(encoding="utf-8")
    manifest.write(folder, plain.model_copy(update={"not_computed": {"importance": "100 forecasts, fewer than the 250 needed"}}))
    assert "Not computed: 100 forecasts, fewer than the 250 needed." in render_run_page(folder).read_text(encoding="utf-8")


@pytest.mark.parametrize("other", [("--audit",), ("--sweep", "grid.yaml"), ("--optimise", "grid.yaml")])
def test_it_belongs_to_a_plain_run(other: tuple[str, ...]) -> None:
    with pytest.raises(InvalidSetting, match="--importance belongs to a plain run"):
        read_request(["--from", "2024-01-01", "--importance", *other], CLOCK)
    assert read_request(["--from", "2024-01-01", "--importance"], CLOCK).importance == "permutation"
    with pytest.raises(ConfigError, match="permutation"):
        read_request(["--from", "2024-01-01", "--importance", "shap"], CLOCK)


def test_a_notebook_has_it_as_a_table(tmp_path: Path) -> None:
    candles = planted_market(simulated_bars(24 * 100), 0.3, 0).bars
    knobs = {"features": ["volume_now", "week_cos", f"{OWN}:last_digits"], "save_path": str(tmp_path)}
    walk = ft.WalkForward(f"{OWN}:Quick", train_window="40d", retrain_every="14d", horizons=(1,), **knobs).fit(candles)
    table = walk.importance(draws=1)
    assert table.loc[("feature", "volume_now"), "adds"] and not table.loc[("group", "own last_digits"), "adds"]
    assert (table["loss_low"] <= table["loss"]).all() and (table["loss"] <= table["loss_high"]).all()
    assert set(walk.importance(draws=1, refit=True).index.get_level_values("kind")) == {"feature", "group", "refit"}
