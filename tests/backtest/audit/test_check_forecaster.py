"""An honest forecaster passes every check; one that is not is told which one, and what to do."""

from __future__ import annotations

import itertools
import pickle
import re
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pytest

from forwardtrader import check_forecaster
from forwardtrader.__main__ import main
from forwardtrader.backtest.audit.check_forecaster import proved
from forwardtrader.backtest.audit.forecaster_bench import ForecasterBench
from forwardtrader.backtest.audit.forecaster_proofs import PROOFS
from forwardtrader.core.errors import CandleFileInvalid, ConfigError, ForecasterChecksFailed, TooLittleHistory
from forwardtrader.core.types import Timeframe
from forwardtrader.models.checks.look_ahead import LookAheadResult
from forwardtrader.models.forecasters.shipped.lightgbm_forecaster import LightGBMForecaster
from forwardtrader.models.port.base_forecaster import Answer, BaseForecaster, WarmStarting
from forwardtrader.models.port.sample_panel import SamplePanel
from tests.models.bars import simulated_bars

CANDLES = simulated_bars(420, seed=3, reversal=0.2)
NAMES = ("return_1_ago", "move_6", "volatility_24", "close_in_bar")


class Honest(BaseForecaster):
    """The last return times what it was worth on average."""

    def __init__(self, pull: float = 0.1) -> None:
        self.pull = pull

    def fit(self, panel: SamplePanel) -> Self:
        self.weight_ = float(panel.X[:, 0] @ panel.y) / (float(panel.X[:, 0] @ panel.X[:, 0]) + self.pull)
        return self

    def predict(self, panel: SamplePanel) -> Answer:
        return self.weight_ * panel.X[:, 0]


class KeepsOn(Honest, WarmStarting):
    def update(self, panel: SamplePanel) -> Self:
        self.weight_ = 0.5 * self.weight_ + 0.5 * Honest().fit(panel).weight_
        return self


