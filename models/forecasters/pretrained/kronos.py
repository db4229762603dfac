"""Kronos (Shi et al. 2025): a tokenizer and a decoder of candles, whose code is the user's own installation of it."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forwardtrader.core.errors import ForecasterFailed
from forwardtrader.core.threads import once
from forwardtrader.models.forecasters.pretrained.candle_features import calendar
from forwardtrader.models.forecasters.pretrained.weights import digest_of, file_of, network

CLIP: Final = 5.0  # of candles in deviations from the mean of their window, as Kronos was trained
_CLASSES: Final = ("Kronos", "KronosTokenizer")
_HOW: Final = (
    "give the folder of a clone of its repository (github.com/shiyu-coder/Kronos) as the parameter `code`, or install its package `model`: "
    "pip install --no-deps kronos-model-arch einops"
)


@once
def kronos(model: str, tokenizer: str, code: str) -> Kronos:
    """Two checkpoints, of folders or from the Hugging Face hub, in the classes of the installed code; loaded once in a process.

    Raises:
        ForecasterFailed: its code is not installed, or there are no such checkpoints.
    """
    found = _code(code)
    return Kronos(_read(found.Kronos, model), _read(found.KronosTokenizer, tokenizer), _text_of(found))


class Kronos:
    """The two networks of it.

    Args:
        text: a digest of the code that they are of.
    """

    def __init__(self, model: Any, tokenizer: Any, text: str) -> None:
        self._model, self._tokenizer = model, tokenizer
        self.digest = hashlib.sha256(f"{digest_of(model, tokenizer)} {text}".encode()).hexdigest()

    def closes(self, candles: NDArray[np.float64], minutes: NDArray[np.int64], draws: NDArray[np.float64]) -> NDArray[np.float64]:
        """Closes of continuations of one series of candles: [S, steps].

        Args:
            candles: [L, 6], open, high, low, close, volume, amount.
            minutes: [L + steps], minutes since 1970 of each bar's open, those ahead included.
            draws: numbers in 0..1, [S, steps, 2]: all that is random in it.
        """
        import torch

        mean, std = candles.mean(axis=0), candles.std(axis=0) + 1e-5 * np.array([0, 0, 0, 0, 1, 1]) + 1e-12
        given = torch.from_numpy(np.clip((candles - mean) / std, -CLIP, CLIP).astype(np.float32))[None]
        stamps = torch.from_numpy(calendar(minutes))[None].expand(len(draws), -1, -1)
        with torch.no_grad():
            said = [each.repeat(len(draws), 1) for each in self._tokenizer.encode(given, half=True)]
            for step in range(draws.shape[1]):
                said = self._gone_on(said, stamps[:, step : step + len(candles)], draws[:, step])
            decoded = self._tokenizer.decode([each[:, -len(candles) :].contiguous() for each in said], half=True)
        return np.asarray(decoded[:, -draws.shape[1] :, 3].numpy(), dtype=np.float64) * std[3] + mean[3]

    def _gone_on(self, said: list[Any], stamps: Any, draws: NDArray[np.float64]) -> list[Any]:
        """Both rows of tokens [S, n] with one more each: the coarse one first, and the fine one by it."""
        import torch

        seen = [each[:, -stamps.shape[1] :].contiguous() for each in said]
        coarse, context = self._model.decode_s1(*seen, stamps.contiguous())[:2]
        first = torch.from_numpy(_drawn(coarse[:, -1].float().numpy(), draws[:, 0]))[:, None]
        fine = self._model.decode_s2(context, first)[:, -1]
        second = torch.from_numpy(_drawn(fine.float().numpy(), draws[:, 1]))[:, None]
        return [torch.cat([each, more], dim=1) for each, more in zip(said, (first, second), strict=True)]


def _drawn(logits: NDArray[np.float32], draws: NDArray[np.float64]) -> NDArray[np.int64]:
    """A token for each row of logits by a number in 0..1: the inverse of its distribution."""
    wide = logits.astype(np.float64)
    likely = np.exp(wide - wide.max(axis=1, keepdims=True)).cumsum(axis=1)
    return np.minimum((likely < draws[:, None] * likely[:, -1:]).sum(axis=1), logits.shape[1] - 1).astype(np.int64)


def _code(folder: str) -> ModuleType:
    """The package `model` of Kronos. Raises ForecasterFailed where it is not there, or another one has its name."""
    place = Path(folder).expanduser().resolve()
    if folder and not (place / "model" / "__init__.py").is_file():
        raise ForecasterFailed(f"there is no package `model` in {place}; {_HOW}")
    if folder and str(place) not in sys.path:
        sys.path.insert(0, str(place))
    try:
        found = importlib.import_module("model")
    except ImportError as error:
        raise ForecasterFailed(f"Kronos' code cannot be imported: {error}; {_HOW}") from error
    where = Path(getattr(found, "__file__", None) or ".").resolve().parent.parent
    if not all(hasattr(found, kind) for kind in _CLASSES) or (folder and where != place):
        raise ForecasterFailed(f"the module `model` of {where} is not the code of Kronos that was asked for; rename it, and {_HOW}")
    return found


def _read(kind: Any, name: str) -> Any:
    def load() -> Any:
        from safetensors.torch import load_file

        given = json.loads(Path(file_of(name, "config.json")).read_text(encoding="utf-8"))
        made = kind(**{key: given[key] for key in inspect.signature(kind).parameters if key in given})
        made.load_state_dict(load_file(file_of(name, "model.safetensors")))
        return made

    return network(kind.__name__, name, load)


def _text_of(code: ModuleType) -> str:
    files = sorted(Path(str(code.__file__)).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
