"""Walk-forward forecasts for Backtrader, with backtests that can be believed and live runs that can be checked against them.

    import forwardtrader as ft

    cerebro.addindicator(ft.LSTMForecast)

Names are imported when they are first used, so that `import forwardtrader` costs next to nothing.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

# Networks are trained through jax. Keras reads this when it is imported, which a file of the user's may do before anything of ours.
os.environ.setdefault("KERAS_BACKEND", "jax")
_ROOT = Path(__file__).resolve().parent.parent
if (_ROOT / "run_live.py").is_file():
    # A checkout: the packages stand beside this one. The links to them in this folder are for type checkers and editors.
    __path__.insert(0, str(_ROOT))

from forwardtrader.core.command.installed import require  # noqa: E402 - it is found by what was set above

require()

if TYPE_CHECKING:
    from forwardtrader.backtest.api.audits import audit
    from forwardtrader.backtest.api.candles import load_candles
    from forwardtrader.backtest.api.facts import load_funding, load_marks
    from forwardtrader.backtest.api.forecasts import WalkForward
    from forwardtrader.backtest.api.runs import Run, backtest, compare
    from forwardtrader.backtest.audit.check_forecaster import check_forecaster
    from forwardtrader.backtest.audit.check_strategy import check_strategy
    from forwardtrader.core.types import Forecast
    from forwardtrader.live.bridge.store import CCXTStore
    from forwardtrader.models.features.bars import Bars
    from forwardtrader.models.features.own_features import feature
    from forwardtrader.models.features.rolling import lag, window_max, window_mean, window_min, window_rms, window_sum
    from forwardtrader.models.forecaster import ForecastSource, RecordedForecasts
    from forwardtrader.models.forecasters.keras_networks.forecaster import KerasForecaster
    from forwardtrader.models.forecasters.keras_networks.lstm_forecaster import LSTMForecaster
    from forwardtrader.models.forecasters.pretrained.foundation import FoundationForecaster
    from forwardtrader.models.forecasters.pretrained.kronos_forecaster import KronosForecaster
    from forwardtrader.models.forecasters.shipped.ensembles import BlendForecaster, MeanForecaster, StackingForecaster
    from forwardtrader.models.forecasters.shipped.lightgbm_forecaster import LightGBMForecaster
    from forwardtrader.models.forecasters.shipped.linear import LinearHuber, LinearRidge
    from forwardtrader.models.forecasters.shipped.panel_forecaster import PanelForecaster
    from forwardtrader.models.forecasters.shipped.sklearn_forecaster import SklearnForecaster
    from forwardtrader.models.port.base_forecaster import BaseForecaster, WarmStarting
    from forwardtrader.models.port.sample_panel import SamplePanel
    from forwardtrader.strategies.backtrader.assembly import Feed, build_cerebro
    from forwardtrader.strategies.backtrader.indicator import LSTMForecast
    from forwardtrader.strategies.backtrader.strategy import LSTMStrategy

_DEFINED_IN = {
    "Bars": "models.features.bars",
    "BaseForecaster": "models.port.base_forecaster",
    "BlendForecaster": "models.forecasters.shipped.ensembles",
    "CCXTStore": "live.bridge.store",
    "Feed": "strategies.backtrader.assembly",
    "Forecast": "core.types",
    "ForecastSource": "models.forecaster",
    "FoundationForecaster": "models.forecasters.pretrained.foundation",
    "KerasForecaster": "models.forecasters.keras_networks.forecaster",
    "KronosForecaster": "models.forecasters.pretrained.kronos_forecaster",
    "LSTMForecast": "strategies.backtrader.indicator",
    "LSTMForecaster": "models.forecasters.keras_networks.lstm_forecaster",
    "LSTMStrategy": "strategies.backtrader.strategy",
    "LightGBMForecaster": "models.forecasters.shipped.lightgbm_forecaster",
    "LinearHuber": "models.forecasters.shipped.linear",
    "LinearRidge": "models.forecasters.shipped.linear",
    "MeanForecaster": "models.forecasters.shipped.ensembles",
    "PanelForecaster": "models.forecasters.shipped.panel_forecaster",
    "RecordedForecasts": "models.forecaster",
    "Run": "backtest.api.runs",
    "SamplePanel": "models.port.sample_panel",
    "SklearnForecaster": "models.forecasters.shipped.sklearn_forecaster",
    "StackingForecaster": "models.forecasters.shipped.ensembles",
    "WalkForward": "backtest.api.forecasts",
    "WarmStarting": "models.port.base_forecaster",
    "audit": "backtest.api.audits",
    "backtest": "backtest.api.runs",
    "build_cerebro": "strategies.backtrader.assembly",
    "check_forecaster": "backtest.audit.check_forecaster",
    "check_strategy": "backtest.audit.check_strategy",
    "compare": "backtest.api.runs",
    "feature": "models.features.own_features",
    "lag": "models.features.rolling",
    "load_candles": "backtest.api.candles",
    "load_funding": "backtest.api.facts",
    "load_marks": "backtest.api.facts",
    "window_max": "models.features.rolling",
    "window_mean": "models.features.rolling",
    "window_min": "models.features.rolling",
    "window_rms": "models.features.rolling",
    "window_sum": "models.features.rolling",
}
__all__ = [
    "Bars",
    "BaseForecaster",
    "BlendForecaster",
    "CCXTStore",
    "Feed",
    "Forecast",
    "ForecastSource",
    "FoundationForecaster",
    "KerasForecaster",
    "KronosForecaster",
    "LSTMForecast",
    "LSTMForecaster",
    "LSTMStrategy",
    "LightGBMForecaster",
    "LinearHuber",
    "LinearRidge",
    "MeanForecaster",
    "PanelForecaster",
    "RecordedForecasts",
    "Run",
    "SamplePanel",
    "SklearnForecaster",
    "StackingForecaster",
    "WalkForward",
    "WarmStarting",
    "audit",
    "backtest",
    "build_cerebro",
    "check_forecaster",
    "check_strategy",
    "compare",
    "feature",
    "lag",
    "load_candles",
    "load_funding",
    "load_marks",
    "window_max",
    "window_mean",
    "window_min",
    "window_rms",
    "window_sum",
]


if not TYPE_CHECKING:  # to a type checker a name that is not listed is an error

    def __getattr__(name: str) -> object:
        if name == "backtest":
            return import_module("forwardtrader.backtest")  # which can be called
        if name not in _DEFINED_IN:
            raise AttributeError(f"module 'forwardtrader' has no attribute {name!r}")
        return getattr(import_module(f"forwardtrader.{_DEFINED_IN[name]}"), name)


def __dir__() -> list[str]:
    return __all__