class Drawing(Honest):
    """Some noise on the weight, by its seed."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    pull = 0.1

    def fit(self, panel: SamplePanel) -> Self:
        super().fit(panel)
        self.weight_ += 0.01 * float(np.random.default_rng(self.seed).normal())
        return self


class ManyKeywords(Honest):
    def __init__(self, **options: Any) -> None:
        self.options = options
        self.pull = 0.1


class WorksInInit(Honest):
    def __init__(self, pull: float = 0.1) -> None:
        self.pull = max(pull, 0.5)


class MoreInInit(Honest):
    def __init__(self, pull: float = 0.1) -> None:
        self.pull = pull
        self.cache: dict[str, float] = {}


class NoUnderscore(Honest):
    def fit(self, panel: SamplePanel) -> Self:
        self.rows = len(panel)
        return super().fit(panel)


class ChangesItsParameter(Honest):
    def fit(self, panel: SamplePanel) -> Self:
        self.pull = self.pull * 2
        return super().fit(panel)


class KeepsInTheClass(Honest):
    weight: ClassVar[float] = 0.0

    def fit(self, panel: SamplePanel) -> Self:
        type(self).weight = super().fit(panel).weight_
        return self

    def predict(self, panel: SamplePanel) -> Answer:
        return self.weight * panel.X[:, 0]


class WritesIntoThePanel(Honest):
    def fit(self, panel: SamplePanel) -> Self:
        panel.X.flags.writeable = True
        panel.X[:] = panel.X / panel.X.std()
        return super().fit(panel)


class TriesToWrite(Honest):
    def fit(self, panel: SamplePanel) -> Self:
        panel.X[:] = 0.0
        return self


class DrawsFreely(Honest):
    def fit(self, panel: SamplePanel) -> Self:
        super().fit(panel)
        self.weight_ += float(np.random.default_rng().normal())
        return self


class RemembersOtherFits(Honest):
    fits: ClassVar = itertools.count()
    seen: ClassVar[set[int]] = set()

    def fit(self, panel: SamplePanel) -> Self:
        self.seen.add(len(panel))
        super().fit(panel)
        self.weight_ += len(self.seen)
        return self


class IgnoresItsSeed(Drawing):
    def fit(self, panel: SamplePanel) -> Self:
        return Honest.fit(self, panel)


class CountsItsCalls(Honest):
    def predict(self, panel: SamplePanel) -> Answer:
        self.calls_ = getattr(self, "calls_", 0) + 1
        return self.weight_ * panel.X[:, 0] + 0.001 * (self.calls_ // 40)


class ForgetsToSave(Honest):
    def fit(self, panel: SamplePanel) -> Self:
        super().fit(panel)
        self._offset = 1.0
        return self

    def predict(self, panel: SamplePanel) -> Answer:
        return self.weight_ * panel.X[:, 0] + getattr(self, "_offset", 0.0)


class Pickles(Honest):
    def save(self, folder: Path) -> None:
        (folder / "model.bin").write_bytes(pickle.dumps(self.weight_))

    def load(self, folder: Path) -> Self:
        self.weight_ = pickle.loads((folder / "model.bin").read_bytes())
        return self


class NotANumber(Honest):
    def predict(self, panel: SamplePanel) -> Answer:
        return np.full(len(panel), np.nan)


class Diverges(Honest):
    def predict(self, panel: SamplePanel) -> Answer:
        return np.full(len(panel), 1e9)


class Raises(Honest):
    def fit(self, panel: SamplePanel) -> Self:
        raise ZeroDivisionError("no volume")


class DividesByTheMove(Honest):
    def fit(self, panel: SamplePanel) -> Self:
        super().fit(panel)
        self.weight_ /= float(np.abs(panel.y).sum())
        return self


class UpdatesNothing(KeepsOn):
    def update(self, panel: SamplePanel) -> Self:
        return self


def bench(forecaster: BaseForecaster) -> ForecasterBench:
    return ForecasterBench(forecaster, CANDLES, Timeframe.parse("1h"), (1,), NAMES)


@pytest.mark.parametrize("forecaster", [Honest(), KeepsOn(), Drawing(), LightGBMForecaster(n_estimators=5, min_data_in_leaf=20)])
def test_an_honest_one_passes_every_check(forecaster: BaseForecaster) -> None:
    report = check_forecaster(forecaster, CANDLES, features=NAMES)
    assert report.passed, str(report)


@pytest.mark.parametrize(
    ("kind", "check", "mend"),
    [
        (ManyKeywords, "parameters", "keyword of its own"),
        (WorksInInit, "parameters", "keep it as it was given"),
        (MoreInInit, "parameters", "do that in fit"),
        (NotANumber, "answers", "not finite"),
        (Diverges, "answers", "diverged"),
        (Raises, "answers", "test_check_forecaster.py:.* in fit: ZeroDivisionError: no volume"),
        (TriesToWrite, "answers", r"work on a copy, as panel.X.copy\(\)"),
        (NoUnderscore, "learned attributes", "rows_"),
        (ChangesItsParameter, "learned attributes", "pull_"),
        (KeepsInTheClass, "unfitted", "attributes of self"),
        (WritesIntoThePanel, "input unchanged", "X of the panel"),
        (DrawsFreely, "determinism", r"default_rng\(self.seed\)"),
        (RemembersOtherFits, "determinism", "any order"),
        (IgnoresItsSeed, "seed", "leave it out"),
        (ForgetsToSave, "restart", "save all that predict reads"),
        (Pickles, "restart", "model.bin is a pickle"),
        (DividesByTheMove, "still market", "finite|float division"),
        (UpdatesNothing, "warm start", "changes nothing"),
    ],
    ids=lambda each: each.__name__ if isinstance(each, type) else "",
)
def test_one_that_is_not_is_told_what_to_do(kind: type[BaseForecaster], check: str, mend: str) -> None:
    found = proved(check, bench(kind()))
    assert found.result is LookAheadResult.FAILED
    assert re.search(mend, found.detail), found.detail


def test_one_that_keeps_something_between_calls_is_found() -> None:
    found = [proved(name, bench(CountsItsCalls())) for name in ("truncation", "batch equals latest")]
    assert [proof.result for proof in found] == [LookAheadResult.FAILED] * 2


def test_the_report_can_be_raised_and_names_all_that_failed() -> None:
    with pytest.raises(ForecasterChecksFailed, match=r"NoUnderscore failed 1 of 14 checks: learned attributes: ") as failed:
        check_forecaster(NoUnderscore(), CANDLES, features=NAMES, raise_on_failure=True)
    assert isinstance(failed.value, AssertionError) and failed.value.exit_code == 2


def test_what_cannot_be_fitted_leaves_the_rest_untested() -> None:
    report = check_forecaster(Raises(), CANDLES, features=NAMES)
    assert {check.name for check in report.checks if check.result is LookAheadResult.NOT_TESTABLE} == set(list(PROOFS)[2:])
    assert not report.passed


def test_too_few_candles_name_how_many_are_needed() -> None:
    with pytest.raises(TooLittleHistory, match="at least"):
        check_forecaster(Honest(), CANDLES.iloc[:150], features=NAMES)
    with pytest.raises(CandleFileInvalid, match="two bars"):
        check_forecaster(Honest(), CANDLES.iloc[:1])


@pytest.mark.parametrize(("given", "told"), [(Honest, r"check_forecaster\(Honest\(\)\)"), (3, "int is no forecaster"), ("lstm", "--audit")])
def test_what_is_no_forecaster_is_told(given: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        check_forecaster(given, CANDLES)


def test_the_command_prints_the_report_and_ends_with_its_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    CANDLES.reset_index().to_csv(tmp_path / "candles.csv", index=False)
    named = [word for name in ("move_6", "return_1_ago") for word in ("--feature", name)]
    words = ["--data", str(tmp_path / "candles.csv"), "--timeframe", "1h", *named]
    assert main(["check-forecaster", "ridge", *words]) == 0
    assert "determinism" in capsys.readouterr().out
    file = tmp_path / "own_check.py"
    file.write_text(
        "import forwardtrader as ft\n"
        "class Mine(ft.LinearRidge):\n"
        "    def fit(self, panel):\n"
        "        self.n = 1\n"
        "        return super().fit(panel)\n"
    )
    assert main(["check-forecaster", f"{file}:Mine", *words]) == 2
    said = capsys.readouterr()
    assert "fit sets n; name what is learned with an underscore at the end: n_" in said.out
    assert said.err == "Mine failed learned attributes; see above\n"
