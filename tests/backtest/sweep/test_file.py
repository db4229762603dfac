"""What a sweep file may say, and the one line that answers what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from forwardtrader.backtest.sweep.file import SweepPlan, parameter, read_plan
from forwardtrader.core.errors import ConfigError
from forwardtrader.core.settings import Settings


def plan(folder: Path, text: str) -> SweepPlan:
    path = folder / "sweep.yaml"
    path.write_text(text, encoding="utf-8")
    return read_plan(path, Settings())


def test_a_grid_is_every_combination(tmp_path: Path) -> None:
    made = plan(tmp_path, "strategies.margin: [1, 2]\nmodels.units: [8, 16, 32]\n")
    assert made.trials is None
    assert len(made.grid()) == 6
    assert made.grid()[1] == {"strategies.margin": 1, "models.units": 16}


def test_a_range_with_a_step_is_a_list(tmp_path: Path) -> None:
    assert plan(tmp_path, "strategies.margin: {low: 0.1, high: 0.3, step: 0.1}").axes[0].choices == (0.1, 0.2, 0.3)
    assert plan(tmp_path, "models.units: {low: 8, high: 24, step: 8}").axes[0].choices == (8, 16, 24)


def test_a_search_knows_whole_numbers_from_others_by_the_setting(tmp_path: Path) -> None:
    made = plan(tmp_path, "trials: 5\nseed: 7\nmodels.units: {low: 8, high: 64, log: true}\nstrategies.margin: {low: 1, high: 3}\n")
    assert (made.trials, made.seed) == (5, 7)
    assert [axis.whole for axis in made.axes] == [True, False]


def test_spans_and_switches_are_listed(tmp_path: Path) -> None:
    made = plan(tmp_path, "models.train_window: [365d, 730d]\nstrategies.allow_short: {choices: [true, false]}\n")
    assert len(made.grid()) == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names no setting to sweep over"),
        ("- 1", "must map settings to values"),
        ("a: [", "is not valid YAML (line 1)"),
        ("strategies.margn: [1]", "did you mean 'strategies.margin'"),
        ("trails: 3\nstrategies.margin: [1]", "did you mean 'trials'"),
        ("models.jobs: [1, 2]", "decides nothing about a result"),
        ("reports.output: [a, b]", "decides nothing about a result"),
        ("strategies.margin: []", "has no values"),
        ("strategies.margin: 1", "has no values"),
        ("strategies.margin: [1, 1]", "lists 1 twice"),
        ("strategies.margin: [1, -1]", "strategies.margin"),
        ("models.units: [many]", "models.units"),
        ("strategies.margin: {low: 1, high: 2}", "a grid needs a step"),
        ("trials: 3\nstrategies.margin: {low: 2, high: 1}", "low must lie below high"),
        ("trials: 3\nstrategies.margin: {low: 0, high: 1, log: true}", "above zero"),
        ("trials: 3\nstrategies.margin: {low: 1, hihg: 2}", "did you mean 'high'"),
        ("trials: 3\nmodels.units: {low: 1.5, high: 3}", "models.units is a whole number"),
        ("trials: 3\nmodels.train_window: {low: 90d, high: 365d}", "list other values one by one"),
        ("trials: 0\nstrategies.margin: [1]", "trials must be a whole number of at least 1"),
        ("strategies.margin: {low: 0, high: 100, step: 0.001}", "asks for 100,001 points"),
    ],
)
def test_a_mistake_is_one_line_with_exit_code_2(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        plan(tmp_path, text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file"):
        read_plan(tmp_path / "none.yaml", Settings())


STRATEGY = "import backtrader as bt\nclass Mine(bt.Strategy):\n    params = (('fast', 10), ('eager', False), ('levels', (1, 2)))\n"


def swept(folder: Path, text: str) -> SweepPlan:
    """A sweep of the user's strategy."""
    (folder / "swept_strategy.py").write_text(STRATEGY, encoding="utf-8")
    (folder / "sweep.yaml").write_text(text, encoding="utf-8")
    return read_plan(folder / "sweep.yaml", Settings(), f"{folder / 'swept_strategy.py'}:Mine")


@pytest.mark.parametrize("prefix", ["strategy", "param"])
def test_parameters_of_the_users_strategy_are_swept(tmp_path: Path, prefix: str) -> None:
    text = f"{prefix}.fast: [5, 20]\n{prefix}.eager: [true, false]\nstrategies.fee_bps: [1, 2]\n"
    points = swept(tmp_path, text).grid()
    assert len(points) == 8
    assert points[0] == {f"{prefix}.fast": 5, f"{prefix}.eager": True, "strategies.fee_bps": 1}
    assert {parameter(key) for key in points[0]} == {"fast", "eager", ""}


def test_a_parameter_may_be_a_range_or_a_tuple(tmp_path: Path) -> None:
    assert swept(tmp_path, "strategy.fast: {low: 5, high: 15, step: 5}\nstrategy.levels: [[1, 2], [3]]\n").axes[0].choices == (5, 10, 15)
    assert swept(tmp_path, "trials: 3\nstrategy.fast: {low: 5, high: 50, log: true}\n").axes[0].whole


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("strategy.fats: [1]", "strategy.fats: Mine has no such parameter; did you mean 'fast'"),
        ("strategy.fast: [quick]", "strategy.fast=quick: the default is 10, and 'quick' is nothing of that kind"),
        ("strategy.eager: [1]", "nothing of that kind"),
        ("strategy.fast: [5]\nparam.fast: [6]", "strategy.fast and param.fast are the same parameter"),
        ("strategy.: [5]", "no such setting"),
    ],
)
def test_a_wrong_parameter_is_named_as_it_stands_in_the_file(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        swept(tmp_path, text)
    assert words in str(caught.value)
    assert "--param" not in str(caught.value)


def test_parameters_without_a_strategy_are_told_what_they_are_of(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"which --strategy names; did you mean 'strategies.margin'"):
        plan(tmp_path, "strategy.margin: [1, 2]")
