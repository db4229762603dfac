"""Warm starts: which model another one starts from.

Between two anchors (`models.walk_forward`) windows overlap by nearly all they hold, so a network need not be trained from scratch: it takes
over the weights of the anchor's model and moves them a little on its own window. All models between two anchors
start from the same one, never from one another, so each depends on one other model at most and they can be trained side by side. Where
the candles at hand do not fill the anchor's window, a model is trained from scratch as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from forwardtrader.core.settings import ModelSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.models.features.catalogue import warm_up
from forwardtrader.models.features.panel import Panel
from forwardtrader.models.folds.training import model_id
from forwardtrader.models.port.base_forecaster import WarmStarting
from forwardtrader.models.port.prototype import prototype
from forwardtrader.models.walk_forward import Fold, anchor, filled, fold_at


@dataclass(frozen=True)
class PlannedModel:
    """A model to be trained: its fold, its fingerprint, and the base of its warm start, which has none itself."""

    fold: Mapping[str, Fold]
    identity: str
    base: PlannedModel | None = None


def planned_model(panel: Panel, fold: Mapping[str, Fold], settings: ModelSettings, timeframe: Timeframe) -> PlannedModel:
    """What decides the model of a fold, the same wherever the run or the session that asks for it began."""
    reach = warm_up(panel.names)
    boundary = next(iter(fold.values())).boundary
    base = _base(panel, tuple(fold), boundary, settings, timeframe, reach)
    return PlannedModel(fold, model_id(panel, fold, settings, reach, base.identity if base else ""), base)


def planned_anew(panel: Panel, fold: Mapping[str, Fold], settings: ModelSettings) -> PlannedModel:
    """The same without a warm start: what an anchor learned is of the market before a change."""
    return PlannedModel(fold, model_id(panel, fold, settings, warm_up(panel.names)))


def _can_go_on(settings: ModelSettings) -> bool:
    own = prototype(settings)
    return own is None or (isinstance(own, WarmStarting) and own.goes_on)


def _base(
    panel: Panel, symbols: tuple[str, ...], boundary: datetime, settings: ModelSettings, timeframe: Timeframe, reach: int
) -> PlannedModel | None:
    at = anchor(boundary, settings)
    if at == boundary or not _can_go_on(settings):
        return None
    fold = {symbol: fold_at(panel.index[symbol], at, at, settings, timeframe, reach) for symbol in symbols}
    if not all(filled(each, settings, timeframe, panel.index[symbol]) for symbol, each in fold.items()):
        return None
    return PlannedModel(fold, model_id(panel, fold, settings, reach))
