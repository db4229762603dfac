"""Forecasters that go wrong are caught in their fold, named with it, and leave nothing behind."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from forwardtrader.core.errors import ConfigError, ForecasterFailed, ModelError, NotTrained, TrainingDiverged
from forwardtrader.core.settings import ModelSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.models.folds import retrain
from forwardtrader.models.folds.walk import WalkForward, walk_forward
from forwardtrader.models.registry.store import ModelRegistry
from tests.models.bars import simulated_bars
from tests.models.folds import test_walk

HOUR = Timeframe.parse("1h")
FIRST, LAST = datetime(2020, 3, 6, tzinfo=UTC), datetime(2020, 3, 26, tzinfo=UTC)
BARS = simulated_bars(24 * 86, reversal=0.25)
NAMES = ("return_1_ago", "return_2_ago", "move_6", "volatility_24")
HEAD = """
import numpy as np, warnings, sys, threading
import forwardtrader as ft
class Mine(ft.BaseForecaster):
    def __init__(self, seed=0, size=1.0):
        self.seed, self.size = seed, size
    def fit(self, panel):
        self.mean_ = float(panel.y.mean())
        return self
    def predict(self, panel):
        return self.size * panel.X[:, 0]
"""
_number = iter(range(1000))


def run(folder: Path, code: str = HEAD, **changes: object) -> WalkForward:
    """A walk of a few folds with the class `Mine` of a user's file."""
    folder.mkdir(exist_ok=True)
    file = folder / f"mine_{next(_number)}.py"
    file.write_text(code)
    return walk(folder, forecaster=f"{file}:Mine", **changes)


def walk(folder: Path, **changes: object) -> WalkForward:
    small = {"horizons": (1,), "seeds": 1, "train_window": "30d", "retrain_every": "7d", "save_path": str(folder / "models"), "jobs": 1}
    settings = ModelSettings.model_validate({**small, **changes})
    return walk_forward({"A/USD": BARS}, FIRST, LAST, settings=settings, timeframe=HOUR, features=NAMES)


def instead(old: str, new: str) -> str:
    assert old in HEAD
    return HEAD.replace(old, new)


@pytest.fixture(autouse=True)
def _path() -> Iterator[None]:
    """A user's folder is looked for modules in."""
    before = list(sys.path)
    yield
    sys.path[:] = before


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (instead("return self.size", "return np.nan"), "finite"),
        (instead("return self.size", "return np.inf"), "finite"),
        (instead("panel.X[:, 0]", "panel.X"), "shape"),
        (instead("panel.X[:, 0]", "panel.X[1:, 0]"), "shape"),
        (instead("return self.size * panel.X[:, 0]", "return panel.X[:, :1] + np.array([0, 1, -1, 2, 3])"), "cross"),
        (instead("return self.size * panel.X[:, 0]", "return panel.X[:, 0], -np.ones(len(panel))"), "scale"),
        (instead("return self.size * panel.X[:, 0]", "return None"), "answer|number|float"),
        (instead("return self.size * panel.X[:, 0]", "return 'up'"), "of type <U2"),
        (instead("return self.size * panel.X[:, 0]", "return np.random.default_rng().normal(size=len(panel))"), "second time"),
        (instead("        return self\n", "        return None\n"), "return self"),
        (instead("self.mean_ =", "panel.features[0] = 1.0; self.mean_ ="), "read-only"),
        (instead("self.mean_ =", "panel.features.flags.writeable = True; self.mean_ ="), "WRITEABLE"),
        (instead("self.mean_ =", "raise KeyError('price')  #"), r"mine_\d+.py:8 in fit: KeyError: 'price'"),
        (instead("self.mean_ =", "sys.exit(3)  #"), "SystemExit"),
        (instead("self.size = seed, size", "self.size = seed, size; self.other_ = 3").replace("self.size *", "self.absent_ *"), "absent_"),
        (instead("float(panel.y.mean())", "lambda x: x"), "function"),
    ],
    ids=[
        *("nan", "infinite", "wide", "short", "crossed", "negative", "nothing", "text", "drawn", "no-self", "writes", "writes-by-force"),
        *("raises", "exits", "unlearned", "pickle"),
    ],
)  # fmt: skip
def test_it_ends_in_one_line_with_class_and_fold_and_saves_nothing(tmp_path: Path, code: str, told: str) -> None:
    with pytest.raises(ForecasterFailed, match=told) as failed:
        run(tmp_path, code)
    assert "\n" not in str(failed.value)
    assert "Mine, fold 2020-" in str(failed.value)
    assert failed.value.exit_code == 2
    assert not list((tmp_path / "models").glob("*/card.json"))
    assert not list((tmp_path / "models").glob("*/forecaster"))


@pytest.mark.parametrize("size", [1e4, 1e30])
def test_one_that_is_far_from_anything_is_no_model(tmp_path: Path, size: float) -> None:
    with pytest.raises(TrainingDiverged, match=r"Mine, fold 2020-\d\d-\d\d of A/USD: the training diverged"):
        run(tmp_path, params={"size": size})
    assert not list((tmp_path / "models").glob("*/card.json"))


