"""Chronos (Ansari et al. 2024): a T5 network that continues a series token by token."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forwardtrader.models.forecasters.pretrained.weights import digest_of, network

_BINS: Final = "MeanScaleUniformBins"
Floats32 = NDArray[np.float32]


def chronos(name: str, config: Any) -> Chronos:
    """The Chronos T5 checkpoint in a folder, or of that name on the Hugging Face hub.

    Raises:
        ForecasterFailed: there is no checkpoint of this kind.
    """

    def load() -> Any:
        from transformers import T5ForConditionalGeneration

        Bins.of(getattr(config, "chronos_config", None), name)
        return T5ForConditionalGeneration.from_pretrained(name, config=config, use_safetensors=True, trust_remote_code=False)

    return Chronos(network("Chronos T5", name, load), Bins.of(config.chronos_config, name))


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
    """A checkpoint of it."""

    def __init__(self, model: Any, bins: Bins) -> None:
        self._model, self._bins = model, bins
        self._digest = digest_of(model)

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
