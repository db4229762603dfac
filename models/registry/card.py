"""The model card: training data, settings, calibration and code version of a saved model."""

from __future__ import annotations

import functools
import hashlib
from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from forwardtrader.models.forecasters.calibration import Calibration

SCHEMA: Final = 1
# The sources that decide what a model of given data and settings comes out as.
SOURCES: Final = (
    "features/rolling",
    "features/bars",
    "features/catalogue",
    "features/own_features",
    "features/factor_features",
    "features/cross_section",
    "features/time_series/weighted",
    "features/time_series/catalogue",
    "features/asset_panel",
    "features/panel",
    "features/sequences",
    "forecasters/lstm",
    "forecasters/trainer",
    "forecasters/recurrent",
    "forecasters/xla",
    "forecasters/linear_start",
    "forecasters/huber_regression",
    "forecasters/shipped/scaled_rows",
    "forecasters/shipped/rules",
    "forecasters/shipped/linear",
    "forecasters/shipped/forest",
    "forecasters/shipped/lightgbm_forecaster",
    "forecasters/shipped/sklearn_forecaster",
    "forecasters/shipped/ensembles",
    "forecasters/shipped/panel_forecaster",
    "forecasters/trees",
    "forecasters/calibration",
    "walk_forward",
    "folds/warm_start",
    "folds/training",
    "folds/fitting",
    "port/fitted",
    "port/sample_panel",
    "port/base_forecaster",
    "registry/card",
)


class ModelCard(BaseModel):
    """The JSON file beside each `model.keras`. Times are UTC bar-open times, ISO 8601.

    `changed` is when the market was found to have changed: nothing much older was learned from; empty for a model of its whole window.
    `goes_on_from` names the model whose weights it took over before it was trained on its own window; empty where it learned from nothing.
    `forecaster_id` is the fingerprint of a forecaster other than the LSTM (`models.port.prototype`).
    """

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    schema_version: int = SCHEMA
    model_id: str
    symbols: tuple[str, ...]
    timeframe: str
    horizons: tuple[int, ...]
    features: tuple[str, ...]
    boundary: str
    train_from: str
    train_to: str
    train_bars: int
    seeds: tuple[int, ...]
    train_loss: float
    seconds: float
    trees: float = 0.0
    reason: str
    calibrations: dict[str, tuple[Calibration, ...]]
    code_version: str
    goes_on_from: str = ""
    forecaster: str = "lstm"
    forecaster_id: str = ""
    changed: str = ""

    @property
    def market_changed(self) -> datetime | None:
        return datetime.fromisoformat(self.changed) if self.changed else None


@functools.cache
def code_version() -> str:
    """Hash of the sources above: a model of other code is another model."""
    digest = hashlib.sha256()
    for name in SOURCES:
        digest.update((Path(__file__).parents[1] / f"{name}.py").read_bytes())
    return digest.hexdigest()[:16]
