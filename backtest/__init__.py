"""One historical run: candles in, forecasts, an account and a judged report out.

The package is a function too, `forwardtrader.backtest(strategy, candles, ...)`, which is `backtest.api.runs.backtest`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import forwardtrader as forwardtrader  # ends a command that is run by a Python without the packages in one line


class _CallablePackage(ModuleType):
    """Users know the name as that of a function; its modules are imported by it all the same."""

    def __call__(self, *given: Any, **named: Any) -> Any:
        from forwardtrader.backtest.api.runs import backtest

        return backtest(*given, **named)


sys.modules[__name__].__class__ = _CallablePackage
