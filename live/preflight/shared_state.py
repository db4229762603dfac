"""The state that machines share in Firestore: whether it can be had at a start, and which machine may go on with a session.

A real account has one lease, whatever the session is called; any other session has one by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from forwardtrader.core import log
from forwardtrader.core.clock import Clock
from forwardtrader.core.errors import ConfigError, StartRefused, VenueRefused, VenueUnreachable
from forwardtrader.live.mirror.session_mirror import SessionMirror, token_of
from forwardtrader.live.output.lease import AccountLease
from forwardtrader.live.output.state_store import Body, StateStore
from forwardtrader.live.preflight.owner import machine_name
from forwardtrader.live.request import LiveRequest
from forwardtrader.live.venue.identity import AccountIdentity

_LOG: Final = log.logger("live")


def require_shared_state(request: LiveRequest, say: Callable[[str], None]) -> None:
    """Write and read Firestore as the session will; nothing where it is not configured.

    Args:
        say: shown one line, where it does not answer and trading goes on all the same.

    Raises:
        ConfigError: key, project or rights are wrong: nothing would ever be mirrored.
        VenueUnreachable: it does not answer, and the settings say that there is no trading without it.
    """
    if not request.settings.live.firestore_project:
        return
    try:
        check_shared_state(request)
    except (VenueUnreachable, VenueRefused) as trouble:
        if request.settings.live.firestore_outage == "hold":
            raise
        log.event(_LOG, "firestore_unreachable", reason=str(trouble))
        say(f"no mirror for now: {log.redact(str(trouble))}; trading goes on without it (live.firestore_outage: trade)")


def check_shared_state(request: LiveRequest) -> str:
    """As `require_shared_state`, whatever the settings say; returns one line."""
    from forwardtrader.live.output.firestore import FirestoreMirror

    project = request.settings.live.firestore_project
    FirestoreMirror(project).check(machine_name())
    return f"project {project} takes writes and gives them back"


@contextmanager
def leased(
    request: LiveRequest, account: AccountIdentity | None, clock: Clock, mirror: SessionMirror, lost: Callable[[str], None]
) -> Iterator[Callable[[], str]]:
    """Hold the lease of the account, or of the session, while the block runs; nothing where Firestore is not configured.

    Yields:
        Why no position may grow now, since another machine may trade the account; "" for no reason.

    Args:
        account: a real one; None on paper and at the practice exchange.
        lost: called, in another thread, with the reason when another machine holds the lease.

    Raises:
        AccountLocked: another machine holds it.
        StartRefused: another machine went on with the session since this one had it.
        VenueUnreachable: as `require_shared_state`.
    """
    live = request.settings.live
    if not live.firestore_project:
        yield lambda: ""
        return
    from forwardtrader.live.output.firestore import FirestoreLeases

    def taken(token: int) -> None:
        """A lease that was taken once Firestore answered again."""
        try:
            require_newest(request, mirror.token)
        except StartRefused as refusal:
            lost(str(refusal))
        else:
            mirror.leased(token)

    lease = AccountLease(
        lease_name(request, account), FirestoreLeases(live.firestore_project), holder_of(request, account), clock, lost,
        session=request.name, outage=live.firestore_outage,
    )  # fmt: skip
    lease.start()
    try:
        if lease.token:  # kept only by whoever may go on: else a second try would seem to be of the newest state
            require_newest(request, mirror.token)
            mirror.leased(lease.token)
        lease.taken = taken
        yield lease.objection
    finally:
        lease.close()


def lease_name(request: LiveRequest, account: AccountIdentity | None) -> str:
    """The document of a lease."""
    return f"session-{request.name}" if account is None else f"{account.venue}-{account.key}"


def holder_of(request: LiveRequest, account: AccountIdentity | None) -> str:
    """Who holds a lease: the machine, and where no lock of it keeps one account to one process, the folder."""
    return machine_name() if account is not None else f"{machine_name()} in {request.folder.resolve()}"


def require_newest(request: LiveRequest, token: int) -> None:
    """Require that no other machine wrote documents of the session after this one did, under the token given.

    Raises:
        StartRefused: one did; what this machine has of the session is older.
    """
    found = last_writer(request)
    if found is not None and found[0] != machine_name() and found[1] > token:
        raise StartRefused(
            f"session {request.name!r} was last run by {found[0]}; add --from-firestore to go on with it here, or choose another --session"
        )


def last_writer(request: LiveRequest) -> tuple[str, int] | None:
    """Which machine last wrote the documents of a session, and under which token; None where that is not known."""
    from forwardtrader.live.output.firestore import FirestoreMirror

    try:
        found: Body | None = FirestoreMirror(request.settings.live.firestore_project).get(f"sessions/{request.name}")
    except VenueUnreachable as trouble:
        log.event(_LOG, "firestore_unreachable", reason=str(trouble))
        return None
    return None if found is None or not found.get("machine") else (str(found["machine"]), int(found.get("token", 0)))


def synchronised(request: LiveRequest, clock: Clock) -> list[str]:
    """Make the mirror of a session equal to its files here; returns what differed.

    Raises:
        ConfigError: Firestore is not configured, or there is no such session here.
        StartRefused: another machine went on with it since.
        NotObeyed, VenueUnreachable: as `synchronise`.
    """
    project = request.settings.live.firestore_project
    if not project:
        raise ConfigError("--sync-firestore: live.firestore_project is empty; set it to the project of the mirror")
    from forwardtrader.live.mirror.sync import synchronise
    from forwardtrader.live.output.firestore import FirestoreMirror

    with closing(StateStore(Path(request.settings.live.state_path), clock)) as store:
        require_newest(request, token_of(store, request.name))
    return synchronise(request, clock, FirestoreMirror(project)).lines
