"""How a session ends: after the bar in progress, with its orders kept or taken back, and with nothing left on its way."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from forwardtrader.core import log
from forwardtrader.live.control import Verb
from forwardtrader.reports.pages.session_status import SessionState

_LOG: Final = log.logger("live")
_PATIENCE_S: Final = 20.0  # for answers of the venue; what it has not said by then, the next start asks


class SessionEnd:
    """Lets the run go, once that was wished for by a person, a limit or a signal, and nothing is on its way any more.

    Args:
        session: a `LiveSession`.
        takes_back: whether orders that rest at the venue are cancelled first.
    """

    def __init__(self, session: Any, *, takes_back: bool) -> None:
        self._session = session
        self._takes_back = takes_back
        self.is_wished = False
        self._until: float | None = None

    @contextmanager
    def signals(self) -> Iterator[None]:
        """While the block runs, the first signal ends the session in good order, a second one at once."""
        try:
            before = {number: signal.signal(number, self._heard) for number in (signal.SIGINT, signal.SIGTERM)}
        except ValueError:  # not the main thread: whoever runs us there has its own way to stop
            yield
            return
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _heard(self, number: int, _frame: Any) -> None:
        if self._session.state is not SessionState.HALTED:  # whose reason is worth more
            self._session.reason = f"stopped by {signal.Signals(number).name}"
        if self.is_wished:
            self._session.bridge.request_stop()
        self.wish()

    def wish(self) -> None:
        """End as soon as nothing is on its way."""
        self.is_wished = True

    def look(self) -> None:
        """Between two bars: go on with an end that was wished for."""
        if not self.is_wished or self._session.bridge.is_stopping:
            return
        if self._until is None:
            self._until = time.monotonic() + _PATIENCE_S
            if self._takes_back:
                self._session.words.obey(Verb.CANCEL)
        if self._session.broker.is_settled:
            self._session.bridge.request_stop()
        elif time.monotonic() >= self._until:
            log.event(_LOG, "stopped_with_orders_unanswered", seconds=_PATIENCE_S)
            self._session.bridge.request_stop()
