"""Synchronising: the mirror of a session is made equal to the session's files, document by document, and what differed is told."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from forwardtrader.core.clock import Clock
from forwardtrader.core.errors import ConfigError, NotObeyed
from forwardtrader.live.mirror.budget import WriteBudget
from forwardtrader.live.mirror.collector import PLAN, SESSION, SessionCollector, is_collected
from forwardtrader.live.mirror.mirror_queue import MirrorQueue
from forwardtrader.live.mirror.session_mirror import token_of
from forwardtrader.live.output.state_store import Body, Mirror, StateStore, age_of, plain
from forwardtrader.live.request import LiveRequest

_PATIENCE_S: Final = 60.0  # without any progress
_SHOWN: Final = 10


class ListedMirror(Mirror, Protocol):
    """A mirror whose documents can be listed and deleted."""

    def get(self, name: str) -> Body | None: ...

    def below(self, name: str) -> dict[str, Body]:
        """Every document below one, by name."""
        ...

    def delete(self, names: list[str]) -> None: ...


@dataclass(frozen=True)
class Differences:
    """Names of documents that the mirror lacked, had otherwise, or has though the session's files do not."""

    compared: int
    missing: list[str]
    different: list[str]
    beyond: list[str]

    @property
    def lines(self) -> list[str]:
        """For a person, names first where they are few."""
        found = [f"{self.compared} documents compared, {self.compared - len(self.missing) - len(self.different)} were equal"]
        for names, what in ((self.missing, "missing, written"), (self.different, "different, written anew"), (self.beyond, "deleted")):
            if names:
                more = "" if len(names) <= _SHOWN else ", ..."
                found.append(f"{len(names)} {what}: {', '.join(names[:_SHOWN])}{more}")
        return found


def synchronise(request: LiveRequest, clock: Clock, mirror: ListedMirror, *, sleep: Callable[[float], None] = time.sleep) -> Differences:
    """Bring the state store up to date with the files, compare it with the mirror, and send what differs.

    Raises:
        ConfigError: there is no such session here.
        NotObeyed: not all could be written: the budget of the day is used up, or Firestore does not answer.
        VenueUnreachable, VenueRefused: the mirror cannot be read.
    """
    if not (request.folder / SESSION).is_file():
        raise ConfigError(f"there is no session {request.name!r} in {request.folder.parent}; --from-firestore fetches one")
    live = request.settings.live
    with closing(StateStore(Path(live.state_path), clock)) as store:
        store.token = token_of(store, request.name)
        collector = SessionCollector(store, request.folder, symbols_of(request), anew=True)
        collector.all()
        store.remove(name for name in store.documents(request.name) if is_collected(name) and name not in collector.seen)
        held = _held(mirror, request.name)
        there = {name: plain(body) for name, body in held.items()}
        ours = store.documents(request.name)
        known = {name: body for name, body in there.items() if name not in ours and not is_collected(name)}
        store.adopt(known)  # status, settings and states of risk are made while a session runs, and of no file
        found = compare(ours | known, there)
        mirror.delete(found.beyond)
        store.overtake(*max(map(age_of, held.values()), default=(0, 0)))  # the mirror may have been written with a state store that is lost
        store.requeue([*found.missing, *found.different])
        queue = MirrorQueue(store, mirror, budget=WriteBudget(live.firestore_writes_per_day), clock=clock, every_s=0.2)
        queue.start()
        try:
            _wait(store, sleep)
        finally:
            queue.stop()
    return found


def symbols_of(request: LiveRequest) -> tuple[str, ...]:
    """The symbols that a session was begun with."""
    try:
        return tuple(map(str, json.loads((request.folder / PLAN).read_text(encoding="utf-8"))["symbols"]))
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ConfigError(f"{request.folder / PLAN} cannot be read; put a copy of it back") from error


def compare(ours: Mapping[str, Body], theirs: Mapping[str, Body]) -> Differences:
    """Documents by name on both sides, without what says how new they are."""
    both = ours.keys() & theirs.keys()
    return Differences(
        len(ours), sorted(ours.keys() - both), sorted(name for name in both if ours[name] != theirs[name]), sorted(theirs.keys() - both)
    )


def _held(mirror: ListedMirror, session: str) -> dict[str, Body]:
    name = f"sessions/{session}"
    status = mirror.get(name)
    return mirror.below(name) | ({} if status is None else {name: status})


def _wait(store: StateStore, sleep: Callable[[float], None]) -> None:
    """Until nothing waits; another process that shares the store may be the one that sends."""
    waiting, left_s = store.lag().waiting, _PATIENCE_S
    while waiting:
        if left_s <= 0:
            raise NotObeyed(f"{waiting} documents still wait: see --status; they are sent by the next session, or by this command again")
        sleep(0.1)
        now = store.lag().waiting
        waiting, left_s = now, _PATIENCE_S if now < waiting else left_s - 0.1
