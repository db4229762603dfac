"""TimesFM through checkpoints of the kinds that the hub has, with random weights: 2.0 and 2.5."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest

from forwardtrader import FoundationForecaster
from forwardtrader.core.errors import FingerprintMismatch, ForecasterFailed, InvalidSetting
from forwardtrader.core.types import QUANTILES
from forwardtrader.models.forecasters.pretrained.foundation import QuantileForecaster
from forwardtrader.models.forecasters.pretrained.foundation import checkpoint as loaded
from forwardtrader.models.forecasters.pretrained.timesfm import _between
from forwardtrader.models.port.sample_panel import SamplePanel
from tests.models.forecasters.keras_networks.samples import samples

KINDS = ("TimesFm", "TimesFm2_5")
SMALL = {
    "patch_length": 4, "context_length": 64, "horizon_length": 8, "num_hidden_layers": 1, "hidden_size": 16, "intermediate_size": 16,
    "head_dim": 8, "num_attention_heads": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    torch = pytest.importorskip("torch", reason="the extra `foundation` is not installed")
    transformers = pytest.importorskip("transformers", reason="the extra `foundation` is not installed")
    made = {}
    for kind in KINDS:
        torch.manual_seed(0)
        more = {"num_key_value_heads": 2, "output_quantile_len": 16} if kind == "TimesFm2_5" else {}
        config = getattr(transformers, f"{kind}Config")(**SMALL, **more)
        model = getattr(transformers, f"{kind}ModelForPrediction")(config)
        for weight in model.parameters():
            torch.nn.init.normal_(weight, std=0.3)  # what it starts with is next to nothing, and would forecast no spread
        made[kind] = tmp_path_factory.mktemp(kind)
        model.save_pretrained(made[kind])
    return made


def panel() -> SamplePanel:
    found = replace(samples(100, look_back=16), names=("return_1_ago", "b", "c", "d"))
    return replace(found, rows=found.rows[-8:])


def forecaster(folder: Path, **changes: object) -> FoundationForecaster:
    return FoundationForecaster(str(folder), **{"context": 16, "trained_until": "2020-01-01", **changes})


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_forecasts_and_each_row_stands_alone(folders: dict[str, Path], kind: str, tmp_path: Path) -> None:
    fitted = forecaster(folders[kind]).fit(panel())
    said = fitted.predict(panel())
    assert said.shape == (8, 2, 5) and np.isfinite(said).all() and (np.diff(said, axis=-1) >= 0).all()
    assert len(np.unique(said[:, 0, 4])) == 8
    alone = fitted.predict(replace(panel(), rows=panel().rows[3:4]))
    assert np.array_equal(alone[0], said[3])
    fitted.save(tmp_path)
    assert np.array_equal(fitted.clone().load(tmp_path).predict(panel()), said)
    with pytest.raises(FingerprintMismatch, match="other weights"):
        forecaster(folders[KINDS[kind == KINDS[0]]]).load(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_its_deciles_are_those_that_the_library_answers_for_the_series_of_prices(folders: dict[str, Path], kind: str) -> None:
    """An independent reckoning, of all rows at once, whose lowest value is above zero."""
    import torch
    import transformers

    model = getattr(transformers, f"{kind}ModelForPrediction").from_pretrained(folders[kind]).eval()
    series = (50.0 + np.random.default_rng(0).standard_normal((3, 16)).cumsum(axis=1)).astype(np.float32)
    with torch.no_grad():
        answer = model(past_values=list(torch.from_numpy(series)), forecast_context_len=16, truncate_negative=False)
    known = np.sort(answer.full_predictions[:, [0, 3], 1:].numpy(), axis=-1)
    said = loaded(str(folders[kind])).quantiles(series, (1, 4))
    np.testing.assert_allclose(said[:, :, 2], known[:, :, 4], rtol=1e-4)
    assert (said[:, :, 0] <= known[:, :, 0]).all() and (said[:, :, 4] >= known[:, :, 8]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_fall_is_not_cut_at_zero_and_a_shifted_series_gives_shifted_quantiles(folders: dict[str, Path], kind: str) -> None:
    network = loaded(str(folders[kind]))
    assert isinstance(network, QuantileForecaster)
    series = np.abs(np.random.default_rng(1).standard_normal((2, 16))).astype(np.float32)
    near = network.quantiles(series, (8,))
    np.testing.assert_allclose(network.quantiles(series + 32.0, (8,)) - 32.0, near, atol=2e-3)
    assert (near < 0).any()


def test_quantiles_of_a_normal_distribution_come_out_as_they_are() -> None:
    scores = np.array([NormalDist().inv_cdf(level / 10) for level in range(1, 10)])
    wanted = [NormalDist(2.0, 3.0).inv_cdf(level) for level in QUANTILES]
    np.testing.assert_allclose(_between(2.0 + 3.0 * scores[None], scores)[0], wanted, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("bars", "steps", "said"), [
    (18, (1,), "reads patches of 4 bars, up to 64; context is 18, set it to a multiple of 4"),
    (68, (1,), "up to 64; context is 68"),
    (16, (1, 9), "looks 8 bars ahead, and a horizon of the run is 9"),
])  # fmt: skip
def test_what_it_cannot_see_or_say_is_refused_in_one_line(
    folders: dict[str, Path], kind: str, bars: int, steps: tuple[int, ...], said: str
) -> None:
    with pytest.raises(InvalidSetting, match=said):
        loaded(str(folders[kind])).quantiles(np.zeros((1, bars), np.float32), steps)


def test_pickled_weights_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    import torch

    (tmp_path / "config.json").write_text((folders["TimesFm"] / "config.json").read_text(encoding="utf-8"), encoding="utf-8")
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ForecasterFailed, match="is no TimesFM checkpoint with weights in safetensors") as refused:
        loaded(str(tmp_path))
    assert "\n" not in str(refused.value)
