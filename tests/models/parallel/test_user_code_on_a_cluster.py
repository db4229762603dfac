"""A forecaster in a file of the user's, trained on a Dask cluster whose workers have neither the file nor its folder."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from forwardtrader.core.errors import ConfigError
from forwardtrader.core.settings import ModelSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.models.folds.walk import WalkForward, walk_forward
from tests.models.bars import simulated_bars
from tests.models.dask_processes import Cluster

pytestmark = pytest.mark.slow
HOUR = Timeframe.parse("1h")
BARS = simulated_bars(24 * 101, reversal=0.3)
MINE = """
import numpy as np
import forwardtrader as ft
from sums_of_mine import shrunk


class Mine(ft.WarmStarting):
    def __init__(self, penalty: float = 10.0) -> None:
        self.penalty = penalty

    def fit(self, panel):
        self.weights_ = self._solved(panel)
        return self

    def update(self, panel):
        self.weights_ = 0.5 * self.weights_ + 0.5 * self._solved(panel)
        return self

    def predict(self, panel):
        return shrunk(np.clip(panel.X, -5, 5) @ self.weights_)

    def _solved(self, panel):
        x = np.clip(panel.X, -5, 5)
        return np.linalg.solve(x.T @ x + self.penalty * np.eye(x.shape[1]), x.T @ panel.y)


class Lacking(Mine):
    def fit(self, panel):
        import a_package_that_nobody_has
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    pytest.importorskip("distributed", reason="Dask is an extra: pip install forwardtrader[cluster]")
    (tmp_path / "elsewhere").mkdir()
    made = Cluster(tmp_path / "elsewhere", workers=1)
    yield made
    made.stop()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the user works in, with his files."""
    folder = tmp_path / "desk"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    return folder


def written(desk: Path, share: float, name: str) -> None:
    (desk / "sums_of_mine.py").write_text(f"def shrunk(values):\n    return {share} * values\n")
    (desk / name).write_text(MINE)


def run(path: Path, spec: str, address: str = "", **params: object) -> WalkForward:
    settings = ModelSettings.model_validate({
        "forecaster": spec, "params": params, "horizons": (1,), "seeds": 1, "train_window": "40d", "retrain_every": "7d", "anew_every": 2,
        "save_path": str(path), "cluster": address, "jobs": 1,
    })  # fmt: skip
    first, last = datetime(2020, 3, 21, tzinfo=UTC), datetime(2020, 4, 8, tzinfo=UTC)
    return walk_forward({"A/USD": BARS}, first, last, settings=settings, timeframe=HOUR, features=("return_1_ago", "move_6"))


def test_a_worker_gets_the_class_with_what_it_imports_and_goes_on_from_its_models(cluster: Cluster, desk: Path, tmp_path: Path) -> None:
    written(desk, 0.5, "mine_of_a_cluster.py")
    here = run(tmp_path / "here", "mine_of_a_cluster.py:Mine", penalty=3)
    there = run(tmp_path / "there", "mine_of_a_cluster.py:Mine", cluster.ready(), penalty=3)
    assert any(served.card.goes_on_from for served in there.served)
    assert not any(served.cached for served in there.served)
    assert here.frame("A/USD", 1).equals(there.frame("A/USD", 1))
    assert np.isfinite(there.frame("A/USD", 1)["location"]).any()


def test_what_fails_in_a_worker_is_told_with_the_line_of_the_users_file(cluster: Cluster, desk: Path, tmp_path: Path) -> None:
    written(desk, 0.5, "lacking_on_a_cluster.py")
    with pytest.raises(ConfigError, match=r"Lacking, fold 2020.*lacking_on_a_cluster.py:\d+ in fit: ModuleNotFoundError") as failed:
        run(tmp_path / "lacking", "lacking_on_a_cluster.py:Lacking", cluster.ready())
    assert "\n" not in str(failed.value)
