"""Early checks of a request, before anything long starts."""

from __future__ import annotations

from dataclasses import replace

from forwardtrader.backtest.request import BacktestRequest
from forwardtrader.core.errors import InvalidDates, InvalidSetting
from forwardtrader.core.types import Timeframe
from forwardtrader.models.features.selection import look_back
from forwardtrader.models.port.names import chosen_baselines
from forwardtrader.models.port.prototype import asked_from, named_forecaster, prototype
from forwardtrader.strategies.user_code.strategy_class import load_strategy


def checked(request: BacktestRequest) -> BacktestRequest:
    """The request, which begins no earlier than its forecaster may be asked. Raises as `check`."""
    check(request)
    moment = asked_from(prototype(request.settings.models))
    if moment is None or moment <= request.first:
        return request
    if moment >= request.last:
        name = named_forecaster(request.settings.models)
        raise InvalidDates(
            f"no bar before {moment:%Y-%m-%d} counts: {name} was trained on data up to then; let the run end later, with --to"
        )
    return replace(request, first=moment)


def seen_until(request: BacktestRequest) -> str:
    """The first day that what the forecaster was trained on before the run does not reach; "" where it learns in the run alone."""
    moment = asked_from(prototype(request.settings.models))
    return "" if moment is None else f"{moment:%Y-%m-%d}"


def check(request: BacktestRequest) -> None:
    """Refuse a request that cannot end well.

    Raises:
        ConfigError: the traded horizon is not forecast, a feature or a baseline is unknown, or a forecaster or the strategy cannot be
            loaded.
    """
    models, traded = request.settings.models, request.settings.strategies.horizon
    if traded not in models.horizons:
        known = ", ".join(str(h) for h in models.horizons)
        raise InvalidSetting(f"strategies.horizon {traded} is not among models.horizons ({known}); add it there, or trade one of these")
    chosen_baselines(models.baselines)
    look_back(models.features, Timeframe.parse(request.settings.feeds.timeframe))
    asked_from(prototype(models))
    for spec in models.compared:
        asked_from(prototype(models.model_copy(update={"forecaster": spec, "params": {}})))
    if request.strategy:
        load_strategy(request.strategy)
