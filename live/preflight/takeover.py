"""Taking a session over on another machine: wait for its lease, put its files back from Firestore, and go on by the one way to start.

Nothing is taken from Firestore without being asked for, and no real order is sent without `--live --yes-real-money`, whatever a document
says.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

from pydantic import ValidationError

from forwardtrader.core import atomic
from forwardtrader.core.atomic import private_folder
from forwardtrader.core.clock import Clock
from forwardtrader.core.errors import ConfigError, StoreDamaged, TradingError
from forwardtrader.core.settings import Settings
from forwardtrader.live import control
from forwardtrader.live.mirror.collector import PLAN, SESSION
from forwardtrader.live.mirror.restore import not_whole, restore
from forwardtrader.live.mirror.session_mirror import remember_token, token_of
from forwardtrader.live.output.lease import Lease, LeaseStore
from forwardtrader.live.output.state_store import Body, StateStore, plain
from forwardtrader.live.preflight.owner import account_of, machine_name
from forwardtrader.live.preflight.shared_state import holder_of, lease_name
from forwardtrader.live.request import LiveRequest
from forwardtrader.live.venue.identity import AccountIdentity

_LIFE_S: Final = 900.0  # until the session that is started holds the lease itself: it may have models to train first
_ASK_EVERY_S: Final = 5.0
_STRUCK: Final = "***"
_OURS: Final = {"models": ("save_path",), "feeds": ("store_path",)}  # beside the whole of `live`: where this machine keeps things
_PLANNED: Final = {"models", "strategies", "learning", "risk"}  # groups of settings that a plan holds
Say = Callable[[str], None]


class Documents(Protocol):
    """The documents of a mirror."""

    def get(self, name: str) -> Body | None: ...

    def below(self, name: str) -> dict[str, Body]: ...


def take_over(request: LiveRequest, clock: Clock, say: Say) -> LiveRequest:
    """Restore the session of a request, and return the request with the settings that it was begun with.

    It waits as long as another machine holds the lease; an interrupt ends that.

    Raises:
        ConfigError: Firestore is not configured, knows no such session, or one with real orders that are not asked for here.
        VenueUnreachable, VenueRefused, StoreDamaged: its documents cannot be read.
    """
    from forwardtrader.live.output.firestore import FirestoreLeases, FirestoreMirror, project_of_key

    project = request.settings.live.firestore_project or project_of_key()
    if not project:
        raise ConfigError("--from-firestore: set live.firestore_project, and FIREBASE_CREDENTIALS_PATH to a key of that project")
    mirror, leases = FirestoreMirror(project), FirestoreLeases(project)
    taken, _ = _as_it_stands(request, mirror, project)
    token = wait_for_lease(taken, _account(taken), leases, clock, say)
    try:
        taken, status = _as_it_stands(request, mirror, project)  # again: whoever held the lease may have gone on for days
        _put_in_place(taken, mirror, status, token, clock, say)
    except BaseException:
        _give_back(taken, leases, token, clock)
        raise
    return taken


def _as_it_stands(request: LiveRequest, mirror: Documents, project: str) -> tuple[LiveRequest, Body]:
    """The request with the settings of the session, and the session's status."""
    status = mirror.get(f"sessions/{request.name}")
    if status is None or not status.get("settings"):
        raise ConfigError(
            f"--from-firestore: project {project} has no session {request.name!r}; look at the name, or type --sync-firestore on the "
            f"machine that has its files"
        )
    begun = mirror.get(f"sessions/{request.name}/settings/{status['settings']}")
    if begun is None:
        raise StoreDamaged(not_whole(request.name, "its settings are missing"))
    return as_begun(request, begun, project), status


def _put_in_place(request: LiveRequest, mirror: Documents, status: Body, token: int, clock: Clock, say: Say) -> None:
    state = Path(request.settings.live.state_path)
    with closing(StateStore(state, clock)) as store, control.held(control.lock_of(request.folder), request.name):
        if has_newest(request, status, store):
            say(f"session {request.name} was last run here; its own files are used")
        else:
            _restore(request, mirror.below(f"sessions/{request.name}"), status, store, say)
        store.token = token
        remember_token(store, request.name, token)


def _give_back(request: LiveRequest, leases: LeaseStore, token: int, clock: Clock) -> None:
    """Let another machine try, where this one could not."""
    now, account = clock.now().timestamp(), _account(request)
    with suppress(TradingError):
        leases.take(lease_name(request, account), Lease(holder_of(request, account), now, token, request.name), now)


