"""The mirror and the leases in Firestore; the only module that imports its client.

No call is retried here: the client's own retry would block for a minute where nothing answers, and the mirror queue has its own. A write
carries the expected state of its document, so that one that was given up and arrives late is refused.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from forwardtrader.core import log
from forwardtrader.core.environment import environment, exported
from forwardtrader.core.errors import ConfigError, TradingError, VenueBusy, VenueRefused, VenueUnreachable
from forwardtrader.live.output.lease import LIFE_S, Lease
from forwardtrader.live.output.state_store import Body, Event, age_of

if TYPE_CHECKING:
    from firebase_admin import credentials
    from google.cloud.firestore import Client, CollectionReference, DocumentReference, DocumentSnapshot, WriteBatch

_TIMEOUT_S: Final = 3.0
_COMMIT_S: Final = 10.0  # of several hundred documents
_LISTING_S: Final = 120.0
_PAGE: Final = 1000
_BATCH: Final = 400
_TRIES: Final = 3
_EMULATOR: Final = "FIRESTORE_EMULATOR_HOST"
_ADDRESS: Final = re.compile(r"(?:[\w.-]+|\[[\da-fA-F:.]+\]):\d{1,5}")
# What Google says of a key that it does not know, or of the times that a machine has put into what it signed.
_REVOKED: Final = ("invalid_grant", "invalid_client", "unauthorized_client", "deleted_client", "account_disabled")
_TIMES: Final = ("iat and exp", "reasonable timeframe", "Token used too early", "Token expired")


class FirestoreMirror:
    """Writes whole documents with their token and sequence number; an older event never replaces a newer document.

    Args:
        project: the Firebase project. With FIRESTORE_EMULATOR_HOST set, the emulator is used, without credentials.

    Raises (everywhere):
        ConfigError: the key, the project or its rights are wrong.
        VenueUnreachable, VenueBusy: Firestore does not answer, or its quota is used up.
        VenueRefused: it never takes a document like this.
    """

    def __init__(self, project: str) -> None:
        self._project = project
        self._client = _client(project)

    def put(self, events: list[Event]) -> None:
        """As `Mirror.put`."""
        from google.api_core.exceptions import AlreadyExists

        newest = {event.name: event for event in events}  # a batch takes one write per document
        bodies = log.redacted([event.body for event in newest.values()])
        changed = [replace(event, body=body) for event, body in zip(newest.values(), bodies, strict=True)]
        with _translated(self._project):
            try:
                self._write(changed, [event.name for event in changed if not event.is_new])
            except AlreadyExists:  # a write that was given up had arrived, or the state store is not the one that wrote them
                self._write(changed, list(newest))

    def get(self, name: str) -> Body | None:
        """One document, or None."""
        with _translated(self._project):
            found = self._client.document(_path(name)).get(retry=None, timeout=_TIMEOUT_S)
            return found.to_dict() if found.exists else None

    def below(self, name: str) -> dict[str, Body]:
        """Every document of every collection below a document, by name."""
        with _translated(self._project):
            return {f"{name}/{name_}": body for name_, body in self._below(self._client.document(_path(name)))}

    def delete(self, names: Iterable[str]) -> None:
        """Delete documents; those that are not there too."""
        paths = [_path(name) for name in names]
        with _translated(self._project):
            for begin in range(0, len(paths), _BATCH):
                batch = self._client.batch()
                for path in paths[begin : begin + _BATCH]:
                    batch.delete(self._client.document(path))
                batch.commit(retry=None, timeout=_COMMIT_S)

    def check(self, machine: str) -> None:
        """Ask for a token with the key, then write and read one document, as a session will."""
        reference = self._client.document(f"checks/{machine}")
        with _translated(self._project):
            _refresh(self._client)
            reference.set({"machine": machine}, retry=None, timeout=_TIMEOUT_S)
            reference.get(retry=None, timeout=_TIMEOUT_S)

    def _write(self, events: list[Event], known: list[str]) -> None:
        """Write all events at once; those that are not `known` must not be there."""
        held = self._held(known) if known else {}
        batch = self._client.batch()
        for event in events:
            self._add(batch, event, held.get(event.name))
        batch.commit(retry=None, timeout=_COMMIT_S)

    def _add(self, batch: WriteBatch, event: Event, held: DocumentSnapshot | None) -> None:
        from google.cloud.firestore_v1.types import Write

        if (made := self._made(event, held)) is not None:
            batch._add_write_pbs([Write.wrap(made)])

    def _made(self, event: Event, held: DocumentSnapshot | None) -> Any:
        """The write of an event, in the client's own protocol; None where what is there is as new.

        `batch.create` and `batch.update` give the same, at twelve times the processor time, which the session's loop would wait for.
        """
        body = {**event.body, "seq": event.seq, "token": event.token}
        before: Body = {} if held is None else held.to_dict()
        if held is not None and age_of(before) >= (event.token, event.seq):
            return None
        made = _write_class()()
        made.update.name = self._client.document(_path(event.name))._document_path
        for name, value in body.items():
            _fill(made.update.fields[name], value)
        if held is None:
            made.current_document.exists = False
            return made
        made.update_mask.field_paths.extend(sorted(self._client.field_path(name) for name in body | before))  # what is not in the body goes
        made.current_document.update_time.CopyFrom(held.update_time.timestamp_pb())
        return made

    def _held(self, names: list[str]) -> dict[str, DocumentSnapshot]:
        references = [self._client.document(_path(name)) for name in names]
        answers = self._client.get_all(references, retry=None, timeout=_TIMEOUT_S)
        paths = {_path(name): name for name in names}
        return {paths[a.reference.path]: a for a in answers if a.exists}

    def _below(self, parent: DocumentReference) -> Iterator[tuple[str, Body]]:
        for collection in parent.collections(retry=None, timeout=_TIMEOUT_S):
            for found in _pages(collection):
                yield f"{collection.id}/{found.id}", found.to_dict()


class FirestoreLeases:
    """Leases of accounts under `accounts/NAME`, timed by Firestore's own clock. Two machines that take one at once cannot both succeed.

    Raises:
        ConfigError: as `FirestoreMirror`.
    """

    def __init__(self, project: str) -> None:
        self._project = project
        self._client = _client(project)

    def take(self, name: str, wanted: Lease, now: float) -> Lease:
        """As `live.output.lease.LeaseStore.take`."""
        from google.api_core.exceptions import Aborted, AlreadyExists, FailedPrecondition

        for _ in range(_TRIES):
            try:
                with _translated(self._project):
                    return self._take(self._client.document(f"accounts/{name}"), wanted, now)
            except VenueUnreachable as error:
                if not isinstance(error.__cause__, Aborted | AlreadyExists | FailedPrecondition):
                    raise
        raise VenueUnreachable("Firestore does not give the lease: several machines ask for it at once")

    def _take(self, reference: DocumentReference, wanted: Lease, now: float) -> Lease:
        found = reference.get(retry=None, timeout=_TIMEOUT_S)
        held = _lease_in(found, now) if found.exists else None
        given = wanted.after(held, now)
        if given is held:
            return given
        fields = {"holder": given.holder, "token": given.token, "session": given.session, "life_s": given.until - now, "renewed": now}
        if held is None:
            reference.create(fields, retry=None, timeout=_TIMEOUT_S)
        else:
            option = self._client.write_option(last_update_time=found.update_time)
            reference.update(fields, option=option, retry=None, timeout=_TIMEOUT_S)
        return given


def project_of_key() -> str:
    """The project that the service account's key file names; "" where there is none."""
    path = environment().get("FIREBASE_CREDENTIALS_PATH", "")
    try:
        return str(json.loads(Path(path).read_text(encoding="utf-8"))["project_id"]) if path else ""
    except (OSError, ValueError, LookupError, TypeError):
        return ""


