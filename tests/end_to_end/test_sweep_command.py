"""`--sweep` on the sample market with small models: forecasts shared, every point counted, resumed, and one point chosen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from forwardtrader.backtest import shifted_runs
from forwardtrader.backtest.cli import command
from forwardtrader.backtest.sweep import bench as sweep_bench
from forwardtrader.backtest.sweep.store import SweepStore
from forwardtrader.core.clock import FixedClock
from forwardtrader.reports.trial_ledger import TrialLedger
from tests.end_to_end.small_run import CLOCK, WORDS
from tests.models.dask_processes import Cluster

PLAIN = [*WORDS, "--baselines", "none", "--quiet"]


def sweep(text: str, *more: str, clock: FixedClock = CLOCK) -> int:
    Path("sweep.yaml").write_text(text, encoding="utf-8")
    return command([*PLAIN, "--sweep", "sweep.yaml", *more], clock)


def told() -> dict:
    """The newest `sweep.json`."""
    found = sorted(Path("reports/output").glob("*/sweep.json"), key=lambda path: path.stat().st_mtime_ns)
    return json.loads(found[-1].read_text(encoding="utf-8")) | {"folder": found[-1].parent}


def run_json(name: str) -> dict:
    return json.loads((Path("reports/output") / name / "run.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One place for all tests, so that models are trained once."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(shifted_runs, "SHIFTS", 9)  # fewer of each run, which make no difference between two of them
        yield folder


@pytest.fixture(autouse=True)
def _there(home: Path) -> None:
    """Every test works in that place."""


def test_a_grid_leaves_its_page_its_points_and_the_run_of_the_chosen_one() -> None:
    assert sweep("strategies.margin: [0.5, 2, 3]\nstrategies.allow_short: [true, false]\n") == 0
    found = told()
    assert {"index.html", "sweep.json", "points.parquet"} <= {path.name for path in found["folder"].iterdir()}
    points = pd.read_parquet(found["folder"] / "points.parquet")
    assert len(points) == found["points"] == 6
    assert points["score"].max() == found["chosen"]["score"]
    assert "SAMPLE" in (found["folder"] / "index.html").read_text(encoding="utf-8").split("</title>")[0]
    run = run_json(found["run"])
    assert run["strategy"]["pbo"] == found["pbo"] is not None
    assert run["strategy"]["sharpe"] == pytest.approx(found["chosen"]["sharpe"])


def test_every_point_is_one_trial_and_the_chosen_ones_own_run_is_no_further_one() -> None:
    found = told()
    assert found["trials"] == 6
    assert command([*PLAIN, *found["chosen"]["flags"].split()], CLOCK) == 0
    newest = max(Path("reports/output").glob("*/run.json"), key=lambda path: path.stat().st_mtime_ns)
    again = run_json(newest.parent.name)
    assert again["fingerprints"] == run_json(found["run"])["fingerprints"]
    assert again["strategy"]["trials"] == 6


def test_a_secret_among_the_parameters_of_a_strategy_is_in_no_file_and_on_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "Kk01Kk02Kk03")
    Path("keyed.py").write_text("import backtrader as bt\n\nclass Keyed(bt.Strategy):\n    params = (('note', ''), ('api_token', ''))\n")
    Path("sweep.yaml").write_text("strategy.note: [Kk01Kk02Kk03, other]\nstrategy.api_token: [t0ken-of-mine]\n", encoding="utf-8")
    loud = [word for word in PLAIN if word != "--quiet"]
    assert command([*loud, "--sweep", "sweep.yaml", "--strategy", "keyed.py:Keyed"], CLOCK) == 0
    said = capfd.readouterr()
    written = [path.read_bytes() for path in Path("reports").rglob("*") if path.is_file() and not path.name.startswith("plotly")]
    for secret in ("Kk01", "t0ken-of-mine"):
        assert secret not in said.out + said.err and not any(secret.encode() in text for text in written), secret
    assert set(pd.read_parquet(told()["folder"] / "points.parquet")["strategy.note"]) == {"***", "other"}


@pytest.mark.slow
def test_a_point_with_limits_of_the_account_is_the_run_with_them() -> None:
    assert sweep("risk.max_daily_loss: [0.002, null]\nrisk.max_drawdown: [0.004]\n") == 0
    found = told()
    points = pd.read_parquet(found["folder"] / "points.parquet")
    assert points["score"].nunique() == 1 or len(points) == 2
    run = run_json(found["run"])
    assert run["limits"]["count"] > 0
    assert run["strategy"]["sharpe"] == pytest.approx(found["chosen"]["sharpe"])
    assert command([*PLAIN, *found["chosen"]["flags"].split()], CLOCK) == 0


def test_an_interrupted_sweep_goes_on_where_it_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[str] = []
    put = SweepStore.put

    def put_two(store: SweepStore, key: str, point: object) -> None:
        if len(kept) == 2:
            raise KeyboardInterrupt
        put(store, key, point)  # type: ignore[arg-type]
        kept.append(key)

    text = "strategies.margin: [0.6, 1.1, 1.6, 2.1]\n"
    monkeypatch.setattr(SweepStore, "put", put_two)
    assert sweep(text) == 130
    traded: list[float] = []
    trade = sweep_bench.trade_point
    monkeypatch.setattr(SweepStore, "put", put)
    monkeypatch.setattr(sweep_bench, "trade_point", lambda work, point: traded.append(point.strategies.margin) or trade(work, point))
    # A day later: without --to the sweep still goes on up to where it began.
    assert sweep(text, clock=FixedClock(CLOCK.at + timedelta(days=1))) == 0
    assert traded == [1.6, 2.1]
    assert told()["last"].startswith("2024-06-01T12:00")


def test_forecasts_are_made_once_for_all_points_that_share_them(monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[int] = []
    monkeypatch.setattr(
        sweep_bench,
        "train",
        lambda markets, request, stage: trained.append(request.settings.models.units) or _walk(markets, request, stage),
    )
    assert sweep("strategies.margin: [1, 2]\nmodels.units: [3, 4]\n") == 0
    assert sorted(trained) == [3, 4]


def _walk(markets: dict, request: object, stage: object) -> object:
    from forwardtrader.backtest.forecasting import train

    return train(markets, request, stage)  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_search_proposes_the_same_points_again_and_computes_none_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "trials: 6\nseed: 4\nstrategies.margin: {low: 0.5, high: 3, step: 0.5}\nstrategies.risk_aversion: {low: 0.2, high: 5, log: true}\n"
    )
    assert sweep(text) == 0
    first = told()
    monkeypatch.setattr(sweep_bench, "trade_point", None)
    assert sweep(text) == 0
    assert told()["chosen"] == first["chosen"]
    assert told()["folder"] == first["folder"]


CROSSING = """
import backtrader as bt

