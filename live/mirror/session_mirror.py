"""The mirror of a session: its status once a minute, and documents of all that its files hold, written to the state store and sent on by a
thread. A slow or broken mirror never delays the session; without Firestore nothing is written."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from forwardtrader.core import log
from forwardtrader.core.clock import Clock
from forwardtrader.live.mirror.budget import WriteBudget
from forwardtrader.live.mirror.collector import SessionCollector
from forwardtrader.live.mirror.documents import id_of
from forwardtrader.live.mirror.mirror_queue import MirrorQueue
from forwardtrader.live.output.state_store import Body, Mirror, StateStore
from forwardtrader.live.request import LiveRequest
from forwardtrader.reports.pages.session_status import SessionStatus

_STATUS_EVERY_S: Final = 60.0
_LEFT_OUT: Final = {
    "config",
    "versions",
    "alerts",
    "decisions",
    "outcomes",
    "command",
}  # what has documents of its own, or may hold a secret
Notify = Callable[..., None]


class SessionMirror:
    """Writes documents under `sessions/NAME`.

    Args:
        machine: names this machine.
        notify: sends an alert: kind, level and facts, as `SessionHealth.notify`.
        mirror: where the documents go; Firestore by default, where the settings name a project, else nowhere.
    """

    def __init__(
        self, request: LiveRequest, clock: Clock, machine: str, *, notify: Notify = lambda *_kind, **_facts: None,
        mirror: Mirror | None = None,
    ) -> None:  # fmt: skip
        live = request.settings.live
        self._request, self._machine = request, machine
        self._next = 0.0
        self._is_lost = False
        self._risk = ""
        self.store: StateStore | None = None
        mirror = mirror or _firestore(live.firestore_project)
        if mirror is None:
            return
        self.store = StateStore(Path(live.state_path), clock)
        self.store.token = token_of(self.store, request.name)
        self._collector = SessionCollector(self.store, request.folder, request.symbols)
        budget = WriteBudget(live.firestore_writes_per_day)
        self._queue = MirrorQueue(self.store, mirror, budget=budget, clock=clock, notify=notify, longest_lag_s=live.firestore_lag_s)
        self._queue.start()

    @property
    def token(self) -> int:
        """Under which this machine last wrote documents of the session; 0 where it never did."""
        return 0 if self.store is None else self.store.token

    def leased(self, token: int) -> None:
        """What is written from now on is newer than all that was written under an earlier lease."""
        if self.store is not None:
            self.store.token = token
            remember_token(self.store, self._request.name, token)

    def lost(self) -> None:
        """Another machine writes these documents now."""
        self._is_lost = True

    def write(self, status: SessionStatus, *, last: bool = False) -> None:
        """Write what changed; the status at most once a minute, unless it is the last one."""
        if self.store is None or self._is_lost:
            return
        tree = status.model_dump(mode="json")
        if last or time.monotonic() >= self._next:
            self._next = time.monotonic() + _STATUS_EVERY_S
            self._set("", {**_kept(tree), "machine": self._machine, "settings": self._settings(tree)})
        self._risk_state(tree)
        while self._collector.step() and last:
            pass

    def close(self) -> None:
        if self.store is not None:
            self._queue.stop()
            self.store.close()

    def _settings(self, tree: Body) -> str:
        """Write the settings in force, without secrets, under a fingerprint of them; returns it."""
        body = log.redacted({"config": tree["config"], "versions": tree["versions"], "request": asked(self._request)})
        name = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:12]
        self._set(f"/settings/{name}", body)
        return name

    def _risk_state(self, tree: Body) -> None:
        """State and limits of the account, whenever they are others than before: under the bar after which that was seen."""
        body = {name: tree[name] for name in ("state", "reason", "limits")}
        if (text := json.dumps(body)) != self._risk:
            self._risk = text
            at = tree["last_bar"] or tree["started"]
            self._set(f"/risk_states/{id_of(at)}", {**body, "timestamp": at})

    def _set(self, name: str, body: Body) -> None:
        assert self.store is not None
        self.store.set(f"sessions/{self._request.name}{name}", log.redacted(body, numbers=False))


def asked(request: LiveRequest) -> dict[str, Any]:
    """What a command asked for beside its settings, for another machine that goes on with the session."""
    return {
        "mode": request.mode, "sandbox": request.sandbox, "speed": request.speed, "market": request.market, "strategy": request.strategy,
    }  # fmt: skip


def token_of(store: StateStore, session: str) -> int:
    """The token under which this machine last wrote documents of a session; 0 where it never did."""
    return int(store.recall(_token(session), 0))


def remember_token(store: StateStore, session: str, token: int) -> None:
    """This machine writes documents of a session under that token from now on."""
    store.remember(_token(session), token)


def _token(session: str) -> str:
    return f"token:{session}"


def _kept(tree: Body) -> Body:
    return {name: value for name, value in tree.items() if name not in _LEFT_OUT}


def _firestore(project: str) -> Mirror | None:
    if not project:
        return None
    from forwardtrader.live.output.firestore import FirestoreMirror

    return FirestoreMirror(project)
