"""A strategy whose failures the session survives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import backtrader as bt

from forwardtrader.core.errors import TradingError


def guarded(strategy: type[bt.Strategy], failed: Callable[[str, Exception], None]) -> type[bt.Strategy]:
    """A subclass that reports exceptions of `next`, `notify_order` and `notify_trade` to `failed` instead of ending the run.

    Errors of this project's own tree (a risk halt, a full disk) go through: they are meant to stop.
    """

    class Guarded(strategy):
        def next(self) -> None:
            _try("next", super().next)

        def prenext(self) -> None:
            _try("prenext", super().prenext)

        def notify_order(self, order: Any) -> None:
            _try("notify_order", lambda: super(Guarded, self).notify_order(order))

        def notify_trade(self, trade: Any) -> None:
            _try("notify_trade", lambda: super(Guarded, self).notify_trade(trade))

    def _try(where: str, work: Callable[[], None]) -> None:
        try:
            work()
        except TradingError:
            raise
        except Exception as error:  # noqa: BLE001 - a user's strategy may raise anything; it is counted, kept and told
            failed(where, error)

    Guarded.__name__ = strategy.__name__
    return Guarded
