from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path

import pytest

from forwardtrader.core.errors import RunUnreadable
from forwardtrader.core.types import DataKind
from forwardtrader.reports import manifest as manifests
from forwardtrader.reports.manifest import RunManifest
from tests.reports import simulated

INTERFACE = {
    "": "schema run_id created command git versions seed name data config walk_forward forecast strategy benchmark verdict "
    "verdict_reasons timing_s fingerprints",
    "data": "kind symbols",
    "data.symbols.BTC/USDT": "source rows first last gaps fingerprint",
    "walk_forward": "purge_bars embargo_bars deployment_lag_bars folds",
    "forecast.BTC/USDT": "lstm baselines diebold_mariano",
    "forecast.BTC/USDT.lstm": "n ic rank_ic accuracy accuracy_top10 loss_skill coverage_90 ic_ci rank_ic_ci accuracy_ci accuracy_top10_ci",
    "forecast.BTC/USDT.diebold_mariano.lightgbm": "statistic p",
    "strategy": "total_return cagr sharpe sortino max_drawdown volatility trades turnover fees slippage exposure "
    "sharpe_ci psr dsr trials pbo",
    "benchmark.buy_and_hold": "total_return cagr sharpe sortino max_drawdown volatility trades turnover fees slippage exposure",
}


@pytest.fixture
def tree() -> dict:
    return json.loads(manifests.to_json(simulated.run(800).manifest))


@pytest.mark.parametrize("where", INTERFACE)
def test_run_json_has_the_public_keys(tree: dict, where: str) -> None:
    branch = tree
    for part in filter(None, where.split(".")):
        branch = branch[part]
    assert set(INTERFACE[where].split()) <= branch.keys()


def test_a_fold_has_the_public_keys(tree: dict) -> None:
    keys = "symbol train_from train_to effective_from effective_to model_id train_loss valid_loss seconds reason"
    assert set(keys.split()) <= tree["walk_forward"]["folds"][0].keys()


def test_a_manifest_read_back_is_the_one_written(tmp_path: Path) -> None:
    written = simulated.run(800).manifest
    manifests.write(tmp_path, written)
    assert manifests.read(tmp_path) == written


def test_unknown_keys_are_kept(tmp_path: Path) -> None:
    manifests.write(tmp_path, simulated.run(800).manifest.model_copy(update={"weather": {"oslo": "rain"}}))
    assert json.loads(manifests.to_json(manifests.read(tmp_path)))["weather"] == {"oslo": "rain"}


def test_nan_and_infinity_become_null_everywhere(tmp_path: Path) -> None:
    made = simulated.run(800).manifest
    strategy = made.strategy.model_copy(update={"sharpe": math.nan, "unheard_of": [math.inf]})
    tree = json.loads(manifests.to_json(made.model_copy(update={"strategy": strategy})))
    assert tree["strategy"]["sharpe"] is None
    assert tree["strategy"]["unheard_of"] == [None]


def test_times_are_written_in_utc(tree: dict) -> None:
    assert tree["created"] == "2026-11-22T15:14:02Z"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"run_id": 3}'])
def test_a_damaged_manifest_is_one_clear_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(RunUnreadable, match="run the backtest again"):
        manifests.read(tmp_path)


def test_a_folder_without_a_manifest_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunUnreadable, match="does not exist"):
        manifests.read(tmp_path)


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    manifests.write(tmp_path, simulated.run(800).manifest.model_copy(update={"schema_version": 2}))
    with pytest.raises(RunUnreadable, match="update forwardtrader"):
        manifests.read(tmp_path)


def test_a_run_id_sorts_by_time_and_says_sample() -> None:
    at = datetime(2026, 11, 22, 15, 14, 2, tzinfo=UTC)
    real = manifests.make_run_id(at, ["BTC/USDT"], "1h", DataKind.REAL, digest="3fa9c1d2")
    assert real == "20261122-151402-BTC-USDT-1h-3fa9c1"
    sample = manifests.make_run_id(at, ["BTC/USDT", "ETH/USDT", "X"], "4h", DataKind.SAMPLE, name="../try two", digest="3fa9c1")
    assert sample == "20261122-151402-BTC-USDT-ETH-USDT-and-1-more-4h-SAMPLE-try-two-3fa9c1"


def test_two_runs_of_one_id_get_two_folders(tmp_path: Path) -> None:
    assert [manifests.make_run_dir(tmp_path, "a").name for _ in range(3)] == ["a", "a-2", "a-3"]


def test_the_title_of_a_sample_run_says_so_first() -> None:
    assert simulated.run(300, kind=DataKind.SAMPLE).manifest.title.startswith("SAMPLE")
    assert "SAMPLE" not in simulated.run(300).manifest.title


def test_equal_settings_and_data_have_equal_digests() -> None:
    made: RunManifest = simulated.run(300).manifest
    again: RunManifest = simulated.run(300).manifest
    assert manifests.settings_digest(made.config, made.data) == manifests.settings_digest(again.config, again.data)
    assert manifests.settings_digest({"a": 1}, made.data) != manifests.settings_digest({"a": 2}, made.data)