def test_a_network_that_diverges_is_no_model_and_is_told_with_its_fold(tmp_path: Path) -> None:
    settings = test_walk.knobs(tmp_path / "models", learning_rate=10_000, train_window="30d")
    with pytest.raises(TrainingDiverged, match=r"lstm, fold 2020-\d\d-\d\d of A/USD: the training diverged") as failed:
        walk_forward(
            {"A/USD": test_walk.BARS}, test_walk.FIRST, test_walk.LAST, settings=settings, timeframe=HOUR, features=test_walk.NAMES
        )
    assert failed.value.exit_code == 2
    assert not list((tmp_path / "models").glob("*/card.json"))


@pytest.mark.parametrize("size", [1e4, float("nan")])
def test_a_retraining_that_goes_wrong_ends_in_one_line_and_leaves_no_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], size: float
) -> None:
    """What the child of a session does; the session tells its last line, and the model in force stays."""
    (tmp_path / "mine.py").write_text(HEAD.replace("self.size *", f"float('{size}') *"))
    small = {"horizons": (1,), "seeds": 1, "train_window": "30d", "retrain_every": "7d", "forecaster": f"{tmp_path / 'mine.py'}:Mine"}
    settings = ModelSettings.model_validate({**small, "save_path": str(tmp_path / "models")})
    BARS.to_parquet(tmp_path / "candles.parquet")
    request = {"candles": {"A/USD": str(tmp_path / "candles.parquet")}, "boundary": "2020-03-20T00:00:00+00:00", "timeframe": "1h"}
    (tmp_path / "request.json").write_text(json.dumps(request | {"settings": settings.model_dump(mode="json")}))
    assert retrain.main(["--request", str(tmp_path / "request.json")]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "Mine, fold 2020-03-20 of A/USD" in said.err.strip().splitlines()[-1]
    assert ModelRegistry(tmp_path / "models").cards() == []


def test_a_failure_in_a_late_fold_leaves_the_finished_ones_and_nothing_half_saved(tmp_path: Path) -> None:
    code = instead("self.mean_ =", "assert not panel.targets[0] == Mine.last; self.mean_ =") + "Mine.last = None\n"
    whole = run(tmp_path / "a", code)
    late = whole.panel.targets[whole.served[2].fold["A/USD"].train_first, 0]
    with pytest.raises(ForecasterFailed, match=f"Mine, fold {whole.served[2].fold['A/USD'].boundary:%Y-%m-%d} of A/USD: .*AssertionError"):
        run(tmp_path / "b", code.replace("Mine.last = None", f"Mine.last = np.float32({float(late)!r})"))
    assert len(list((tmp_path / "b" / "models").glob("*/card.json"))) == 2
    folders = {path.parent for path in (tmp_path / "b" / "models").glob("*/forecaster")}
    assert folders == {path.parent for path in (tmp_path / "b" / "models").glob("*/card.json")}


def test_what_one_fold_leaves_behind_in_the_class_does_not_reach_another(tmp_path: Path) -> None:
    """Folds are fitted from clones; a run over fewer of them gives the same models."""
    code = instead("self.mean_ =", "self.mean_ = self.__dict__.get('mean_', 0.0) + 0.0 *")
    whole, part = (run(tmp_path / name, code) for name in "ab")
    assert [s.raw["A/USD"].tobytes() for s in whole.served] == [s.raw["A/USD"].tobytes() for s in part.served]


def test_prints_warnings_and_threads_do_no_harm(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    noisy = "print('fitting'); warnings.warn('slow'); t = threading.Thread(target=len, args=('',)); t.start(); t.join(); self.mean_ ="
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        noisy_walk = run(tmp_path / "a", instead("self.mean_ =", noisy))
    assert "fitting" in capfd.readouterr().out
    quiet = run(tmp_path / "b")
    assert [s.raw["A/USD"].tobytes() for s in noisy_walk.served] == [s.raw["A/USD"].tobytes() for s in quiet.served]


def test_an_unknown_parameter_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"models.params.sise: .*did you mean 'size'"):
        run(tmp_path, params={"sise": 2.0})


def test_a_file_that_is_edited_while_a_session_runs_is_read_as_it_was_imported(tmp_path: Path) -> None:
    file = tmp_path / "edited.py"
    file.write_text(HEAD)
    first = walk(tmp_path, forecaster=f"{file}:Mine")
    file.write_text(instead("self.size *", "2.0 * self.size *"))
    again = walk(tmp_path, forecaster=f"{file}:Mine")
    assert all(served.cached for served in again.served)
    assert again.network(first.served[0].card.model_id).members[0]


def test_a_model_of_a_file_that_was_edited_since_is_not_read_by_it(tmp_path: Path) -> None:
    kept = run(tmp_path).served[0].card
    file = tmp_path / f"mine_{next(_number)}.py"
    file.write_text(instead("self.size *", "2.0 * self.size *"))
    settings = ModelSettings.model_validate({"forecaster": f"{file}:Mine", "save_path": str(tmp_path / "models")})
    with pytest.raises(NotTrained, match="as it was then"):
        ModelRegistry.of(settings).network(kept.model_id)
    assert issubclass(NotTrained, ModelError)


def test_raw_forecasts_of_a_sound_one_are_numbers(tmp_path: Path) -> None:
    assert all(np.isfinite(served.raw["A/USD"]).all() for served in run(tmp_path).served)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (instead("float(panel.y.mean())", "{1: 2.0}").replace("self.size *", "self.mean_[1] *"), "does not forecast: .*KeyError: 1"),
        (instead("float(panel.y.mean())", "(1.0,)").replace("self.size *", "(self.mean_ + (3.0,))[0] *"), "does not forecast: .*TypeError"),
        (instead("self.mean_ =", "self.mean =").replace("self.size *", "self.mean *"), "no attribute 'mean'"),
        (instead("self.mean_ =", "self.size = 3.0; self.mean_ ="), "forecasts other numbers"),
        (
            instead(
                "        return self\n", "        from forwardtrader.models.port.names import shipped; return shipped('zero').fit(panel)\n"
            ),
            "other",
        ),
        (HEAD + "    def save(self, folder):\n        pass\n    def load(self, folder):\n        pass\n", "Mine.load answered NoneType"),
        (
            HEAD + "    def save(self, folder):\n        pass\n    def load(self, folder):\n        self.size = 2.0\n        return self\n",
            "other",
        ),
    ],
    ids=["numbers as keys", "a tuple", "no underscore", "a parameter", "another class", "load of nothing", "load of another"],
)
def test_what_a_later_run_would_read_otherwise_is_no_model(tmp_path: Path, code: str, told: str) -> None:
    with pytest.raises(ForecasterFailed, match=f"Mine, fold 2020-02-29 of A/USD: .*after save and load.*{told}.*keep what predict uses"):
        run(tmp_path, code)
    assert not list((tmp_path / "models").glob("*/card.json"))


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (HEAD + "    warm_up = 0\n", "warm_up is 0; it is a whole number"),
        (HEAD + "    warm_up = 3.0\n", "warm_up is 3.0; it is a whole number"),
        (HEAD + "    rows_per_call = 'all'\n", "rows_per_call is 'all'"),
        (HEAD + "    shrink = float('nan')\n", "shrink is nan; it is the share"),
        (HEAD + "    features = 'move_6'\n", "features is 'move_6'; it is a list of names"),
        (HEAD + "    predict = 3\n", "Mine.predict is 3; define it as a method"),
        (instead("fit(self, panel)", "fit(self, panel, y)"), r"as in def fit\(self, panel\); missing a required argument: 'y'"),
        (instead("size=1.0", "size").replace("seed=0, size", "size, seed=0"), "needs its parameter size; set models.params.size"),
    ],
)
def test_what_it_says_of_itself_is_seen_before_anything_is_fitted(tmp_path: Path, code: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        run(tmp_path, code)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("['0.1'] * len(panel)", "of type <U3; answer numbers"),
        ("panel.X[:, 0] > 0", "of type bool; answer numbers"),
        ("panel.X[:, 0] + 1j", "of type complex"),
        ("np.ma.masked_array(panel.X[:, 0], mask=panel.X[:, 0] > 0)", "a part is masked"),
        ("(panel.X[:, 0],) * 3", "a tuple of 3; a tuple has location and scale"),
    ],
)
def test_answers_that_only_look_like_numbers_are_refused(tmp_path: Path, answer: str, told: str) -> None:
    with pytest.raises(ForecasterFailed, match=f"Mine, fold 2020-02-29 of A/USD: Mine.predict: .*{told}"):
        run(tmp_path, instead("self.size * panel.X[:, 0]", answer))


