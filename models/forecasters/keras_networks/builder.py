"""The function that gives a user's network, and whether it can be called as it will be: `build(inputs, **options)`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from forwardtrader.core.errors import InvalidSetting

Build: TypeAlias = Callable[..., Any]
_LIKE: Final = "as in def build(inputs): ...; return keras.Model(inputs, outputs)"


def require_builder(build: object, options: object) -> None:
    """See that `build` takes what it is called with: `inputs` by position, each option by its name, and nothing else.

    Raises:
        InvalidSetting: it does not; the message names its file and line.
    """
    if not callable(build) or _is_network(build):
        a_function = "a function that makes a new network of its inputs each time it is called"
        raise InvalidSetting(f"KerasForecaster: build is a {type(build).__name__}; give {a_function}, {_LIKE}")
    if not (options is None or isinstance(options, Mapping)) or not all(isinstance(name, str) for name in options or ()):
        raise InvalidSetting(f"KerasForecaster: options is {options!r}; it maps keywords of build to values, as in {{'units': 32}}")
    given = dict(options or {})
    try:
        inspect.signature(build).bind(None, **given)
    except (TypeError, ValueError) as error:
        if isinstance(error, ValueError) and not isinstance(build, functools.partial):
            return  # it tells nothing about itself
        call = ", ".join(["inputs", *(f"{name}=..." for name in given)])
        raise InvalidSetting(
            f"KerasForecaster: {placed_name(build)} cannot be called as build({call}): {error}; it is given inputs by position, what "
            "options name by name, and nothing else"
        ) from error


def keywords(build: Build) -> list[str]:
    """The keywords that `build` names, without what it is given first; none where it tells nothing about itself."""
    try:
        given = list(inspect.signature(build).parameters.items())[1:]
    except (TypeError, ValueError):
        return []
    return [name for name, each in given if each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)]


def with_options(build: Build, options: Mapping[str, Any]) -> Build:
    """`build` as a function of its inputs alone."""

    def built(inputs: Any) -> Any:
        return build(inputs, **options)

    built.__name__ = name_of(build)
    return built


def name_of(build: object) -> str:
    """The name of a function, or that of the class of what is called like one."""
    return getattr(build, "__name__", type(build).__name__)


def placed_name(build: object) -> str:
    """Its name with file and line, as `build (mine.py:7)`."""
    inner = inspect.unwrap(getattr(build, "func", build))  # type: ignore[arg-type]
    code = getattr(inner, "__code__", None) or getattr(type(inner).__call__, "__code__", None)
    if code is None:
        return name_of(build)
    return f"{getattr(inner, '__name__', type(inner).__name__)} ({Path(code.co_filename).name}:{code.co_firstlineno})"


def _is_network(build: object) -> bool:
    """Whether it is a network, or a layer, already: all folds would train the very same weights."""
    return hasattr(build, "trainable_variables") and not isinstance(build, type)
