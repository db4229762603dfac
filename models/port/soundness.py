"""What a forecaster says about itself, and whether it can be called, seen before anything is fitted."""

from __future__ import annotations

import inspect
import math
from typing import Any, Final

from forwardtrader.core.errors import InvalidSetting
from forwardtrader.models.port.base_forecaster import BaseForecaster

_MOST_ROWS: Final = 100_000
_METHODS: Final = ("fit", "predict", "update", "save", "load")  # each takes one argument


def require_sound(forecaster: BaseForecaster) -> None:
    """See that the attributes of a forecaster are what they have to be, and that its methods take what they are given.

    Raises:
        InvalidSetting: one is not; the message names it and says what to write.
    """
    name = type(forecaster).__name__
    for attribute in ("warm_up", "rows_per_call"):
        value = getattr(forecaster, attribute)
        if not _is_whole(value) or not 1 <= value <= _MOST_ROWS:
            raise InvalidSetting(f"{name}: {attribute} is {value!r}; it is a whole number of rows from 1 to {_MOST_ROWS:,}")
    shrink = forecaster.shrink
    if isinstance(shrink, bool) or not isinstance(shrink, int | float) or not math.isfinite(shrink) or not 0.0 <= shrink <= 1.0:
        raise InvalidSetting(f"{name}: shrink is {shrink!r}; it is the share of the location that is believed, from 0 to 1")
    wanted: Any = forecaster.features
    if isinstance(wanted, str) or not all(isinstance(each, str) for each in wanted):
        raise InvalidSetting(f"{name}: features is {wanted!r}; it is a list of names, as in features = ('move_6', 'move_24')")
    _require_keywords(forecaster)
    for method in _METHODS:
        _require_method(forecaster, method)


def _require_keywords(forecaster: BaseForecaster) -> None:
    """What `**params` or `*args` caught would be lost in every clone, and folds be fitted with other parameters than were given."""
    kind = type(forecaster)
    if kind.get_params is not BaseForecaster.get_params:
        return  # it knows its parameters itself
    for name, each in inspect.signature(kind).parameters.items():
        if each.kind not in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY):
            shown = str(each.replace(annotation=each.empty, default=each.empty)) if each.kind != each.POSITIONAL_ONLY else f"{name}, /"
            raise InvalidSetting(
                f"{kind.__name__}.__init__ takes {shown}, which no clone has; name each parameter, as in def __init__(self, penalty=1.0)"
            )


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _require_method(forecaster: BaseForecaster, method: str) -> None:
    found = getattr(type(forecaster), method, None)
    if found is None:
        return
    name = f"{type(forecaster).__name__}.{method}"
    if not callable(found):
        raise InvalidSetting(f"{name} is {found!r}; define it as a method")
    given = "folder" if method in ("save", "load") else "panel"
    try:
        inspect.signature(found).bind(forecaster, given)
    except TypeError as error:
        raise InvalidSetting(f"{name} is called with one argument, as in def {method}(self, {given}); {error}") from error
    except ValueError:
        return  # it tells nothing about itself