def as_begun(request: LiveRequest, begun: Body, project: str) -> LiveRequest:
    """The request with settings, venue and strategy of the session; places and keys are this machine's.

    Raises:
        ConfigError: as `take_over`.
    """
    asked = begun.get("request", {})
    try:
        settings = Settings.model_validate(_merged(begun["config"], request.settings.model_dump(mode="json"), project))
        taken = replace(request, settings=settings, **{name: asked[name] for name in ("mode", "sandbox", "speed", "market", "strategy")})
    except (LookupError, TypeError, ValidationError) as error:
        raise ConfigError(f"session {request.name!r} was run by another version of this program ({type(error).__name__})") from error
    if taken.mode == "live" and not (taken.sandbox or request.confirmed):
        raise ConfigError(f"session {request.name!r} trades with real orders; add --live --yes-real-money if that is meant here")
    if request.mode == "live" and taken.mode == "paper":
        raise ConfigError(f"session {request.name!r} trades on paper; leave --live out to go on with it")
    if taken.mode == "live" and taken.sandbox:
        raise ConfigError(f"session {request.name!r} trades on a practice exchange of its machine, which no other one has")
    return taken


def wait_for_lease(request: LiveRequest, account: AccountIdentity | None, leases: LeaseStore, clock: Clock, say: Say) -> int:
    """Take the lease as soon as nobody holds it; returns its token. Raises as `LeaseStore.take`."""
    name, holder, told = lease_name(request, account), holder_of(request, account), ""
    pause = threading.Event()
    while True:
        now = clock.now().timestamp()
        given = leases.take(name, Lease(holder, now + _LIFE_S, 0, request.name), now)
        if given.holder == holder:
            return given.token
        if given.holder != told:
            told = given.holder
            say(f"{name} is held by {told}, until {datetime.fromtimestamp(given.until, UTC):%H:%M:%S} UTC unless renewed; waiting")
        pause.wait(min(_ASK_EVERY_S, max(0.1, given.until - now)))


def has_newest(request: LiveRequest, status: Body, store: StateStore) -> bool:
    """Whether nobody wrote documents of the session after this machine did, and this machine has its files."""
    is_here = (request.folder / SESSION).is_file()
    return is_here and (status.get("machine") == machine_name() or int(status.get("token", 0)) <= token_of(store, request.name))


def _account(request: LiveRequest) -> AccountIdentity | None:
    return account_of(request) if request.mode == "live" and not request.sandbox else None


def _restore(request: LiveRequest, documents: dict[str, Body], status: Body, store: StateStore, say: Say) -> None:
    """Put the session's files in place; what this machine has of it is older, and is set aside."""
    folder, name = request.folder, f"sessions/{request.name}"
    below = {path.removeprefix(f"{name}/"): plain(body) for path, body in documents.items()}
    made = folder.with_name(f".{folder.name}.restoring")
    for left in made.glob("*"):
        left.unlink()
    private_folder(made)
    restored = restore(made, request.name, below)
    _write_rooms(made / PLAN, request.settings)
    if aside := _set_aside(folder):
        say(f"older files of session {request.name} are kept in {aside}")
    for path in made.iterdir():
        path.replace(folder / path.name)
    made.rmdir()
    store.forget(request.name)
    store.token = int(status.get("token", 0))
    store.adopt({name: plain(status), **{path: plain(body) for path, body in documents.items()}})
    say(f"session {request.name} restored: {restored.text}, as {status.get('machine')} left it at {status.get('updated')}")


def _write_rooms(path: Path, settings: Settings) -> None:
    """Let a plan name the settings as this process reads them: a span of 2 seconds was written as 0 minutes, which is read as 0 days."""
    plan = json.loads(path.read_text(encoding="utf-8"))
    for room in _PLANNED & plan.keys():
        now = getattr(settings, room).model_dump(mode="json")
        plan[room] = {key: now.get(key, value) for key, value in plan[room].items()}
    atomic.write_text(path, json.dumps(plan, indent=1))


def _set_aside(folder: Path) -> Path | None:
    """Move all files of an older state away, save those of the lock that is held; None where there are none."""
    kept = [path for path in folder.iterdir() if path.name not in ("session.lock", "session.pid")]
    if not kept:
        return None
    aside = next(p for n in itertools.count(1) if not (p := folder.with_name(f".{folder.name}.older-{n}")).exists())
    private_folder(aside)
    for path in kept:
        path.replace(aside / path.name)
    return aside


def _merged(begun: Any, here: Any, project: str) -> dict[str, Any]:
    tree: dict[str, Any] = _without_struck(begun, here)
    tree["live"] = {**here["live"], "firestore_project": project}
    for room, names in _OURS.items():
        tree[room] = {**tree[room], **{name: here[room][name] for name in names}}
    return tree


def _without_struck(begun: Any, here: Any) -> Any:
    """What a session was begun with; in place of a secret that was struck out what this machine has there."""
    if isinstance(begun, dict):
        return {name: _without_struck(value, here.get(name) if isinstance(here, dict) else None) for name, value in begun.items()}
    return here if isinstance(begun, str) and _STRUCK in begun else begun
