"""Early checks of a request, before anything long starts."""

from __future__ import annotations

from forwardtrader.backtest.request import BacktestRequest
from forwardtrader.core.errors import InvalidSetting
from forwardtrader.models.forecasters.baselines import chosen
from forwardtrader.models.port.prototype import prototype
from forwardtrader.strategies.user_code.strategy_class import load_strategy


def check(request: BacktestRequest) -> None:
    """Refuse a request that cannot end well.

    Raises:
        ConfigError: the traded horizon is not forecast, a baseline is unknown, or a forecaster or the strategy cannot be loaded.
    """
    models, traded = request.settings.models, request.settings.strategies.horizon
    if traded not in models.horizons:
        known = ", ".join(str(h) for h in models.horizons)
        raise InvalidSetting(f"strategies.horizon {traded} is not among models.horizons ({known}); add it there, or trade one of these")
    chosen(models.baselines)
    prototype(models)
    for spec in models.compared:
        prototype(models.model_copy(update={"forecaster": spec, "params": {}}))
    if request.strategy:
        load_strategy(request.strategy)
