"""Sets the watchdog on a session, by what its market is and what its settings say."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, Final

from forwardtrader.live.execution.venue_clock import clock_offset
from forwardtrader.live.monitoring.watchdog import Watchdog, require_right_clock

_PATIENCE_S: Final = 15.0
BLOCKED: Final = "entries are blocked: "  # begins the refusal of an order that was held; what is wrong follows


def watch_over(session: Any, stack: ExitStack) -> Watchdog:
    """A watchdog that looks at a `LiveSession` until `stack` is left.

    Raises:
        ConfigError: the session would send real orders by a clock that is off.
        VenueUnreachable, VenueRefused: the venue does not tell its time.
    """
    request, limits, bridge = session.request, session.request.settings.risk, session.bridge

    def offset() -> float | None:
        found: float | None = bridge.loop.call(clock_offset(bridge.client, session.clock), _PATIENCE_S)
        return found

    def hold(reason: str) -> None:
        bridge.gate.hold = BLOCKED + reason if reason else ""

    is_real = request.mode == "live"
    asks = None if session.scene.practice is not None else offset  # a practice market has a time of its own
    if is_real and asks is not None:
        require_right_clock(asks(), limits)
    watchdog = Watchdog(
        limits,
        longest_bar_age_s=request.settings.live.stale_after_bars * request.timeframe.seconds / session.pace if session.pace else None,
        notify=session.health.notify,
        hold=hold if is_real and limits.on_trouble == "hold" else None,
        clock_offset=asks,
    )
    bridge.on_bar = lambda _symbol, _bar: watchdog.bar()
    stack.callback(watchdog.stop)
    watchdog.start()
    return watchdog
