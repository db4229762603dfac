"""The main command on the sample market, from nothing to pages, with small models."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from forwardtrader.backtest.shifted_runs import SHIFTS
from forwardtrader.core.types import Timeframe
from forwardtrader.reports import artefacts
from tests import PATIENCE_S, ROOT
from tests.end_to_end.small_run import CLOCK, FEW_SHIFTS, small_run
from tests.processes import begin


def run(folder: Path, *more: str, shifts: int = FEW_SHIFTS) -> tuple[int, Path]:
    """Run the command in `folder`; its exit code and its newest run folder."""
    with contextlib.chdir(folder):
        code = small_run(*more, shifts=shifts)
    found = sorted((folder / "reports/output").glob("*/run.json"), key=lambda p: p.stat().st_mtime_ns)
    return code, found[-1].parent if found else folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def finished(home: Path) -> Path:
    code, folder = run(home, "--quiet", shifts=SHIFTS)
    assert code == 0
    return folder


@pytest.fixture(scope="module")
def again(home: Path, finished: Path) -> tuple[Path, str]:
    """The same run once more, and what it printed where JSON was asked for."""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        code, folder = run(home, "--json")
    assert code == 0
    assert folder != finished
    return folder, said.getvalue()


@pytest.fixture(scope="module")
def resumed(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Path]:
    """The same run in a process that is interrupted when it has its first model, and once more in another one: how the first ended."""
    folder = tmp_path_factory.mktemp("elsewhere")
    process = run_in_process(folder)
    until = time.monotonic() + PATIENCE_S
    while not list((folder / "var/models").glob("*/card.json")) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    code = process.wait(PATIENCE_S)
    process = run_in_process(folder)
    assert process.wait(PATIENCE_S) == 0, process.communicate()[1]
    return code, next((folder / "reports/output").glob("*/run.json")).parent


def manifest(folder: Path) -> dict:
    return json.loads((folder / "run.json").read_text())


def test_a_run_leaves_every_file_of_the_interface(finished: Path) -> None:
    names = {"index.html", "tearsheet.html", "run.json", "forecasts.parquet", "fills.parquet", "equity.parquet", "log.jsonl"}
    assert names <= {path.name for path in finished.iterdir()}
    assert (finished.parent / "index.html").is_file()
    text = (finished / "index.html").read_text()
    assert names - {"index.html"} <= set(re.findall(r'href="([^"]+)"', text)) and "No tearsheet" not in text


def test_run_json_has_every_key_of_the_interface(finished: Path) -> None:
    run = manifest(finished)
    assert set(run) >= {
        *("schema", "run_id", "created", "command", "git", "versions", "seed", "name", "data", "config", "walk_forward"),
        *("forecast", "strategy", "benchmark", "verdict", "verdict_reasons", "timing_s", "fingerprints"),
    }
    symbol = run["data"]["symbols"]["BTC/USDT"]
    assert {"source", "rows", "first", "last", "gaps", "fingerprint"} <= set(symbol)
    fold = run["walk_forward"]["folds"][0]
    assert set(fold) >= {
        *("symbol", "train_from", "train_to", "effective_from", "effective_to"),
        *("model_id", "train_loss", "valid_loss", "seconds", "reason"),
    }
    scores = run["forecast"]["BTC/USDT"]["lstm"]
    for key in ("ic", "rank_ic", "accuracy", "accuracy_top10", "loss_skill", "coverage_90"):
        assert scores[key] is not None
        assert len(scores[f"{key}_ci"]) == 2
    assert set(run["forecast"]["BTC/USDT"]["baselines"]) == {"zero", "huber_linear"}
    assert {"buy_and_hold", "volatility_targeted", "random_entries"} <= set(run["benchmark"])
    assert set(run["timing_s"]) >= {"data", "train", "simulate", "report", "total"}
    assert run["verdict"] in ("edge", "no edge", "not enough data")


def test_a_simulated_market_says_so_everywhere(finished: Path) -> None:
    assert "SAMPLE" in finished.name
    assert manifest(finished)["data"]["kind"] == "sample"
    assert "SAMPLE" in (finished / "index.html").read_text().split("</title>")[0]
    assert "SAMPLE" in (finished / "tearsheet.html").read_text()


def test_every_fill_happens_at_the_open_after_its_decision_with_slippage(finished: Path) -> None:
    from forwardtrader.feeds.history.sample_market import sample_candles

    fills = artefacts.load(finished).fills
    market = fills.loc[fills["reason"] != "protective stop"]
    candles = sample_candles("BTC/USDT", Timeframe.parse("1h"), seed=0, until=CLOCK.at)
    opened = candles["open"].reindex(market["timestamp"]).to_numpy()
    sign = market["side"].map({"buy": 1.0, "sell": -1.0}).to_numpy()
    assert len(market) > 0
    pd.testing.assert_series_equal(market["price"].reset_index(drop=True), pd.Series(opened * (1 + sign * 2e-4), name="price"), rtol=1e-6)


def test_equal_runs_have_equal_fingerprints_in_one_process_and_in_two(
    finished: Path, again: tuple[Path, str], resumed: tuple[int, Path]
) -> None:
    assert manifest(again[0])["fingerprints"] == manifest(finished)["fingerprints"]
    assert manifest(resumed[1])["fingerprints"] == manifest(finished)["fingerprints"]


def test_a_second_run_is_no_new_trial(finished: Path, again: tuple[Path, str]) -> None:
    assert manifest(again[0])["strategy"]["trials"] == manifest(finished)["strategy"]["trials"] == 1


def test_json_prints_run_json_and_nothing_else(again: tuple[Path, str]) -> None:
    folder, said = again
    assert json.loads(said) == manifest(folder)


def test_the_terminal_names_verdict_scores_and_page(home: Path, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, folder = run(home)
    said = " ".join(capsys.readouterr().out.split())
    assert code == 0
    assert "SAMPLE" in said
    assert "Verdict: " in said
    assert "huber_linear" in said
    assert folder.name in said.replace(" ", "")


def test_too_little_history_is_one_line_that_names_the_first_possible_day(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _ = run(home, "--quiet", "--from", "2019-01-10")
    assert code == 2
    line = capsys.readouterr().err.strip()
    assert "\n" not in line
    assert "start at --from 2019-" in line


def test_an_interrupt_ends_with_130_and_leaves_sound_caches(finished: Path, resumed: tuple[int, Path]) -> None:
    code, folder = resumed
    assert code == 130
    assert manifest(folder)["fingerprints"] == manifest(finished)["fingerprints"]


def run_in_process(folder: Path) -> subprocess.Popen[str]:
    """The same run in a process of its own, with the same clock."""
    return begin([sys.executable, "-m", "tests.end_to_end.small_run"], cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)})