class Crossing(bt.Strategy):
    params = (("fast", 5), ("slow", 30))

    def __init__(self):
        if self.p.fast >= self.p.slow:
            raise ValueError("fast must be below slow")
        self.signal = bt.ind.CrossOver(bt.ind.SMA(period=self.p.fast), bt.ind.SMA(period=self.p.slow))

    def next(self):
        if not self.position and self.signal > 0:
            self.buy()
        elif self.position and self.signal < 0:
            self.close()
"""


@pytest.mark.slow
def test_parameters_of_a_users_strategy_are_points_and_one_that_fails_is_left_out_with_its_reason() -> None:
    Path("swept_crossing.py").write_text(CROSSING, encoding="utf-8")
    words = ["--strategy", "swept_crossing.py:Crossing", "--name", "crossing"]
    before = len(trials())
    assert sweep("strategy.fast: [5, 10, 30]\nstrategy.slow: [30, 60]\n", *words) == 0
    found = told()
    assert found["points"] == 5
    assert [(point["flags"], "fast must be below slow" in point["reason"]) for point in found["left_out"]] == [
        ("--param fast=30 --param slow=30", True)
    ]
    assert "fast must be below slow" in (found["folder"] / "index.html").read_text(encoding="utf-8")
    assert len(trials()) == before + 5
    run = run_json(found["run"])
    assert run["strategy"]["sharpe"] == pytest.approx(found["chosen"]["sharpe"])


def test_a_sweep_of_which_every_point_fails_ends_with_the_reason_of_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    Path("swept_crossing.py").write_text(CROSSING, encoding="utf-8")
    assert sweep("strategy.fast: [40, 50]\n", "--strategy", "swept_crossing.py:Crossing") == 2
    line = capsys.readouterr().err.strip()
    assert "no point of" in line
    assert "fast must be below slow" in line
    assert "\n" not in line


def trials() -> pd.DataFrame:
    return TrialLedger(Path("reports/output/trials.sqlite")).table()


@pytest.mark.parametrize(
    ("text", "more", "said"),
    [
        ("strategies.margin: [1]", ["--audit"], "--sweep and --audit are two commands"),
        ("strategies.horizon: [24, 7]", [], "strategies.horizon 7 is not among models.horizons"),
    ],
)
def test_a_sweep_that_cannot_end_well_is_one_line(text: str, more: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep(text, *more) == 2
    line = capsys.readouterr().err.strip()
    assert said in line
    assert "\n" not in line


def test_a_sweep_on_a_cluster_that_does_not_answer_ends_with_exit_code_3(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("distributed", reason="Dask is an extra: pip install forwardtrader[cluster]")
    assert sweep("models.units: [4]", "--cluster", "tcp://127.0.0.1:9") == 3
    assert "no Dask scheduler answers" in capsys.readouterr().err


@pytest.mark.slow
def test_points_traded_by_other_processes_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "strategies.margin: [0.5, 1, 2]\n"
    tables = []
    for bars, name in ((10**9, "in one"), (0, "in two")):
        monkeypatch.setattr(sweep_bench, "WORTH_PROCESSES", bars)
        assert sweep(text, "--jobs", "2", "--name", name) == 0
        tables.append(pd.read_parquet(told()["folder"] / "points.parquet"))
        # Names and folders are not part of a sweep's identity: its points would be known.
        (told()["folder"] / "points.sqlite").unlink()
    pd.testing.assert_frame_equal(*tables, check_exact=True)


@pytest.mark.slow
def test_a_cluster_gives_the_fingerprints_of_this_machine(tmp_path: Path) -> None:
    text = "strategies.margin: [0.5, 2]\n"
    assert sweep(text, "--no-cache") == 0
    here = run_json(told()["run"])
    (told()["folder"] / "points.sqlite").unlink()
    cluster = Cluster(tmp_path)
    try:
        assert sweep(text, "--no-cache", "--cluster", cluster.address, "--name", "there") == 0
    finally:
        cluster.stop()
    there = run_json(told()["run"])
    assert there["name"].startswith("there")
    assert there["fingerprints"] == here["fingerprints"]


@pytest.mark.slow
def test_a_sweep_that_had_to_take_the_sample_market_says_so_in_its_name() -> None:
    nowhere = ["--source", "auto", "--set", "feeds.exchange_url=http://127.0.0.1:9", "--set", "feeds.fallback_exchanges=[]"]
    assert sweep("strategies.margin: [0.5, 2]\n", *nowhere) == 0
    assert "SAMPLE" in told()["folder"].name


@pytest.mark.slow
def test_a_point_whose_forecaster_fails_is_left_out_with_its_reason_and_the_others_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    Path("touchy.py").write_text(
        "import forwardtrader as ft\n"
        "class Touchy(ft.BaseForecaster):\n"
        "    def __init__(self, level=0.0):\n"
        "        if level > 8:\n"
        "            raise ValueError('a level above 8')\n"
        "        self.level = level\n"
        "    def fit(self, panel):\n"
        "        if self.level > 4:\n"
        "            raise ArithmeticError('a level above 4')\n"
        "        self.mean_ = float(panel.y.mean()) + self.level * (1e9 if self.level > 1 else 0.0)\n"
        "        return self\n"
        "    def predict(self, panel):\n"
        "        return panel.X[:, 0] * 0.001 + self.mean_\n",
        encoding="utf-8",
    )
    assert sweep("models.params.level: [9, 5, 2, 0, 1]\n", "--forecaster", "touchy.py:Touchy") == 0
    found = told()
    reasons = [each["reason"] for each in found["left_out"]]
    assert "touchy.py:5 in __init__: ValueError: a level above 8" in reasons[0]
    assert "Touchy, fold 2024-04-" in reasons[1] and "touchy.py:9 in fit: ArithmeticError: a level above 4" in reasons[1]
    assert "the training diverged" in reasons[2]
    assert found["points"] == 2 and found["chosen"]["settings"] in ({"models.params.level": 0}, {"models.params.level": 1})
    assert sweep("models.params.level: [9, 5]\n", "--forecaster", "touchy.py:Touchy") == 2
    assert "no point of sweep.yaml came to a result; --set models.params.level=9: " in capsys.readouterr().err
