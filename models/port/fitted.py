"""What a fold was trained to: the forecasts of a model in one form, whoever made it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from tempfile import TemporaryDirectory
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from forwardtrader.core.atomic import write_text
from forwardtrader.core.errors import FingerprintMismatch, ForecasterFailed
from forwardtrader.core.threads import one_thread
from forwardtrader.core.types import QUANTILES
from forwardtrader.core.user_code.errors import owned_errors
from forwardtrader.core.user_code.process_state import process_state_kept
from forwardtrader.models.port.base_forecaster import Answer, BaseForecaster
from forwardtrader.models.port.sample_panel import SamplePanel

OUTPUTS: Final = 1 + len(QUANTILES)
FOLDER: Final = "forecaster"
_META: Final = "forecaster.json"
_CROSSED: Final = 1e-5  # quantiles that cross by less are equal ones, rounded
Floats32 = NDArray[np.float32]


class FittedModel(Protocol):
    """A trained model: raw forecasts of location and quantiles, in units of the usual move over each horizon."""

    @property
    def context(self) -> int:
        """Rows of features that a forecast looks back over, its own included."""
        ...

    @property
    def members(self) -> Sequence[object]:
        """What is averaged."""
        ...

    @property
    def horizons(self) -> int:
        """How many horizons are forecast."""
        ...

    def raw(self, features: Floats32, rows: NDArray[np.int64], symbol: str) -> Floats32:
        """Raw forecasts at `rows` of features [T, F] of one symbol: float32 [N, members, H, 6], the same bits for one row as for many."""
        ...

    def save(self, folder: Path, templates: Path) -> None:
        """Write it to the folder of a model, whole or not at all; `templates` is shared by all models."""
        ...


@dataclass(frozen=True)
class SampleForm:
    """What a panel of samples says beside its arrays."""

    names: tuple[str, ...]
    horizons: tuple[int, ...]
    symbols: tuple[str, ...]
    timeframe_s: int

    def panel(
        self, features: Floats32, targets: Floats32, rows: NDArray[np.int64], symbol_of: NDArray[np.int64], look_back: int
    ) -> SamplePanel:
        return SamplePanel(
            features=features, targets=targets, rows=rows, symbol_of=symbol_of, look_back=look_back, names=self.names,
            horizons=self.horizons, symbols=self.symbols, timeframe_s=self.timeframe_s,
        )  # fmt: skip


@dataclass(frozen=True)
class FittedForecaster:
    """The forecasters of one fold: for each member one that answers all horizons, or one for each horizon.

    Attributes:
        spread: float32 [members, H, 5], quantiles of what the location missed in training, for those that answer a location alone.
        rows_per_call: how many rows each is asked about at a time; 1 where a row's forecast depended on the rows beside it.
    """

    members: tuple[tuple[BaseForecaster, ...], ...]
    form: SampleForm
    spread: Floats32
    rows_per_call: int

    @property
    def context(self) -> int:
        return self.members[0][0].warm_up

    @property
    def horizons(self) -> int:
        return len(self.form.horizons)

    def raw(self, features: Floats32, rows: NDArray[np.int64], symbol: str) -> Floats32:
        """Raises ForecasterFailed where an answer is no forecast."""
        code = self.form.symbols.index(symbol) if symbol in self.form.symbols else -1
        return self._raw(features, rows, np.full(len(rows), code))

    def raw_of(self, samples: SamplePanel, rows: NDArray[np.int64]) -> Floats32:
        """The same at rows of a panel of samples, whatever their symbols."""
        return self._raw(samples.features, rows, samples.symbol_of[rows])

    def save(self, folder: Path, templates: Path) -> None:
        """Write each forecaster to a folder of its own; the digest of all files says whether they are whole."""
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder) as temporary:
            made = Path(temporary) / FOLDER
            for place, forecaster in self._places():
                (made / place).mkdir(parents=True)
                with owned_errors(type(forecaster).__name__, ForecasterFailed):
                    forecaster.save(made / place)
            form = {"names": self.form.names, "horizons": self.form.horizons, "symbols": self.form.symbols}
            try:
                digests = _digests(made)
            except ValueError as error:
                raise ForecasterFailed(f"{type(self.members[0][0]).__name__}.save: {error}; write files alone") from error
            meta = form | {
                "timeframe_s": self.form.timeframe_s, "members": len(self.members), "each": len(self.members[0]),
                "rows_per_call": self.rows_per_call, "spread": self.spread.tolist(), "files": digests,
            }  # fmt: skip
            write_text(made / _META, json.dumps(meta, indent=1))
            if (folder / FOLDER).exists():
                shutil.rmtree(folder / FOLDER)
            made.rename(folder / FOLDER)

    def _places(self) -> list[tuple[str, BaseForecaster]]:
        return [(f"{m}-{k}", forecaster) for m, each in enumerate(self.members) for k, forecaster in enumerate(each)]

    def _raw(self, features: Floats32, rows: NDArray[np.int64], codes: NDArray[np.int64]) -> Floats32:
        out = np.empty((len(rows), len(self.members), self.horizons, OUTPUTS), np.float32)
        with one_thread():
            for first in range(0, len(rows), self.rows_per_call):
                block = slice(first, min(first + self.rows_per_call, len(rows)))
                panel = self._panel(features, rows[block], codes[block])
                for m in range(len(self.members)):
                    out[block, m] = self._of_member(m, panel)[: block.stop - first]
        return out

    def _panel(self, features: Floats32, rows: NDArray[np.int64], codes: NDArray[np.int64]) -> SamplePanel:
        """`rows_per_call` samples; where there are fewer the last one is repeated. Nothing after a row is handed over."""
        again = self.rows_per_call - len(rows)
        rows, codes = np.append(rows, np.repeat(rows[-1:], again)), np.append(codes, np.repeat(codes[-1:], again))
        stacked = features[rows[:, None] + np.arange(1 - self.context, 1)].reshape(-1, features.shape[1])
        unknown = np.full((len(stacked), self.horizons), np.nan, np.float32)
        samples = np.arange(self.rows_per_call) * self.context + self.context - 1
        return self.form.panel(stacked, unknown, samples, np.repeat(codes, self.context), self.context)

    def _of_member(self, member: int, panel: SamplePanel) -> Floats32:
        each = self.members[member]
        asked = [panel] if each[0].all_horizons else [panel.at_horizon(h) for h in range(self.horizons)]
        answers = [answered(forecaster, one) for forecaster, one in zip(each, asked, strict=True)]
        return np.concatenate([_with_spread(a, self._spread_of(member, k, len(answers))) for k, a in enumerate(answers)], axis=1)

    def _spread_of(self, member: int, place: int, of: int) -> Floats32:
        return self.spread[member] if of == 1 else self.spread[member, place : place + 1]


def answered(forecaster: BaseForecaster, panel: SamplePanel) -> Floats32:
    """What a forecaster answers for a panel: float32 [N, H, 6], location and quantiles, which are NaN where it gives a location alone.

    Raises:
        ForecasterFailed: it raised an exception, or the answer is of another shape, not finite, or its quantiles cross.
    """
    name = type(forecaster).__name__
    with owned_errors(name, ForecasterFailed), process_state_kept():
        answer = forecaster.predict(panel)
    try:
        return _as_raw(answer, len(panel), len(panel.horizons), all_horizons=forecaster.all_horizons)
    except (ValueError, TypeError) as error:
        raise ForecasterFailed(f"{name}.predict: {error}") from error


def _as_raw(answer: Answer, rows: int, horizons: int, *, all_horizons: bool) -> Floats32:
    if any(np.ma.is_masked(part) for part in (answer if isinstance(answer, tuple) else (answer,))):
        raise ValueError("an answer of which a part is masked; answer a number for each sample")
    shape = (rows, horizons) if all_horizons else (rows,)
    out = np.full((rows, horizons, OUTPUTS), np.nan, np.float32)
    if isinstance(answer, tuple):
        if len(answer) != 2:
            raise ValueError(f"a tuple of {len(answer)}; a tuple has location and scale, quantiles are one array {[*shape, 5]}")
        location, scale = (_numbers(part, shape).reshape(rows, horizons) for part in answer)
        if (scale < 0).any():
            raise ValueError(f"a scale of {float(scale.min()):g}; scales are not below zero")
        normal = np.array([NormalDist().inv_cdf(level) for level in QUANTILES], np.float32)
        out[:, :, 0], out[:, :, 1:] = location, location[:, :, None] + scale[:, :, None] * normal
        return out
    found = _array(answer)
    if found.ndim == len(shape) + 1 and found.shape[-1] == OUTPUTS:
        out[:] = _numbers(found, (*shape, OUTPUTS)).reshape(out.shape)
        _require_order(out[..., 1:])
        return out
    if found.ndim == len(shape) + 1 and found.shape[-1] == len(QUANTILES):
        quantiles = _numbers(found, (*shape, len(QUANTILES))).reshape(rows, horizons, len(QUANTILES))
        _require_order(quantiles)
        out[:, :, 0], out[:, :, 1:] = quantiles[:, :, 2], quantiles
        return out
    out[:, :, 0] = _numbers(found, shape).reshape(rows, horizons)
    return out


def _require_order(quantiles: Floats32) -> None:
    if (np.diff(quantiles, axis=-1) < -_CROSSED).any():
        raise ValueError("the quantiles cross; answer them in rising order, as np.sort(quantiles, axis=-1) does")


def _array(found: object) -> NDArray[Any]:
    array = np.asarray(found)
    if array.dtype == object and array.ndim == 0:  # whatever numpy cannot read: a mapping, a generator, a coroutine, nothing at all
        raise ValueError(f"an answer of type {type(found).__name__}; answer an array of numbers")
    return array


def _numbers(found: object, shape: tuple[int, ...]) -> Floats32:
    array = _array(found)
    if array.dtype.kind not in "fiuO":
        raise ValueError(f"an answer of type {array.dtype}; answer numbers, as float32 or float64")
    with np.errstate(over="ignore"):  # what is too large is found below
        array = array.astype(np.float64).astype(np.float32)
    if array.shape != shape:
        raise ValueError(f"an answer of shape {list(array.shape)}; a location has {list(shape)} here, quantiles have {[*shape, 5]}")
    if not np.isfinite(array).all():
        raise ValueError(f"{int((~np.isfinite(array)).sum()):,} of {array.size:,} numbers are not finite, or too large")
    return array


def _with_spread(raw: Floats32, spread: Floats32) -> Floats32:
    """Where only a location was answered, quantiles at what it missed in training."""
    if np.isnan(raw[..., 1:]).any():
        raw[..., 1:] = raw[..., :1] + spread
    return raw


def load_fitted(folder: Path, prototype: BaseForecaster) -> FittedForecaster:
    """Read what `FittedForecaster.save` wrote; the class comes from the prototype, never from the files.

    Raises:
        FingerprintMismatch: files are absent, were changed, or do not fit together.
    """
    root = folder / FOLDER
    try:
        meta = json.loads((root / _META).read_text(encoding="utf-8"))
        form = SampleForm(tuple(meta["names"]), tuple(meta["horizons"]), tuple(meta["symbols"]), int(meta["timeframe_s"]))
        spread, each = np.asarray(meta["spread"], np.float32), int(meta["each"])
        members, rows = int(meta["members"]), int(meta["rows_per_call"])
        if _digests(root) != meta["files"] or spread.shape != (members, len(form.horizons), len(QUANTILES)) or rows < 1:
            raise ValueError("its files were changed")
        fitted = tuple(tuple(_loaded(prototype, root / f"{m}-{k}") for k in range(each)) for m in range(members))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FingerprintMismatch(f"{root} is absent or damaged ({error}); remove the model's folder and train again") from error
    return FittedForecaster(fitted, form, spread, rows)


def _loaded(prototype: BaseForecaster, folder: Path) -> BaseForecaster:
    name = type(prototype).__name__
    with owned_errors(name, ForecasterFailed), process_state_kept():
        found: object = prototype.clone().load(folder)
    if not isinstance(found, BaseForecaster):
        raise ForecasterFailed(f"{name}.load answered {type(found).__name__}; end it with `return self`")
    return found


def _digests(root: Path) -> dict[str, str]:
    """The digest of each file below a folder but the one that lists them. Raises ValueError where one is a link."""
    found = {}
    for path in sorted(root.rglob("*")):
        if path.is_symlink():
            raise ValueError(f"{path.name} is a link")
        if path.is_file() and path != root / _META:
            found[str(path.relative_to(root))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found
