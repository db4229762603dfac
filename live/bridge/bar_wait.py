"""Between two bars: what Backtrader's thread does while it waits, and how it and the venue's thread leave the interpreter to each other.

Python runs one thread at a time. Two that have work take turns, and each turn costs both of them more than the work it is about; so the
venue's thread rests once it has brought a bar, until Backtrader's has an order for it or waits again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from forwardtrader.core import log
from forwardtrader.live.bridge.bt_rehearsal import rehearse_order
from forwardtrader.live.bridge.collector import Collector
from forwardtrader.models.forecaster import IncrementalSource
from forwardtrader.strategies.feed_context import context_of

_LOG: Final = log.logger("live")
_GIVE_WAY_S: Final = 0.003  # that sockets go unheard at most, for a bar
_COLLECTABLE_S: Final = 0.05  # a pause that collecting garbage fits into


class BarWait:
    """The waiting of one `CCXTStore`."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._quick_turns = 0
        self._collector = Collector()
        self._rests = False
        self._hand_back = threading.Event()
        self._rounds = self._walk()
        self._broken: set[str] = set()

    def stop(self) -> None:
        """A second call does nothing."""
        self._collector.stop()
        self._hand_back.set()

    # In Backtrader's thread

    def idle(self, data: Any, wait_s: float) -> None:
        """A feed has nothing: let the owner act, then wait until a bar or an order event is there.

        The first turn after a bar is not waited in, so that broker and owner see the loop at rest once.
        """
        self._hand_back.set()
        if self._quick_turns:
            self._quick_turns -= 1
            return
        store, rest_s = self._store, self._rest_s(data, wait_s)
        self._prepare()
        if rest_s > _COLLECTABLE_S:
            self._collector.idle()
        if store.on_idle is not None:
            store.on_idle()
        barrier = store.barrier_of(data)
        self._rests = True
        with store.wake:
            if not store.events and not barrier.ready(data.symbol) and not store.is_stopping:
                store.wake.wait(rest_s)

    def rehearse(self) -> bool:
        """Where a bar is due, take the steps that it will need, for one symbol, unless it may come this moment; False where none is due.

        To be called where the lines of the feeds are at rest.
        """
        rehearsals = [market.rehearsal for market in self._store.markets]
        is_due = [rehearsal.turn() for rehearsal in rehearsals]  # each is asked: it may have something to open
        if not any(is_due):
            return False
        for step in next(self._rounds):
            if any(rehearsal.is_still for rehearsal in rehearsals):
                break
            step()
        return True

    def bar_taken(self) -> None:
        """A feed took a bar."""
        self._rests = False
        self._quick_turns = len(self._store._datas)

    def hand_back(self) -> None:
        """There is something to do for the venue's thread."""
        self._hand_back.set()

    def _rest_s(self, data: Any, wait_s: float) -> float:
        store = self._store
        rest_s: float = wait_s if store.account is None else store.market_of(data).rehearsal.rest_s(wait_s)
        return rest_s

    def _prepare(self) -> None:
        """Let the sources of forecasts do ahead of the next bar what they can."""
        for data in self._store._datas:
            source: object = context_of(data).source
            if isinstance(source, IncrementalSource):
                source.prepare()

    def _walk(self) -> Iterator[list[Callable[[], object]]]:
        """The steps of a rehearsal, symbol after symbol, for ever."""
        store = self._store
        while True:
            for data in list(store._datas):
                steps: list[Callable[[], object]] = []
                if store.rehearse_decision is not None:
                    steps.append(partial(self._try, "decision", store.rehearse_decision))
                if store.broker is not None:
                    steps.append(partial(self._try, "order", partial(rehearse_order, store.broker, data)))
                yield steps

    def _try(self, name: str, step: Callable[[], object]) -> None:
        """A step that fails is left out from then on: nothing rests on a rehearsal."""
        if name in self._broken:
            return
        try:
            step()
        except Exception as error:  # noqa: BLE001 - nor may anything that it meets stop a session
            self._broken.add(name)
            log.event(_LOG, "rehearsal_failed", logging.WARNING, step=name, error=type(error).__name__, reason=log.redact(str(error)))

    # In the venue's thread

    def bar_comes(self) -> None:
        """A bar is about to be put before the feeds."""
        self._hand_back.clear()

    def give_way(self, is_whole: bool) -> None:
        """A bar was put before the feeds; `is_whole` says that it was the last one they had waited for."""
        if is_whole and self._rests:
            self._hand_back.wait(_GIVE_WAY_S)
