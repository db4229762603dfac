"""A user's strategy class: named on the command line by module or file, with parameters of its own."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import Any, Final

import backtrader as bt

from forwardtrader.core.command.flags import nearest
from forwardtrader.core.errors import ConfigError
from forwardtrader.core.user_code.declared import MODULE, declared
from forwardtrader.core.user_code.modules import user_module

_SPEC: Final = re.compile(r"(?P<module>[^()]+):(?P<name>\w+)(?:\((?P<params>.*)\))?", re.DOTALL)


def load_strategy(spec: str) -> type[bt.Strategy]:
    """The class named by `module:Class` or `path/to/file.py:Class`, looked for from the working directory too.

    `module:Class(fast=20)`, as `with_params` writes it, is a subclass with these defaults.

    Raises:
        ConfigError: no such module, no such class in it, the class is not a Backtrader strategy, or it has no such parameter.
    """
    module, name, given = _parts(spec)
    found = _class_of(module, name, spec)
    if not given:
        return found
    for name in given:
        _check_name(found, name)
    metaclass: Any = type(found)
    named: type[bt.Strategy] = metaclass(found.__name__, (found,), {"params": tuple(given.items()), "__module__": found.__module__})
    return named


def with_params(spec: str, assignments: Sequence[str], *, said: str = "--param ") -> str:
    """The same strategy with parameters, which are read as the types of their defaults; as it is without any.

    Args:
        assignments: `name=value`, as typed.
        said: what stands before a name where it was given, for messages.

    Raises:
        ConfigError: the strategy cannot be loaded, has no such parameter, or the value is not of the default's kind.
    """
    if not assignments:
        return spec
    if not spec:
        raise ConfigError("--param is for the parameters of --strategy; a setting of ours is --set strategies.KEY=VALUE")
    module, class_name, given = _parts(spec)
    strategy = load_strategy(f"{module}:{class_name}")
    for text in assignments:
        name, sign, value = (part.strip() for part in text.partition("="))
        if not sign or not name:
            raise ConfigError(f"--param {text!r}: write it as NAME=VALUE, for example fast=20")
        _check_name(strategy, name, said)
        given[name] = _read(name, value, getattr(strategy.params, name), said)
    return f"{module}:{class_name}({', '.join(f'{name}={given[name]!r}' for name in sorted(given))})"


def _parts(spec: str) -> tuple[str, str, dict[str, Any]]:
    """Module, class, and the parameters that `with_params` wrote there."""
    match = _SPEC.fullmatch(spec)
    if match is None:
        raise ConfigError(f"--strategy {spec!r}: write it as MODULE:CLASS, for example mystrategies.trend:Trend")
    call = ast.parse(f"f({match['params'] or ''})", mode="eval").body
    assert isinstance(call, ast.Call)
    return match["module"], match["name"], {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}


def _check_name(strategy: type[bt.Strategy], name: str, said: str = "--param ") -> None:
    known = [key for key in strategy.params._getkeys() if not key.startswith("_")]
    if name not in known:
        there = f"; it has {', '.join(known)}" if known else ", and none at all"
        raise ConfigError(f"{said}{name}: {strategy.__name__} has no such parameter{nearest(name, known) or there}")


def _read(name: str, text: str, default: object, said: str) -> object:
    """A value as its default is: text stays text, everything else is written as in Python."""
    if isinstance(default, str):
        return text
    try:
        value = ast.literal_eval({"true": "True", "false": "False", "none": "None"}.get(text.lower(), text))
    except (ValueError, SyntaxError) as error:
        if default is None:
            return text
        raise ConfigError(f"{said}{name}={text}: the default is {default!r}, and {text!r} is nothing of that kind") from error
    if isinstance(default, tuple) and isinstance(value, list):  # a sweep file has no other way to write one
        value = tuple(value)
    kinds: tuple[type, ...] = (
        (bool,) if isinstance(default, bool) else (int, float) if isinstance(default, int | float) else (type(default),)
    )
    is_of_kind = default is None or (isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool)))
    if not is_of_kind:
        raise ConfigError(f"{said}{name}={text}: the default is {default!r}, and {text!r} is nothing of that kind")
    return value


def _class_of(module_name: str, name: str, spec: str) -> type[bt.Strategy]:
    if module_name == MODULE:
        typed_in = declared(name)
        if isinstance(typed_in, type) and issubclass(typed_in, bt.Strategy):
            return typed_in
        raise ConfigError(f"the strategy {name} was typed into another process; put it into a file and name that: FILE:{name}")
    module = user_module(module_name, f"--strategy {spec!r}")
    found = getattr(module, name, None)
    known = [key for key, value in vars(module).items() if isinstance(value, type) and issubclass(value, bt.Strategy)]
    if found is None:
        raise ConfigError(f"--strategy {spec!r}: {module_name} has no class {name}{nearest(name, known)}")
    if not (isinstance(found, type) and issubclass(found, bt.Strategy)):
        raise ConfigError(f"--strategy {spec!r}: {name} is not a subclass of backtrader.Strategy")
    return found