def _lease_in(found: DocumentSnapshot, now: float) -> Lease:
    """The lease of a document; how long it is in force yet by Firestore's clock, told by ours."""
    fields = found.to_dict()
    age_s = (found.read_time - found.update_time).total_seconds()
    left_s = float(fields.get("life_s", LIFE_S)) - age_s
    return Lease(str(fields.get("holder")), now + left_s, int(fields.get("token", 0)), str(fields.get("session", "")))


def _pages(collection: CollectionReference) -> Iterator[DocumentSnapshot]:
    last = None
    while True:
        query = collection.order_by("__name__").limit(_PAGE)
        page = list((query if last is None else query.start_after(last)).stream(retry=None, timeout=_LISTING_S))
        yield from page
        if len(page) < _PAGE:
            return
        last = page[-1]


@functools.cache
def _write_class() -> Any:
    """The class behind the client's own, whose fields are set without a wrapper around each."""
    from google.cloud.firestore_v1.types import Write

    return type(Write.pb(Write()))


def _fill(field: Any, value: Any) -> None:
    """Set a field to a plain JSON value."""
    if value is None:
        field.null_value = 0
    elif isinstance(value, bool):
        field.boolean_value = value
    elif isinstance(value, int):
        field.integer_value = value
    elif isinstance(value, float):
        field.double_value = value
    elif isinstance(value, str):
        field.string_value = value
    elif isinstance(value, dict):
        field.map_value.SetInParent()  # one without fields is a map, too
        for name, each in value.items():
            _fill(field.map_value.fields[name], each)
    elif isinstance(value, list | tuple):
        field.array_value.SetInParent()
        for each in value:
            _fill(field.array_value.values.add(), each)
    else:
        raise TypeError(f"{type(value).__name__} is no JSON value")


