"""The progress of a running session: state, bars and equity, for its status, its terminal view and its control commands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import backtrader as bt

from forwardtrader.reports.pages.session_status import SessionState


@dataclass
class SessionProgress:
    """Changed in Backtrader's thread; a signal handler may set `reason`.

    Attributes:
        started: when this process was started, UTC.
        reason: why the session is halted or was stopped.
        bars: new bars seen by this process.
        last_bar: open time (ms UTC) of the newest bar; None before the first.
        start_equity: account value at the session's very start, in quote units; None before the first bar.
        strategy: the running strategy; None before its first bar.
    """

    started: datetime
    state: SessionState = SessionState.STARTING
    reason: str = ""
    bars: int = 0
    last_bar: int | None = None
    start_equity: float | None = None
    strategy: bt.Strategy | None = None
