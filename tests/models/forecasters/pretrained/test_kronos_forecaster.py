"""Kronos through checkpoints with random weights, where its code is installed."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from forwardtrader import KronosForecaster
from forwardtrader.core.errors import FingerprintMismatch, ForecasterFailed, InvalidSetting
from forwardtrader.core.settings import ModelSettings
from forwardtrader.models.features.panel import selected
from forwardtrader.models.folds.walk import walk_forward
from forwardtrader.models.forecasters.pretrained.kronos import Kronos, kronos
from tests.models.bars import simulated_bars
from tests.models.forecasters.pretrained.test_candle_features import HOUR, panel

DECODER = {
    "s1_bits": 4, "s2_bits": 4, "n_layers": 1, "d_model": 16, "n_heads": 4, "ff_dim": 16, "ffn_dropout_p": 0.0, "attn_dropout_p": 0.0,
    "resid_dropout_p": 0.0, "token_dropout_p": 0.1, "learn_te": True,
}  # fmt: skip
TOKENIZER = {
    "d_in": 6, "d_model": 16, "n_heads": 4, "ff_dim": 16, "n_enc_layers": 2, "n_dec_layers": 2, "ffn_dropout_p": 0.0, "attn_dropout_p": 0.0,
    "resid_dropout_p": 0.0, "s1_bits": 4, "s2_bits": 4, "beta": 0.05, "gamma0": 1.0, "gamma": 1.1, "zeta": 0.05, "group_size": 4,
}  # fmt: skip


@pytest.fixture(scope="module")
def code() -> ModuleType:
    pytest.importorskip("torch", reason="the extra `foundation` is not installed")
    found = pytest.importorskip("model", reason="Kronos' package `model` is not installed", exc_type=ImportError)
    if not hasattr(found, "KronosTokenizer"):
        pytest.skip("the package `model` is not Kronos'")
    return found


def written(code: ModuleType, folder: Path, *, sure: float = 1.0) -> tuple[str, str]:
    """Both checkpoints; the decoder's answers are `sure` times as far apart."""
    import torch

    torch.manual_seed(0)
    model, tokenizer = code.Kronos(**DECODER), code.KronosTokenizer(**TOKENIZER)
    with torch.no_grad():
        for head in (model.head.proj_s1, model.head.proj_s2):
            head.weight *= sure
    for each, name in ((model, "decoder"), (tokenizer, "tokenizer")):
        each.save_pretrained(folder / name)
    return str(folder / "decoder"), str(folder / "tokenizer")