@contextmanager
def _translated(project: str) -> Iterator[None]:
    """Errors of the client in the block become ours."""
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except (GoogleAPIError, GoogleAuthError, ValueError, TypeError) as error:
        raise _ours(error, project) from error


def _ours(error: Exception, project: str) -> TradingError:
    from google.api_core import exceptions as api
    from google.auth.exceptions import RefreshError

    what, text = type(error).__name__, str(error)
    if "invalid_grant" in text and any(word in text for word in _TIMES):
        return ConfigError("Google does not take what this machine signs, since its clock is wrong; set it (NTP), then start again")
    if isinstance(error, api.Unauthenticated) or (isinstance(error, RefreshError) and any(word in text for word in _REVOKED)):
        return ConfigError("Firestore does not know the key that FIREBASE_CREDENTIALS_PATH names (revoked?); make a new one in the console")
    if isinstance(error, api.Forbidden):
        return ConfigError(
            f"Firestore refuses this key in project {project}; enable the API, and give the service account the role Cloud Datastore User"
        )
    if isinstance(error, api.NotFound):
        return ConfigError(f"project {project} has no Firestore database; create one (native mode), or correct live.firestore_project")
    if isinstance(error, api.TooManyRequests):
        return VenueBusy("the quota of Firestore is used up; it is tried again")
    if isinstance(error, api.InvalidArgument | ValueError | TypeError):
        return VenueRefused(f"Firestore never takes this ({what}: {log.redact(text)[:200]})")
    if emulator := environment().get(_EMULATOR):
        return VenueUnreachable(f"the Firestore emulator at {emulator} does not answer ({what}); start it, or unset {_EMULATOR}")
    return VenueUnreachable(f"Firestore does not answer ({what}); look at the network")


def _client(project: str) -> Client:
    import firebase_admin
    from firebase_admin import firestore

    name = f"forwardtrader-{project}"
    with exported():  # the library looks for the emulator in the process environment
        known = firebase_admin._apps.get(name)
        return firestore.client(known or firebase_admin.initialize_app(_credential(project), {"projectId": project}, name=name))


def _credential(project: str) -> credentials.Base:
    from firebase_admin import credentials
    from google.auth.credentials import AnonymousCredentials

    class Anonymous(credentials.Base):
        """An emulator needs no credentials; without this the library looks for Google's own, and fails."""

        def get_credential(self) -> AnonymousCredentials:
            return AnonymousCredentials()

    known = environment()
    if emulator := known.get(_EMULATOR):
        if not _ADDRESS.fullmatch(emulator):
            raise ConfigError(f"{_EMULATOR} is {log.redact(emulator)!r}; write it as HOST:PORT, such as 127.0.0.1:8085, or unset it")
        return Anonymous()
    path = known.get("FIREBASE_CREDENTIALS_PATH", "")
    if not path:
        raise ConfigError("live.firestore_project is set, but FIREBASE_CREDENTIALS_PATH is not; set it, or empty the project")
    try:
        made: Any = credentials.Certificate(path)
    except (OSError, ValueError, AttributeError, TypeError, LookupError) as error:  # of JSON that is no key, too
        raise ConfigError(f"FIREBASE_CREDENTIALS_PATH {path!r} is not a readable service account key; correct it") from error
    if made.project_id != project:
        raise ConfigError(f"the key that FIREBASE_CREDENTIALS_PATH names is for project {made.project_id}, not {project}; correct one")
    return made


def _refresh(client: Client) -> None:
    """Get a token with the key; one that was revoked would look like a network that is down where the client does it."""
    from google.auth.exceptions import TransportError
    from google.auth.transport.requests import Request

    if hasattr(client._credentials, "refresh") and not environment().get(_EMULATOR):
        try:
            client._credentials.refresh(functools.partial(Request(), timeout=_TIMEOUT_S))
        except (TypeError, ValueError) as error:  # what answered is no service of Google's: a proxy, or the page of a network to log in to
            raise TransportError(error) from error


def _path(name: str) -> str:
    """Firestore paths alternate collection and document; a name with an odd number of parts gets an `items` collection."""
    parts = name.split("/")
    return name if len(parts) % 2 == 0 else "/".join([*parts[:-1], "items", parts[-1]])
