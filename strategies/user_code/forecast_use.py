"""Whether a strategy of the user's can look at forecasts: a session that shows it none needs neither models nor their history."""

from __future__ import annotations

import inspect
import re
import sys
import sysconfig
from collections.abc import Iterator
from types import ModuleType
from typing import Final

import backtrader as bt

_OURS: Final = re.compile(r"LSTMForecast|LSTMStrategy|from\s+forwardtrader\S*\s+import\s+\*")
_LIBRARIES: Final = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))


def may_read_forecasts(strategy: type[bt.Strategy]) -> bool:
    """Whether a strategy, or a module of the user's that it is made of, names what shows forecasts; nothing of it is run.

    True also where its source cannot be read. Modules that are imported only while the strategy runs are not looked at: an
    `LSTMForecast` made there finds no forecasts, and says so.
    """
    own = {base.__module__.partition(".")[0] for base in strategy.__mro__}
    todo, seen = [base.__module__ for base in strategy.__mro__ if not _is_library(base.__module__)], set[str]()
    if any(base.__module__.partition(".")[0] == "forwardtrader" for base in strategy.__mro__):
        return True
    while todo:
        name = todo.pop()
        module = sys.modules.get(name)
        if name in seen:
            continue
        seen.add(name)
        try:
            if module is None or _OURS.search(inspect.getsource(module)):
                return True
        except (OSError, TypeError):
            return True
        todo += [used for used in _used(module) if used.partition(".")[0] in own or not _is_library(used)]
    return False


def _used(module: ModuleType) -> Iterator[str]:
    """The modules that the names of a module come from."""
    for value in list(vars(module).values()):
        name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
        if isinstance(name, str) and name.partition(".")[0] not in ("forwardtrader", "backtrader") and name in sys.modules:
            yield name


def _is_library(name: str) -> bool:
    """Whether a module is no file of the user's own."""
    if name.partition(".")[0] in ("builtins", "backtrader") or name.partition(".")[0] in sys.stdlib_module_names:
        return True
    file = getattr(sys.modules.get(name), "__file__", None)
    return file is not None and file.startswith(_LIBRARIES)
