"""The names that a run may give instead of MODULE:CLASS."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Final

from forwardtrader.core.command.flags import nearest
from forwardtrader.core.errors import InvalidSetting, UnknownSetting
from forwardtrader.models.port.base_forecaster import BaseForecaster

_HERE: Final = "forwardtrader.models.forecasters.shipped"
# What is fitted beside every forecaster, to compare it with.
BASELINES: Final[dict[str, str]] = {
    "zero": f"{_HERE}.rules:Zero",
    "reversal": f"{_HERE}.rules:Reversal",
    "momentum": f"{_HERE}.rules:Momentum",
    "ridge": f"{_HERE}.linear:LinearRidge",
    "huber_linear": f"{_HERE}.linear:LinearHuber",
    "lightgbm": f"{_HERE}.lightgbm_forecaster:LightGBMForecaster",
    "majority": f"{_HERE}.rules:Majority",
}
SHIPPED: Final[dict[str, str]] = BASELINES | {
    "mean": f"{_HERE}.ensembles:MeanForecaster",
    "stacking": f"{_HERE}.ensembles:StackingForecaster",
    "aggregate": f"{_HERE}.aggregation:AggregateForecaster",
    "panel": f"{_HERE}.panel_forecaster:PanelForecaster",
    "blend": f"{_HERE}.ensembles:BlendForecaster",
}
# What an ensemble may name besides; a run trains it by its own path.
_NETWORK: Final = {"lstm": "forwardtrader.models.forecasters.keras_networks.lstm_forecaster:LSTMForecaster"}


def shipped(name: str) -> BaseForecaster:
    """The forecaster of that name, unfitted, with the parameters it comes with.

    Raises:
        InvalidSetting: there is none; the message names the nearest.
    """
    known = SHIPPED | _NETWORK
    if name not in known:
        raise InvalidSetting(f"forecaster {name!r} is not known{nearest(name, known)}; there are {', '.join(known)}")
    module, _, kind = known[name].partition(":")
    made: BaseForecaster = getattr(import_module(module), kind)()
    return made


def chosen_baselines(names: Sequence[str]) -> tuple[str, ...]:
    """The baselines meant by a list of names, `all` or `none`, in the order of `BASELINES`.

    Raises:
        UnknownSetting: a name nobody knows; the message names the nearest.
    """
    wanted = [name.strip() for name in names if name.strip() and name.strip() != "none"]
    for name in wanted:
        if name != "all" and name not in BASELINES:
            raise UnknownSetting(f"baseline {name!r} is not known{nearest(name, BASELINES)}; there are {', '.join(BASELINES)}")
    return tuple(name for name in BASELINES if name in wanted or "all" in wanted)
