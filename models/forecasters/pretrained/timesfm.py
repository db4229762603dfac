"""TimesFM (Das et al. 2024): a decoder that forecasts quantiles of a series many steps ahead at once."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forwardtrader.core.errors import ForecasterFailed, InvalidSetting
from forwardtrader.core.types import QUANTILES
from forwardtrader.models.forecasters.pretrained.weights import digest_of, network

# By the `model_type` of a checkpoint's configuration: 1.0 and 2.0, and 2.5.
KINDS: Final = {"timesfm": "TimesFmModelForPrediction", "timesfm2_5": "TimesFm2_5ModelForPrediction"}
Floats32 = NDArray[np.float32]


def timesfm(name: str, config: Any) -> TimesFM:
    """The TimesFM checkpoint in a folder, or of that name on the Hugging Face hub.

    Raises:
        ForecasterFailed: there is no checkpoint of this kind.
    """

    def load() -> Any:
        import transformers

        kind = getattr(transformers, KINDS[config.model_type])
        return kind.from_pretrained(name, config=config, use_safetensors=True, trust_remote_code=False)

    return TimesFM(network("TimesFM", name, load))


class TimesFM:
    """A checkpoint of it."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._digest = digest_of(model)
        self._levels = np.array([NormalDist().inv_cdf(level) for level in model.config.quantiles])

    @property
    def digest(self) -> str:
        return self._digest

    def quantiles(self, series: Floats32, steps: tuple[int, ...]) -> Floats32:
        """Where each series [N, L] stands after so many steps, at 5, 25, 50, 75 and 95 %: float32 [N, H, 5].

        It knows the deciles from 10 to 90 %; between them, and on the straight line beyond, quantiles are taken in normal scores.

        Raises:
            InvalidSetting: L is not a number of its patches, or more than it sees, or a step is further than it looks.
        """
        import torch

        self._require_fit(series.shape[1], max(steps))
        with torch.no_grad():
            # One at a time: a row has the same bits whatever it is asked beside.
            rows = [self._answer(torch.from_numpy(row)) for row in np.ascontiguousarray(series, np.float32)]
        known = np.sort(np.stack(rows)[:, np.asarray(steps) - 1], axis=-1)
        return _between(known, self._levels)

    def _answer(self, series: Any) -> NDArray[np.float64]:
        """Its quantiles [steps, Q] for one series [L]."""
        said = self._model(past_values=[series], forecast_context_len=len(series), truncate_negative=False).full_predictions
        return np.asarray(said[0, :, 1:].float().numpy(), dtype=np.float64)

    def _require_fit(self, bars: int, furthest: int) -> None:
        config = self._model.config
        if bars % config.patch_length or bars > config.context_length:
            raise InvalidSetting(
                f"TimesFM reads patches of {config.patch_length} bars, up to {config.context_length}; context is {bars}, set it to a "
                f"multiple of {config.patch_length}"
            )
        if furthest > config.horizon_length:
            raise InvalidSetting(
                f"this TimesFM looks {config.horizon_length} bars ahead, and a horizon of the run is {furthest}; shorten it"
            )


def _between(known: NDArray[np.float64], scores: NDArray[np.float64]) -> Floats32:
    """Quantiles [..., Q] at those normal scores, carried over to ours: [..., 5]."""
    if len(scores) < 2:
        raise ForecasterFailed(f"a TimesFM checkpoint that answers {len(scores)} quantiles; two are needed at least")
    wanted = np.array([NormalDist().inv_cdf(level) for level in QUANTILES])
    right = np.clip(np.searchsorted(scores, wanted), 1, len(scores) - 1)
    share = (wanted - scores[right - 1]) / (scores[right] - scores[right - 1])
    return (known[..., right - 1] + share * (known[..., right] - known[..., right - 1])).astype(np.float32)
