"""Models that were trained before the run: how they continue a series, and that no bar they may have seen counts."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forwardtrader import FoundationForecaster
from forwardtrader.backtest.checks import checked, seen_until
from forwardtrader.backtest.request import BacktestRequest
from forwardtrader.core.errors import FingerprintMismatch, ForecasterFailed, InvalidDates, InvalidSetting
from forwardtrader.core.settings import ModelSettings, Settings
from forwardtrader.core.types import Timeframe
from forwardtrader.models.folds.walk import walk_forward
from forwardtrader.models.forecasters.pretrained.chronos import Bins
from forwardtrader.models.forecasters.pretrained.foundation import checkpoint as loaded
from forwardtrader.models.online.walk_forward_source import WalkForwardSource
from forwardtrader.models.port.base_forecaster import Answer, BaseForecaster
from forwardtrader.models.port.sample_panel import SamplePanel
from forwardtrader.reports.verdict import Evidence, judge
from tests.models.bars import simulated_bars
from tests.models.forecasters.keras_networks.samples import samples

HOUR = Timeframe.parse("1h")
FIRST, LAST = datetime(2020, 3, 14, tzinfo=UTC), datetime(2020, 4, 10, tzinfo=UTC)
SEEN, HERE = datetime(2020, 3, 25, tzinfo=UTC), "tests.models.forecasters.pretrained.test_foundation"
BARS = simulated_bars(24 * 101)


class Seen(BaseForecaster):
    """Knew data up to a day before the run."""

    trained_until = "2020-03-25"

    def fit(self, panel: SamplePanel) -> Seen:
        return self

    def predict(self, panel: SamplePanel) -> Answer:
        return 0.1 * panel.column("return_1_ago")


class Echo:
    """Continues a series by what it ended with, give or take."""

    digest = "echo"

    def paths(self, series, steps, draws):
        return (series[:, None, -1:] + draws[None, :, :steps] - 0.5).astype(np.float32)


class Unsaid(FoundationForecaster):
    def __init__(self) -> None:
        super().__init__(Echo, context=4)


class Stated(FoundationForecaster):
    def __init__(self) -> None:
        super().__init__(Echo, context=4, trained_until="2020-03-25")


def knobs(path: Path, name: str) -> ModelSettings:
    small = {"horizons": (1, 4), "seeds": 1, "train_window": "20d", "retrain_every": "7d", "save_path": str(path)}
    return ModelSettings.model_validate(small | {"forecaster": f"{HERE}:{name}"})


@pytest.mark.parametrize("name", ["Seen", "Stated"])
def test_no_bar_that_it_may_have_seen_is_forecast_neither_at_once_nor_bar_by_bar(tmp_path: Path, name: str) -> None:
    walk = walk_forward({"A/USD": BARS}, FIRST, LAST, settings=knobs(tmp_path, name), timeframe=HOUR, features=("return_1_ago",))
    known = walk.frame("A/USD", 1).dropna(subset=["location"])
    assert known.index[0] == pd.Timestamp(SEEN)
    assert np.isfinite(walk.member_locations("A/USD", 1)).sum() == len(known)
    source, last = WalkForwardSource(walk, "A/USD", 1, HOUR), BARS.index.get_loc(pd.Timestamp(SEEN))
    for row, spoken in ((last - 1, False), (last, True)):
        forecast = source.latest(BARS.iloc[row - source.warm_up + 1 : row + 1])
        assert (forecast is not None) == spoken


def request(name: str, path: Path, **changes: object) -> BacktestRequest:
    return BacktestRequest(settings=Settings(models=knobs(path, name)), first=FIRST, last=LAST, **changes)  # type: ignore[arg-type]


def test_a_run_begins_where_it_is_out_of_sample_and_its_verdict_says_so(tmp_path: Path) -> None:
    asked = request("Seen", tmp_path)
    assert checked(asked).first == SEEN
    assert seen_until(asked) == "2020-03-25"
    later = replace(asked, first=datetime(2020, 4, 1, tzinfo=UTC))
    assert checked(later) is later
    with pytest.raises(InvalidDates, match="no bar before 2020-03-25 counts: Seen"):
        checked(replace(asked, last=SEEN))
    reasons = judge(Evidence(years=3.0, bets=0.0, total_return=0.0, sharpe=0.0, psr=0.5, seen_until="2020-03-25")).reasons
    assert "bars before 2020-03-25 do not count" in reasons[-1]


def test_one_that_does_not_say_what_it_has_seen_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="Unsaid: trained_until is ''; write the first day") as refused:
        checked(request("Unsaid", tmp_path))
    assert "\n" not in str(refused.value)


def test_forecasts_are_quantiles_of_summed_continuations(tmp_path: Path) -> None:
    panel = replace(samples(), names=("return_1_ago", "b", "c", "d"))
    fitted = FoundationForecaster(Echo, context=4, trained_until="2020-01-01").fit(panel)
    said = fitted.predict(panel)
    assert said.shape == (len(panel), 2, 5)
    np.testing.assert_allclose(said[:, 0, 2], panel.X[:, 0], atol=0.1)
    np.testing.assert_allclose(said[:, 1, 2], 2 * panel.X[:, 0], atol=0.2)  # four bars, over the root of four
    fitted.save(tmp_path)
    assert np.array_equal(fitted.clone().load(tmp_path).predict(panel), said)
    (tmp_path / "checkpoint.json").write_text(json.dumps({"checkpoint": "another"}))
    with pytest.raises(FingerprintMismatch, match="other weights"):
        fitted.clone().load(tmp_path)


def test_bins_are_those_of_chronos() -> None:
    """An independent reckoning: the nearest centre, of values over their mean size."""
    bins = Bins(-15.0, 15.0, tokens=4096, special=2, pad=0, eos=1)
    series = np.random.default_rng(0).standard_normal((3, 50)).astype(np.float32)
    tokens, scale = bins.tokens(series)
    np.testing.assert_allclose(scale, np.abs(series).mean(axis=1), rtol=1e-6)
    assert tokens.shape == (3, 51) and (tokens[:, -1] == 1).all()
    nearest = np.abs(series[..., None] / scale[:, None, None] - np.linspace(-15, 15, 4093)).argmin(axis=-1)
    assert np.array_equal(tokens[:, :-1], nearest + 3)
    np.testing.assert_allclose(bins.values(tokens[:, :-1]) * scale[:, None], series, atol=0.01)
    assert bins.tokens(np.zeros((1, 4), np.float32))[1] == [1.0]


# A checkpoint of the kind that the hub has, with random weights.


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch = pytest.importorskip("torch", reason="the extra `foundation` is not installed")
    transformers = pytest.importorskip("transformers", reason="the extra `foundation` is not installed")
    config = transformers.T5Config(
        vocab_size=64, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, pad_token_id=0, eos_token_id=1, decoder_start_token_id=0
    )
    config.chronos_config = {
        "tokenizer_class": "MeanScaleUniformBins", "tokenizer_kwargs": {"low_limit": -15.0, "high_limit": 15.0}, "context_length": 32,
        "prediction_length": 4, "n_tokens": 64, "n_special_tokens": 2, "pad_token_id": 0, "eos_token_id": 1, "use_eos_token": True,
        "model_type": "seq2seq", "num_samples": 20, "temperature": 1.0, "top_k": 50, "top_p": 1.0,
    }  # fmt: skip
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("chronos")
    transformers.T5ForConditionalGeneration(config).save_pretrained(folder)
    return folder


def test_a_chronos_checkpoint_forecasts_and_each_row_stands_alone(checkpoint: Path, tmp_path: Path) -> None:
    panel = replace(samples(100), names=("return_1_ago", "b", "c", "d"))
    panel = replace(panel, rows=panel.rows[-8:])
    fitted = FoundationForecaster(str(checkpoint), context=12, trained_until="2020-01-01", samples=20).fit(panel)
    said = fitted.predict(panel)
    assert said.shape == (8, 2, 5) and np.isfinite(said).all() and (np.diff(said, axis=-1) >= 0).all()
    assert len(np.unique(said[:, 0, 4])) > 1
    alone = fitted.predict(replace(panel, rows=panel.rows[3:4]))
    np.testing.assert_allclose(alone[0], said[3], atol=1e-5)
    fitted.save(tmp_path)
    assert np.array_equal(fitted.clone().load(tmp_path).predict(panel), said)


def test_its_draws_follow_what_the_network_says(checkpoint: Path) -> None:
    """The first step's samples against the softmax of the network itself."""
    import torch

    network = loaded(str(checkpoint))
    series = np.random.default_rng(0).standard_normal((1, 12)).astype(np.float32)
    draws = (np.arange(4000)[:, None] + 0.5) / 4000
    values = network.paths(series, 1, draws)[0, :, 0]
    tokens, scale = network._bins.tokens(series)
    with torch.no_grad():
        logits = network._model(input_ids=torch.from_numpy(tokens), decoder_input_ids=torch.zeros((1, 1), dtype=torch.int64)).logits[0, 0]
    likely = torch.softmax(logits[3:].double(), 0).numpy()
    found = np.array([(np.abs(values - centre * scale[0]) < 1e-4).mean() for centre in network._bins.centres])
    np.testing.assert_allclose(found, likely, atol=1e-3)


def test_a_checkpoint_that_is_pickled_or_of_another_kind_is_refused_in_one_line(checkpoint: Path, tmp_path: Path) -> None:
    import torch

    config = (checkpoint / "config.json").read_text(encoding="utf-8")
    pickled, other = tmp_path / "pickled", tmp_path / "other"
    for folder, text in ((pickled, config), (other, config.replace("MeanScaleUniformBins", "Patches"))):
        folder.mkdir()
        (folder / "config.json").write_text(text, encoding="utf-8")
        torch.save({}, folder / "pytorch_model.bin")
    for folder, said in (
        (pickled, "is no Chronos T5 checkpoint with weights in safetensors"),
        (other, "is no Chronos T5 checkpoint with weights in safetensors"),
        (tmp_path / "absent", "is no checkpoint of Chronos T5 or TimesFM that could be read"),
    ):
        with pytest.raises(ForecasterFailed, match=said) as refused:
            loaded(str(folder))
        assert "\n" not in str(refused.value)
