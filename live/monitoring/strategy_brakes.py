"""Tells a person when the strategy's own limits on losses stop it, and when they let it go again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from forwardtrader.strategies.backtrader.strategy import LSTMStrategy
from forwardtrader.strategies.risk import Gate

_LEVELS: Final = {Gate.HALTED: "error", Gate.LOCKED: "warning", Gate.OPEN: "info"}
_KINDS: Final = {Gate.HALTED: "drawdown_halt", Gate.LOCKED: "daily_loss_lock", Gate.OPEN: "risk_limits_open_again"}


class StrategyLimitAlerts:
    """Compares the strategy's gate with that of the bar before; strategies that have none are let be.

    Args:
        notify: kind, level and facts, as `SessionHealth.notify` takes them.
    """

    def __init__(self, notify: Callable[..., None]) -> None:
        self._notify = notify
        self._gate = Gate.OPEN

    def look(self, strategy: Any) -> None:
        """Called after every new bar."""
        risk = strategy.risk if isinstance(strategy, LSTMStrategy) else None
        if risk is None or risk.gate is self._gate:
            return
        self._gate = risk.gate
        self._notify(_KINDS[risk.gate], _LEVELS[risk.gate], equity=round(risk.last, 2), peak=round(risk.peak, 2))