def test_what_one_does_to_the_process_does_not_reach_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = np.geterr()
    run(tmp_path, instead("self.mean_ =", "np.seterr(all='raise'); __import__('os').chdir('/'); self.mean_ ="), save_path="models")
    assert Path.cwd() == tmp_path and np.geterr() == before
    assert list((tmp_path / "models").glob("*/card.json"))


def test_an_error_is_told_in_one_line_whatever_it_says_of_itself(tmp_path: Path) -> None:
    for said, told in (("ValueError('one\\ntwo')", "ValueError: one two"), ("Odd()", "in fit: Odd")):
        odd = "class Odd(Exception):\n    def __str__(self):\n        raise ValueError('no')\n"
        with pytest.raises(ForecasterFailed, match=told) as failed:
            run(tmp_path, odd + instead("self.mean_ =", f"raise {said}  #"))
        assert "\n" not in str(failed.value)


def test_a_pipeline_of_estimators_is_a_forecaster(tmp_path: Path) -> None:
    code = (
        "from sklearn.linear_model import Ridge\nfrom sklearn.pipeline import make_pipeline\n"
        "from sklearn.preprocessing import StandardScaler\n"
        "import forwardtrader as ft\nMine = ft.SklearnForecaster(make_pipeline(StandardScaler(), Ridge(alpha=2.0)))\n"
    )
    assert len(run(tmp_path, code).served) == 4
