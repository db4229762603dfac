"""Base of the recorders: an analyzer without overhead on bars that it does not need."""

from __future__ import annotations

from typing import Any

import backtrader as bt


class Recorder(bt.Analyzer):
    """Gets orders from the strategy's host (`hosting.hosted`), and cash and value once a bar; Backtrader's other calls end here.

    It has no children.
    """

    def _nothing(self, *args: Any) -> None:
        """Called for every bar and every analyzer, so it must be this short."""

    _prenext = _nextstart = _next = _notify_fund = _notify_cashvalue = _notify_trade = _nothing

    def _notify_order(self, order: Any) -> None:
        """Backtrader's call at the next bar, for a strategy without a host: added to a cerebro beside ours."""
        if not hasattr(self.strategy, "_recorders"):
            self.notify_order(order)