@pytest.fixture(scope="module")
def checkpoint(code: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    return written(code, tmp_path_factory.mktemp("kronos"))


def forecaster(checkpoint: tuple[str, str], **changes: object) -> KronosForecaster:
    small = {"context": 24, "trained_until": "2020-01-01", "samples": 12}
    return KronosForecaster(model=checkpoint[0], tokenizer=checkpoint[1], **{**small, **changes})


def test_a_checkpoint_forecasts_and_each_row_stands_alone(checkpoint: tuple[str, str], tmp_path: Path) -> None:
    fitted = forecaster(checkpoint).fit(panel())
    said = fitted.predict(panel())
    assert said.shape == (2, 2, 5) and np.isfinite(said).all() and (np.diff(said, axis=-1) >= 0).all()
    assert (said[..., 4] > said[..., 0]).all() and not np.array_equal(said[0], said[1])
    assert np.array_equal(fitted.predict(replace(panel(), rows=panel().rows[1:]))[0], said[1])
    fitted.save(tmp_path)
    assert np.array_equal(fitted.clone().load(tmp_path).predict(panel()), said)


def test_other_weights_are_another_checkpoint(code: ModuleType, checkpoint: tuple[str, str], tmp_path: Path) -> None:
    forecaster(checkpoint).fit(panel()).save(tmp_path)
    with pytest.raises(FingerprintMismatch, match="other weights"):
        forecaster(written(code, tmp_path / "other", sure=2.0)).load(tmp_path)


@pytest.mark.filterwarnings("ignore:Series.dt.weekday is deprecated")  # of its own predictor, which is asked here alone
def test_a_sure_decoder_goes_on_as_its_own_predictor_does(code: ModuleType, tmp_path: Path) -> None:
    """Where nothing is left to chance, and more steps are asked for than fit behind the context."""
    where = written(code, tmp_path, sure=1e6)
    draw, bars, steps = np.random.default_rng(0), 24, 7
    times = pd.Series(pd.date_range("2024-02-27 21:00", periods=bars + steps, freq="h"))
    close = 30_000.0 * np.exp(0.01 * draw.standard_normal(bars).cumsum())
    frame = pd.DataFrame({"open": close * 0.999, "high": close * 1.002, "low": close * 0.997, "close": close})
    frame["volume"] = 100.0 * draw.random(bars)
    frame["amount"] = frame["volume"] * frame[["open", "high", "low", "close"]].mean(axis=1)
    made = kronos(*where, "")
    own = code.KronosPredictor(made._model, made._tokenizer, device="cpu", max_context=bars)
    told = own.predict(frame, times[:bars], times[bars:], pred_len=steps, top_k=1, top_p=1.0, sample_count=1, verbose=False)
    minutes = times.to_numpy().astype("datetime64[m]").astype(np.int64)
    found = made.closes(frame.to_numpy(), minutes, np.full((1, steps, 2), 0.5))
    np.testing.assert_allclose(found[0], told["close"], rtol=1e-5)
    assert len(np.unique(told["close"])) > 1


def test_its_first_draws_follow_what_the_network_says(checkpoint: tuple[str, str]) -> None:
    """Coarse tokens of many draws against the softmax of the network itself."""
    import torch

    made, draw = kronos(*checkpoint, ""), np.random.default_rng(1)
    stamps = torch.zeros((4000, 5, 5))
    said = [torch.from_numpy(draw.integers(0, 16, (1, 5))).expand(4000, -1) for _ in range(2)]
    draws = np.stack([(np.arange(4000) + 0.5) / 4000, draw.random(4000)], axis=1)
    with torch.no_grad():
        found = made._gone_on(said, stamps, draws)[0][:, -1].numpy()
        logits = made._model.decode_s1(*(each[:1] for each in said), stamps[:1])[0][0, -1]
    np.testing.assert_allclose(np.bincount(found, minlength=16) / 4000, torch.softmax(logits.double(), 0).numpy(), atol=1e-3)


@pytest.mark.slow
def test_it_goes_through_a_walk_forward_with_its_own_features_and_forecasts_nothing_that_it_may_have_seen(
    checkpoint: tuple[str, str], tmp_path: Path
) -> None:
    params = {"model": checkpoint[0], "tokenizer": checkpoint[1], "context": 24, "samples": 4, "trained_until": "2020-03-25"}
    settings = ModelSettings.model_validate({
        "forecaster": "forwardtrader:KronosForecaster", "params": params, "horizons": (1, 4), "train_window": "20d", "retrain_every": "7d",
        "save_path": str(tmp_path),
    })  # fmt: skip
    first, last, candles = datetime(2020, 3, 23, tzinfo=UTC), datetime(2020, 3, 27, tzinfo=UTC), {"A/USD": simulated_bars(24 * 90)}
    walk = walk_forward(candles, first, last, settings=settings, timeframe=HOUR, features=selected(candles, settings, HOUR))
    known = walk.frame("A/USD", 1).dropna(subset=["location"])
    assert len(known) > 24 and known.index[0] == pd.Timestamp("2020-03-25", tz="UTC")


def test_it_says_what_to_do_where_its_code_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(
        ForecasterFailed, match=r"there is no package `model` in .*; give the folder of a clone of its repository"
    ) as refused:
        kronos("a", "b", str(tmp_path))
    assert "\n" not in str(refused.value)


def test_another_module_of_that_name_is_not_taken_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = ModuleType("model")
    other.__file__ = str(tmp_path / "model" / "__init__.py")
    monkeypatch.setitem(sys.modules, "model", other)
    with pytest.raises(ForecasterFailed, match="is not the code of Kronos that was asked for; rename it"):
        kronos("c", "d", "")


def test_a_checkpoint_that_is_not_there_is_refused_in_one_line(code: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(ForecasterFailed, match="is no Kronos checkpoint with weights in safetensors") as refused:
        kronos(str(tmp_path / "absent"), str(tmp_path / "absent"), "")
    assert "\n" not in str(refused.value)


def test_what_it_has_seen_has_to_be_stated(checkpoint: tuple[str, str]) -> None:
    with pytest.raises(InvalidSetting, match="KronosForecaster: trained_until is ''; write the first day"):
        forecaster(checkpoint, trained_until="").fit(panel())
    assert isinstance(forecaster(checkpoint)._model(), Kronos)
