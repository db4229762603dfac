"""Foundation models of time series, which were trained before the run on data of others.

Bars that their training data reaches are not out of sample, and nothing of what they forecast there counts. Read are weights in safetensors
alone, which hold numbers and no code.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from forwardtrader.core.atomic import write_text
from forwardtrader.core.errors import FingerprintMismatch, ForecasterFailed, InvalidSetting
from forwardtrader.core.threads import once
from forwardtrader.core.types import QUANTILES
from forwardtrader.models.port.base_forecaster import Answer, BaseForecaster
from forwardtrader.models.port.prototype import asked_from
from forwardtrader.models.port.sample_panel import SamplePanel

SERIES: Final = "return_1_ago"
_LEARNED: Final = "checkpoint.json"
_BINS: Final = "MeanScaleUniformBins"
Floats32 = NDArray[np.float32]


class PathForecaster(Protocol):
    """What continues a series in several ways."""

    @property
    def digest(self) -> str:
        """Of its weights: the same for the same numbers."""
        ...

    def paths(self, series: Floats32, steps: int, draws: NDArray[np.float64]) -> Floats32:
        """How each series [N, L] may go on: [N, S, steps]; the numbers `draws` in 0..1, [S, steps], are all that is random in it."""
        ...


# The name or folder of a Chronos checkpoint, or a function that gives another model.
Loader: TypeAlias = str | Callable[[], PathForecaster]


class FoundationForecaster(BaseForecaster):
    """Forecasts by a model that was trained before the run: its sampled continuations of the returns, summed over each horizon.

    Nothing is learned from the run but how far its quantiles must be stretched.

    Args:
        loader: folder or hub name of a Chronos T5 checkpoint (`amazon/chronos-t5-small`), or a function that gives a `PathForecaster`.
        context: bars of returns that it continues.
        trained_until: the first day that its training data does not reach, as `2024-06-01`. Ask those who trained it; earlier bars are
            neither forecast nor scored.
        samples: continuations per forecast.
        draw: of the numbers that continuations are drawn by.
    """

    all_horizons = True
    rows_per_call = 8

    def __init__(self, loader: Loader, *, context: int = 512, trained_until: str = "", samples: int = 100, draw: int = 0) -> None:
        self.loader = loader
        self.context = context
        self.trained_until = trained_until
        self.samples = samples
        self.draw = draw

    @property
    def warm_up(self) -> int:  # type: ignore[override]
        """Rows of features that a forecast looks back over: those of `context`."""
        return self.context

    def fit(self, panel: SamplePanel) -> Self:
        """Load the checkpoint.

        Raises:
            InvalidSetting: `trained_until` is not stated, or the run has no returns among its features.
            ForecasterFailed: there is no such checkpoint, or none that can be read.
        """
        asked_from(self)
        if SERIES not in panel.names:
            raise InvalidSetting(
                f"FoundationForecaster continues the feature {SERIES}, which this run does not have; add it to the features"
            )
        self.checkpoint_ = self._model().digest
        return self

    def predict(self, panel: SamplePanel) -> Answer:
        """Quantiles of each sample at all horizons: [N, H, 5]."""
        returns = panel.windows(self.context)[:, :, panel.names.index(SERIES)]
        draws = np.random.default_rng(self.draw).random((self.samples, max(panel.horizons)))
        ahead = self._model().paths(returns, max(panel.horizons), draws).cumsum(axis=2, dtype=np.float64)
        moves = np.stack([ahead[:, :, h - 1] / np.sqrt(h) for h in panel.horizons], axis=1)
        return np.moveaxis(np.quantile(moves, QUANTILES, axis=2), 0, -1).astype(np.float32)

    def save(self, folder: Path) -> None:
        """Write which weights it forecasts with; they themselves stay where they are."""
        write_text(folder / _LEARNED, json.dumps({"checkpoint": self.checkpoint_}))

    def load(self, folder: Path) -> Self:
        """See that the checkpoint still is the one that was saved. Raises FingerprintMismatch where it is not."""
        try:
            saved = str(json.loads((folder / _LEARNED).read_text(encoding="utf-8"))["checkpoint"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FingerprintMismatch(f"{folder} is absent or damaged; remove the model's folder and train again") from error
        if self._model().digest != saved:
            raise FingerprintMismatch(f"the checkpoint {self.loader} has other weights than those that {folder} was made with")
        self.checkpoint_ = saved
        return self

    def _model(self) -> PathForecaster:
        return chronos(self.loader) if isinstance(self.loader, str) else _loaded(self.loader)


@once
def _loaded(loader: Callable[[], PathForecaster]) -> PathForecaster:
    return loader()


@once
def chronos(name: str) -> Chronos:
    """The Chronos T5 checkpoint in a folder, or of that name on the Hugging Face hub; loaded once in a process.

    Raises:
        ForecasterFailed: torch and transformers are not installed, or there is no checkpoint of this kind.
    """
    try:
        from transformers import AutoConfig, T5ForConditionalGeneration
    except ImportError as error:
        raise ForecasterFailed("foundation models need torch and transformers: pip install 'forwardtrader[foundation]'") from error
    try:
        config = AutoConfig.from_pretrained(name, trust_remote_code=False)
        bins = Bins.of(getattr(config, "chronos_config", None), name)
        # Weights that are pickled could run code; without any in safetensors it is refused.
        model = T5ForConditionalGeneration.from_pretrained(name, config=config, use_safetensors=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ForecasterFailed(f"{name} is no Chronos T5 checkpoint with weights in safetensors that could be loaded: {reason}") from error
    return Chronos(model.eval(), bins)


class Bins:
    """How Chronos writes a series as tokens: divided by its mean absolute value, then binned evenly between two limits."""

    def __init__(self, low: float, high: float, tokens: int, special: int, pad: int, eos: int | None) -> None:
        self.centres = np.linspace(low, high, tokens - special - 1)
        self.edges = (self.centres[1:] + self.centres[:-1]) / 2
        self.special, self.pad, self.eos = special, pad, eos

    @classmethod
    def of(cls, config: Any, name: str) -> Bins:
        """From the `chronos_config` of a checkpoint. Raises ValueError where it is of another kind."""
        if not isinstance(config, dict) or config.get("tokenizer_class") != _BINS or config.get("model_type") != "seq2seq":
            raise ValueError(f"{name} has no chronos_config with {_BINS} and seq2seq (Chronos-Bolt has not)")
        limits = config["tokenizer_kwargs"]
        eos = int(config["eos_token_id"]) if config.get("use_eos_token") else None
        counts = int(config["n_tokens"]), int(config["n_special_tokens"]), int(config["pad_token_id"])
        return cls(float(limits["low_limit"]), float(limits["high_limit"]), *counts, eos)

    def tokens(self, series: Floats32) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Tokens [N, L or L + 1] of series [N, L], and what each was divided by [N]."""
        scale = np.abs(series.astype(np.float64)).mean(axis=1)
        scale = np.where(scale > 0, scale, 1.0)
        found = np.searchsorted(self.edges, series / scale[:, None], side="right") + 1 + self.special
        end = [] if self.eos is None else [np.full((len(found), 1), self.eos)]
        return np.concatenate([found, *end], axis=1).astype(np.int64), scale

    def values(self, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
        """The centres of the bins that tokens stand for."""
        return self.centres[np.clip(tokens - self.special - 1, 0, len(self.centres) - 1)]

    @property
    def first(self) -> int:
        """The token of the lowest bin."""
        return self.special + 1


class Chronos:
    """A Chronos T5 network (Ansari et al. 2024), which continues a series token by token."""

    def __init__(self, model: Any, bins: Bins) -> None:
        self._model, self._bins = model, bins
        digest = hashlib.sha256()
        for key, value in sorted(model.state_dict().items()):
            digest.update(key.encode() + value.cpu().float().numpy().tobytes())
        self._digest = digest.hexdigest()

    @property
    def digest(self) -> str:
        return self._digest

    def paths(self, series: Floats32, steps: int, draws: NDArray[np.float64]) -> Floats32:
        """By inverse transform: every series is continued by the same draws, wherever it stands among those asked about."""
        import torch

        tokens, scale = self._bins.tokens(series)
        count, rows = len(draws), len(series)
        with torch.no_grad():
            given = torch.from_numpy(tokens)
            mask = torch.ones_like(given)
            hidden = self._model.get_encoder()(input_ids=given, attention_mask=mask).last_hidden_state
            hidden, mask = hidden.repeat_interleave(count, 0), mask.repeat_interleave(count, 0)
            said = torch.full((rows * count, 1), int(self._model.config.decoder_start_token_id))
            for step in range(steps):
                logits = self._model(encoder_outputs=(hidden,), attention_mask=mask, decoder_input_ids=said).logits[:, -1]
                told = self._drawn(logits.float().numpy(), np.tile(draws[:, step], rows))
                said = torch.cat([said, torch.from_numpy(told)[:, None]], dim=1)
        values = self._bins.values(said[:, 1:].numpy()).reshape(rows, count, steps)
        return (values * scale[:, None, None]).astype(np.float32)

    def _drawn(self, logits: Floats32, draws: NDArray[np.float64]) -> NDArray[np.int64]:
        """A token of a bin for each row of logits, by a number in 0..1; the special tokens are no values."""
        first, last = self._bins.first, self._bins.first + len(self._bins.centres)
        of_bins = logits[:, first:last].astype(np.float64)
        likely = np.exp(of_bins - of_bins.max(axis=1, keepdims=True)).cumsum(axis=1)
        return first + np.minimum((likely < draws[:, None] * likely[:, -1:]).sum(axis=1), last - first - 1)
