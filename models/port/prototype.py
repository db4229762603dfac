"""The forecaster that a run names: loaded once, cloned for every fold."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import inspect
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from importlib import import_module
from typing import Any, Final

import numpy as np

from forwardtrader.core import fingerprint
from forwardtrader.core.command.flags import nearest
from forwardtrader.core.errors import ConfigError, ForecasterFailed, InvalidSetting
from forwardtrader.core.settings import ModelSettings
from forwardtrader.core.user_code.code_fingerprint import compiled_form, source_fingerprint
from forwardtrader.core.user_code.declared import MODULE, declared
from forwardtrader.core.user_code.errors import owned_errors
from forwardtrader.core.user_code.modules import user_module
from forwardtrader.core.user_code.process_state import process_state_kept
from forwardtrader.core.user_code.shipment import FORGET
from forwardtrader.models.port.base_forecaster import BaseForecaster
from forwardtrader.models.port.names import SHIPPED
from forwardtrader.models.port.soundness import require_sound

LSTM: Final = "lstm"
_ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+")
_SPEC: Final = re.compile(r"(?P<module>[^()]+):(?P<name>\w+)", re.DOTALL)


def prototype(settings: ModelSettings) -> BaseForecaster | None:
    """The forecaster of these settings with its parameters, unfitted; None for the LSTM, which has settings of its own.

    Raises:
        ConfigError: there is no such module, class or parameter, or it is no forecaster.
    """
    if settings.forecaster == LSTM:
        if settings.params:
            raise ConfigError(f"models.params: the LSTM has none; its settings are those of models ({next(iter(settings.params))}?)")
        return None
    params = json.dumps(dict(settings.params), sort_keys=True)
    if settings.forecaster.startswith(f"{MODULE}:"):
        return _made(settings.forecaster, params)  # one of that name may have been typed in anew
    return _prototype(settings.forecaster, params)


def named_forecaster(settings: ModelSettings) -> str:
    """The name for tables and pages: that of the class, or of the object."""
    return settings.forecaster.rpartition(":")[2]


def context_of(settings: ModelSettings) -> int:
    """Rows of features that a forecast looks back over, its own included."""
    own = prototype(settings)
    return settings.context if own is None else own.warm_up


def asked_from(forecaster: BaseForecaster | None) -> datetime | None:
    """The moment from which forecasts of one that was trained before the run count; None where it learns in the run alone.

    Raises:
        InvalidSetting: it does not state one that is a date.
    """
    if forecaster is None or forecaster.trained_until is None:
        return None
    try:
        found = datetime.fromisoformat(forecaster.trained_until)
    except (TypeError, ValueError) as error:
        raise InvalidSetting(
            f"{type(forecaster).__name__}: trained_until is {forecaster.trained_until!r}; write the first day that its training data does "
            "not reach, as 2024-06-01: earlier bars are not out of sample"
        ) from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def identity(forecaster: BaseForecaster) -> str:
    """The fingerprint of class, parameters and source: what decides, beside the data, what it learns."""
    chosen = {"warm_up": forecaster.warm_up, "features": forecaster.features, "rows": forecaster.rows_per_call, "shrink": forecaster.shrink}
    return fingerprint.of_value([type(forecaster).__qualname__, _described(forecaster.get_params()), chosen, _source(type(forecaster))])[
        :16
    ]


@functools.lru_cache(maxsize=64)
def _prototype(spec: str, params: str) -> BaseForecaster:
    return _made(spec, params)


FORGET.append(_prototype.cache_clear)


def _made(spec: str, params: str) -> BaseForecaster:
    found = _named(SHIPPED.get(spec, spec))
    given: Mapping[str, Any] = json.loads(params)
    with owned_errors(spec, ForecasterFailed), process_state_kept():
        made = _with_params(found, given, spec)
    require_sound(made)
    return made


def _with_params(found: BaseForecaster | type[BaseForecaster], given: Mapping[str, Any], spec: str) -> BaseForecaster:
    if isinstance(found, BaseForecaster):
        return found.clone().set_params(**given)
    known = found.parameter_names()
    for name, value in given.items():
        if name not in known:
            raise ConfigError(f"models.params.{name}: {spec} has no such parameter{nearest(name, known) or '; it has ' + ', '.join(known)}")
        if spec in SHIPPED:
            _require_kind(name, value, inspect.signature(found).parameters[name].default)
    for name in found.required_names():
        if name not in given:
            raise ConfigError(f"{spec} needs its parameter {name}; set models.params.{name}, or give it a default value")
    return found(**given)


def _require_kind(name: str, value: object, default: object) -> None:
    """Check that a value is a number, a text or a list where the default is one."""
    if isinstance(default, bool):
        fits = isinstance(value, bool)
    elif isinstance(default, int | float):
        fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    else:
        kind = next((kind for kind in (str, list | tuple) if isinstance(default, kind)), object)
        fits = isinstance(value, kind)
    if not fits:
        raise ConfigError(f"models.params.{name}: the default is {default!r}, and {value!r} is nothing of that kind")


def _named(spec: str) -> BaseForecaster | type[BaseForecaster]:
    match = _SPEC.fullmatch(spec)
    if match is None:
        known = nearest(spec, [LSTM, *SHIPPED]) or f"; those that come along are {', '.join([LSTM, *SHIPPED])}"
        raise ConfigError(f"--forecaster {spec!r}: write it as MODULE:CLASS, for example mymodels.py:Ridge{known}")
    name = match["module"]
    if name == MODULE:
        return _typed_in(match["name"])
    module = import_module(name) if name.startswith("forwardtrader.") else user_module(name, f"--forecaster {spec!r}")
    found = getattr(module, match["name"], None)
    fits = [key for key, value in vars(module).items() if _is_forecaster(value)]
    if found is None:
        raise ConfigError(f"--forecaster {spec!r}: {name} has no {match['name']}{nearest(match['name'], fits)}")
    if not _is_forecaster(found):
        raise ConfigError(f"--forecaster {spec!r}: {match['name']} is neither a forwardtrader.BaseForecaster nor a subclass of it")
    if isinstance(found, type) and inspect.isabstract(found):
        lacking = ", ".join(sorted(getattr(found, "__abstractmethods__", ())))
        raise ConfigError(f"--forecaster {spec!r}: {match['name']} lacks {lacking}; define it")
    chosen: BaseForecaster | type[BaseForecaster] = found
    return chosen


def _typed_in(name: str) -> BaseForecaster | type[BaseForecaster]:
    found = declared(name)
    if isinstance(found, BaseForecaster) or (isinstance(found, type) and issubclass(found, BaseForecaster)):
        return found
    raise ConfigError(f"the forecaster {name} was typed into another process; put it into a file and name that: FILE:{name}")


def _is_forecaster(value: object) -> bool:
    return isinstance(value, BaseForecaster) or (isinstance(value, type) and issubclass(value, BaseForecaster))


def _described(value: Any) -> Any:
    """A parameter as plain values: numbers as they are, estimators by class and parameters, functions by their source."""
    if isinstance(value, Mapping):
        return {str(key): _described(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_described(each) for each in value]
    if isinstance(value, set | frozenset):
        return sorted((_described(each) for each in value), key=repr)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if hasattr(value, "get_params") and not isinstance(value, type):
        return [type(value).__module__, type(value).__qualname__, _described(value.get_params()), _source(type(value))]
    if isinstance(value, functools.partial):
        return [_described(value.func), _described(value.args), _described(value.keywords)]
    if callable(value):
        return [*_place(value), _fingerprint_once(value), _described(_closed_over(value)), _described(_given(value))]
    if hasattr(value, "to_numpy"):  # of pandas, polars and the like
        axes = [_described(list(getattr(value, name))) for name in ("index", "columns") if isinstance(getattr(value, name, None), Iterable)]
        return [type(value).__name__, *axes, _described(value.to_numpy())]
    if isinstance(value, np.ndarray):
        numbers = hashlib.sha256(value.tobytes()).hexdigest() if value.dtype != object else _described(value.tolist())
        return ["array", str(value.dtype), list(value.shape), numbers]
    if _ADDRESS.search(shown := repr(value)) or "..." in shown:
        raise InvalidSetting(
            f"a parameter holds a {type(value).__name__}, by which no later run can tell whether a model is its own; give numbers, "
            "texts, lists, functions or estimators, or define its __repr__"
        )
    return shown


def _place(function: Any) -> list[Any]:
    """Which of the functions of its file it is: two of one file have one text, and two of one line other instructions."""
    name, code = getattr(function, "__qualname__", type(function).__qualname__), getattr(function, "__code__", None)
    return [name] if code is None else [name, code.co_firstlineno, compiled_form(function)]


def _given(function: Any) -> list[Any]:
    """Defaults, and the object that a method belongs to."""
    owner = getattr(function, "__self__", None)
    own = [] if owner is None or inspect.ismodule(owner) else [owner]
    return [getattr(function, "__defaults__", None), getattr(function, "__kwdefaults__", None), *own]


def _closed_over(function: Any) -> list[Any]:
    """What a function took from the one it was made in: `build(16)` and `build(32)` may have the same text."""
    found = []
    for cell in getattr(function, "__closure__", None) or ():
        with contextlib.suppress(ValueError):  # not yet given a value
            found.append(cell.cell_contents)
    return [value for value in found if value is not function]


def _source(kind: type) -> str:
    """Over the files that the class and what it builds on are written in; of one typed into a notebook, over its code."""
    digest = hashlib.sha256()
    for each in kind.__mro__:
        if each.__module__ not in ("builtins", "abc", BaseForecaster.__module__):
            digest.update(_fingerprint_once(each).encode())
            closed = {name: _closed_over(value) for name, value in vars(each).items() if getattr(value, "__closure__", None)}
            digest.update(repr(_described({name: [v for v in values if v is not each] for name, values in closed.items()})).encode())
    return digest.hexdigest()


@functools.cache
def _fingerprint_once(thing: Callable[..., Any]) -> str:
    """What runs in this process is the text that it was imported from, whatever becomes of the file."""
    return source_fingerprint(thing)
