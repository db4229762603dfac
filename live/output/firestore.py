"""The mirror and the leases in Firestore; the only module that imports its client."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from forwardtrader.core import log
from forwardtrader.core.environment import environment, exported
from forwardtrader.core.errors import ConfigError, VenueUnreachable
from forwardtrader.live.output.lease import Lease, in_force
from forwardtrader.live.output.state_store import Body, Event

if TYPE_CHECKING:
    from firebase_admin import credentials
    from google.cloud.firestore import Client, DocumentSnapshot, WriteBatch

_TIMEOUT_S: Final = 3.0


class FirestoreMirror:
    """Writes whole documents with their sequence number; an older event never replaces a newer document.

    No call is retried here: the client's own retry would block for a minute where nothing answers, and the mirror queue has its own. Each
    write carries the expected state of its document, so that a write that was given up and arrives late is refused.

    Args:
        project: the Firebase project. With FIRESTORE_EMULATOR_HOST set, the emulator is used, without credentials.

    Raises:
        ConfigError: FIREBASE_CREDENTIALS_PATH names no readable key file.
    """

    def __init__(self, project: str) -> None:
        self._client = _client(project)

    def put(self, events: list[Event]) -> None:
        """Raises VenueUnreachable where Firestore does not answer or refuses."""
        from google.api_core.exceptions import GoogleAPIError

        newest = {event.name: event for event in events}  # a batch takes one write per document
        try:
            held = self._held(list(newest))
            batch = self._client.batch()
            for event in newest.values():
                self._add(batch, event, held.get(event.name))
            batch.commit(retry=None, timeout=_TIMEOUT_S)
        except GoogleAPIError as error:
            raise VenueUnreachable(f"Firestore does not take the state ({type(error).__name__})") from error

    def get(self, name: str) -> Body | None:
        """One document, or None."""
        found = self._client.document(_path(name)).get(retry=None, timeout=_TIMEOUT_S)
        return found.to_dict() if found.exists else None

    def _add(self, batch: WriteBatch, event: Event, held: DocumentSnapshot | None) -> None:
        from google.cloud.firestore import DELETE_FIELD

        reference, body = self._client.document(_path(event.name)), {**log.redacted(event.body), "seq": event.seq}
        if held is None:
            batch.create(reference, body)
            return
        before = held.to_dict()
        if int(before.get("seq", -1)) < event.seq:
            gone = dict.fromkeys(before.keys() - body.keys(), DELETE_FIELD)
            fields = {self._client.field_path(name): value for name, value in (body | gone).items()}
            batch.update(reference, fields, option=self._client.write_option(last_update_time=held.update_time))

    def _held(self, names: list[str]) -> dict[str, DocumentSnapshot]:
        references = [self._client.document(_path(name)) for name in names]
        answers = self._client.get_all(references, retry=None, timeout=_TIMEOUT_S)
        paths = {_path(name): name for name in names}
        return {paths[a.reference.path]: a for a in answers if a.exists}


class FirestoreLeases:
    """Leases of accounts under `accounts/NAME`. Two machines that take one at the same time cannot both succeed.

    Raises:
        ConfigError: as `FirestoreMirror`.
    """

    def __init__(self, project: str) -> None:
        self._client = _client(project)

    def take(self, name: str, wanted: Lease, now: float) -> Lease | None:
        """As `live.output.lease.LeaseStore.take`."""
        from google.api_core.exceptions import GoogleAPIError

        reference = self._client.document(f"accounts/{name}")
        try:
            found = reference.get(retry=None, timeout=_TIMEOUT_S)
            if not found.exists:
                reference.create(asdict(wanted), retry=None, timeout=_TIMEOUT_S)
                return None
            held = found.to_dict()
            if other := in_force(Lease(str(held.get("holder")), float(held.get("until", 0))), wanted.holder, now):
                return other
            option = self._client.write_option(last_update_time=found.update_time)
            reference.update(asdict(wanted), option=option, retry=None, timeout=_TIMEOUT_S)
        except (GoogleAPIError, TypeError, ValueError) as error:  # also where another machine was quicker: the next heartbeat sees it
            raise VenueUnreachable(f"Firestore does not give the lease ({type(error).__name__})") from error
        return None


def _client(project: str) -> Client:
    import firebase_admin
    from firebase_admin import firestore

    name = f"forwardtrader-{project}"
    with exported():  # the library looks for the emulator in the process environment
        known = firebase_admin._apps.get(name)
        return firestore.client(known or firebase_admin.initialize_app(_credential(), {"projectId": project}, name=name))


def _credential() -> credentials.Base:
    from firebase_admin import credentials
    from google.auth.credentials import AnonymousCredentials

    class Anonymous(credentials.Base):
        """An emulator needs no credentials; without this the library looks for Google's own, and fails."""

        def get_credential(self) -> AnonymousCredentials:
            return AnonymousCredentials()

    known = environment()
    if known.get("FIRESTORE_EMULATOR_HOST"):
        return Anonymous()
    path = known.get("FIREBASE_CREDENTIALS_PATH", "")
    try:
        return credentials.Certificate(path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"FIREBASE_CREDENTIALS_PATH {path!r} is not a readable service account key; correct it") from error


def _path(name: str) -> str:
    """Firestore paths alternate collection and document; a name with an odd number of parts gets an `items` collection."""
    parts = name.split("/")
    return name if len(parts) % 2 == 0 else "/".join([*parts[:-1], "items", parts[-1]])
