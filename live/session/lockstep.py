"""The practice market in step with a session: it plays its next bar when nothing is left to do with the last one."""

from __future__ import annotations

from typing import Any


class Lockstep:
    """Called while the session waits.

    Args:
        session: a `LiveSession` at a practice exchange.
    """

    def __init__(self, session: Any) -> None:
        self._session = session
        self._step = session.request.timeframe.seconds * 1000
        self._played: int | None = None

    def __call__(self) -> None:
        session, bridge = self._session, self._session.bridge
        if bridge.is_stopping or session.end.is_wished or not session.broker.is_settled:
            return
        if self._played is None:
            self._played = bridge.first_live - self._step
        unseen = bridge.newest >= session.first_ms and not session.past.is_frozen and (session.last_bar or 0) < bridge.newest
        if unseen or not bridge.caught_up(self._played):
            return
        session.supply.collect(session.bar_after(self._played), wait=True)
        self._played += self._step
        if session.scene.practice.advance()["ended"]:
            session.health.notify("market_ended", "info")
            bridge.request_stop()
