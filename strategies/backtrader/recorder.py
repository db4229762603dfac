"""An analyzer that costs next to nothing on bars it has no use for."""

from __future__ import annotations

from typing import Any

import backtrader as bt


class Recorder(bt.Analyzer):
    """Hears of orders, and of cash and value once a bar; Backtrader's other calls for every bar end here. It has no children."""

    def _nothing(self, *args: Any) -> None:
        """Called for every bar and every analyzer, so it must be this short."""

    _prenext = _nextstart = _next = _notify_fund = _notify_cashvalue = _nothing
