"""What a file of `--optimise` may say, and the one line that answers what it may not."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from forwardtrader.backtest.optimise.plan import OptimisationPlan, read_optimisation
from forwardtrader.backtest.sweep.file import read_plan
from forwardtrader.core.errors import ConfigError
from forwardtrader.core.settings import Settings


def plan(folder: Path, text: str) -> OptimisationPlan:
    (folder / "walk.yaml").write_text(text, encoding="utf-8")
    return read_optimisation(folder / "walk.yaml", Settings())


def test_a_file_of_a_sweep_will_do(tmp_path: Path) -> None:
    made = plan(tmp_path, "strategies.margin: [1, 2]\nstrategies.allow_short: [true, false]\n")
    assert (made.window, made.every, made.score) == (timedelta(days=730), timedelta(days=28), "sharpe")
    assert len(made.candidates()) == 4


def test_points_of_a_search_are_drawn_before_any_result_and_the_same_again(tmp_path: Path) -> None:
    text = "window: 90d\nevery: 2w\nscore: sortino\ntrials: 12\nseed: 3\n"
    text += "strategies.margin: {low: 1, high: 3}\nstrategies.max_exposure: [0.5, 1]\n"
    made = plan(tmp_path, text)
    assert (made.window, made.every, made.score) == (timedelta(days=90), timedelta(days=14), "sortino")
    assert made.candidates() == plan(tmp_path, text).candidates()
    assert len(made.candidates()) == 12


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names no setting"),
        ("window: 90d", "names no setting"),
        ("- 1", "must map settings to values"),
        ("a: [", "--optimise"),
        ("strategies.margn: [1]", "did you mean 'strategies.margin'"),
        ("strategy.fast: [1, 2]", "which --strategy names"),
        ("windw: 90d\nstrategies.margin: [1]", "windw: no such setting"),
        ("models.units: [8, 16]", "models.units cannot be chosen anew while an account runs"),
        ("risk.max_drawdown: [0.1, 0.2]", "cannot be chosen anew"),
        ("strategies.fee_bps: [0, 10]", "cannot be chosen anew"),
        ("strategies.horizon: [1, 4]", "cannot be chosen anew"),
        ("window: 36h\nstrategies.margin: [1, 2]", "window must be whole days, 20 at least"),
        ("window: 5d\nstrategies.margin: [1, 2]", "window must be whole days, 20 at least, not 5d"),
        ("every: 0d\nstrategies.margin: [1, 2]", "every must be whole days, 1 at least"),
        ("every: often\nstrategies.margin: [1, 2]", "'often' is not a span of time"),
        ("window: [1]\nstrategies.margin: [1, 2]", "is not a span of time"),
        ("score: sharp\nstrategies.margin: [1, 2]", "no score 'sharp'; did you mean 'sharpe'"),
        ("strategies.margin: {low: 0, high: 10, step: 0.005}", "2,001 points, and 1,000 can be chosen among"),
    ],
)
def test_a_mistake_is_one_line_with_exit_code_2(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        plan(tmp_path, text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_missing_file_is_named_with_its_flag(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--optimise .*there is no such file"):
        read_optimisation(tmp_path / "none.yaml", Settings())


def test_a_sweep_says_whose_keys_these_are(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text("window: 90d\nstrategies.margin: [1, 2]\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="window is for --optimise"):
        read_plan(tmp_path / "sweep.yaml", Settings())
