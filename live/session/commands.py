"""What a session does with the words of a second terminal, and again with those that an earlier process of it obeyed."""

from __future__ import annotations

from typing import Any

from forwardtrader.live import control
from forwardtrader.live.control import Verb
from forwardtrader.reports.pages.session_status import SessionState


class SessionWords:
    """Words take effect between two bars, and are kept, so that a restart and the replay obey them after the same bar.

    Args:
        session: a `LiveSession`.
    """

    def __init__(self, session: Any) -> None:
        self._session = session
        self._recorded: dict[int, list[Verb]] = {}
        for bar, name in session.store.commands():
            self._recorded.setdefault(bar, []).append(Verb(name))

    def listen(self) -> None:
        """Obey what was said since the last call."""
        for verb in control.heard(self._session.request.folder):
            self.obey(verb)

    def obey(self, verb: Verb) -> None:
        """Keep a word, tell of it, and do it."""
        session = self._session
        at = session.last_bar or session.first_ms - 1
        session.store.command(at, verb, session.clock.now().isoformat())
        session.health.tell(f"command_{verb}", "info")
        self._apply(verb)

    def again(self, at: int) -> None:
        """What an earlier process was told after the bar that opened at `at` (ms)."""
        for verb in self._recorded.pop(at, []):
            self._apply(verb, again=True)

    def _apply(self, verb: Verb, *, again: bool = False) -> None:
        session, broker = self._session, self._session.broker
        if verb is Verb.PAUSE:
            broker.muted, session.state = True, _stands(broker)
        elif verb is Verb.RESUME:
            broker.muted, session.reason = False, ""
            broker.rearm()
            session.state = SessionState.RUNNING
        elif verb is Verb.FLATTEN:
            broker.muted, session.state = True, _stands(broker)
            flatten(session.strategy, broker)
        elif verb is Verb.CANCEL:
            cancel_all(broker)
        elif verb is Verb.KILL and not again:
            cancel_all(broker)
            session.halt("killed")
        elif verb is Verb.STOP and not again:
            session.end.wish()


def _stands(broker: Any) -> SessionState:
    """Of a session that was paused: a halt is not lifted by that."""
    return SessionState.HALTED if broker.halted else SessionState.PAUSED


def cancel_all(broker: Any) -> None:
    """Take back every order that is not settled."""
    take_back = getattr(broker, "take_back", broker.cancel)
    for order in list(broker.get_orders_open()):
        take_back(order)


def flatten(strategy: Any, broker: Any) -> None:
    """Take back every order, then sell whatever is held."""
    cancel_all(broker)
    for data in strategy.datas if strategy is not None else ():
        size = broker.getposition(data).size
        if size > 0:
            broker.sell(strategy, data, size, reason="flatten", role="flatten")
