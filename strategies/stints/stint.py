"""A stint: the span of a run in which one choice of parameters is in force."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from forwardtrader.core.settings import StrategySettings


@dataclass(frozen=True, kw_only=True)
class Stint:
    """From the bar that opens at `since` (UTC) on, and until the next stint begins.

    Attributes:
        strategy: `module:Class(...)` of a user's strategy with its parameters; "" for ours.
    """

    since: datetime
    settings: StrategySettings
    strategy: str = ""
