"""The mirror in Firestore, and the only door to it."""

from __future__ import annotations

import os
from typing import Any, Final

from core.errors import ConfigError, VenueUnreachable
from live.state import Event

_TIMEOUT_S: Final = 3.0


class FirestoreMirror:
    """Writes documents by `set` with their sequence number; an older event never replaces a newer document.

    No call is retried here: the client's own retry would block for a minute where nothing answers; the outbox has its own.

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
                if held.get(event.name, -1) < event.seq:
                    batch.set(self._client.document(_path(event.name)), {**event.body, "seq": event.seq})
            batch.commit(retry=None, timeout=_TIMEOUT_S)
        except GoogleAPIError as error:
            raise VenueUnreachable(f"Firestore does not take the state ({type(error).__name__})") from error

    def get(self, name: str) -> dict[str, Any] | None:
        """One document, or None."""
        found = self._client.document(_path(name)).get(retry=None, timeout=_TIMEOUT_S)
        return found.to_dict() if found.exists else None

    def _held(self, names: list[str]) -> dict[str, int]:
        references = [self._client.document(_path(name)) for name in names]
        answers = self._client.get_all(references, field_paths=["seq"], retry=None, timeout=_TIMEOUT_S)
        paths = {_path(name): name for name in names}
        return {paths[a.reference.path]: int((a.to_dict() or {}).get("seq", -1)) for a in answers if a.exists}


def _client(project: str) -> Any:
    if os.environ.get("FIRESTORE_EMULATOR_HOST"):
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import firestore

        return firestore.Client(project=project, credentials=AnonymousCredentials())
    import firebase_admin
    from firebase_admin import credentials, firestore

    path = os.environ.get("FIREBASE_CREDENTIALS_PATH", "")
    try:
        key = credentials.Certificate(path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"FIREBASE_CREDENTIALS_PATH {path!r} is not a readable service account key; correct it") from error
    name = f"forwardtrader-{project}"
    known = firebase_admin._apps.get(name)
    return firestore.client(known or firebase_admin.initialize_app(key, {"projectId": project}, name=name))


def _path(name: str) -> str:
    """Firestore wants collection and document by turns; slashes of symbols are replaced by whoever names documents."""
    parts = name.split("/")
    return name if len(parts) % 2 == 0 else "/".join([*parts[:-1], "items", parts[-1]])
