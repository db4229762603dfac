"""The identity of an account: venue, address, key and kind, in a form that may be written down and shown."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from forwardtrader.core.errors import StartRefused
from forwardtrader.feeds.venues.exchange import endpoint_of

_PRACTICE: Final = "practice exchange"


@dataclass(frozen=True)
class AccountIdentity:
    """What a session must find again at every start.

    Attributes:
        host: where orders go, with its port.
        key: fingerprint of the API key; "" at the practice exchange, which makes keys as it likes.
        kind: "spot" or "perpetual".
    """

    venue: str
    host: str
    key: str
    kind: str

    @property
    def text(self) -> str:
        """In one line, for a person."""
        key = f", key {self.key}" if self.key else ""
        return f"{self.venue} ({self.kind}) at {self.host}{key}"


def key_fingerprint(venue: str, api_key: str) -> str:
    """A name of an API key that does not reveal it: the same key at another venue has another one."""
    return hashlib.sha256(f"forwardtrader account {venue} {api_key}".encode()).hexdigest()[:12]


def real_account(venue: str, url: str, api_key: str, symbols: Sequence[str]) -> AccountIdentity:
    """The account at a venue; `url` is its address where that is not its own."""
    at = endpoint_of(venue, url)
    return AccountIdentity(venue, f"{at.host}:{at.port}", key_fingerprint(venue, api_key), _kind(symbols))


def practice_account(protocol: str, symbols: Sequence[str]) -> AccountIdentity:
    """The account at the practice exchange."""
    return AccountIdentity(protocol, _PRACTICE, "", _kind(symbols))


def require_same_account(known: object, now: AccountIdentity, session: str) -> None:
    """Require that an account is the one that was written down; None where a version that did not write it began the session.

    Raises:
        StartRefused: it is another one; nothing of it may be taken over.
    """
    if known is None or known == asdict(now):
        return
    facts = known if isinstance(known, Mapping) else {}
    before = AccountIdentity(**{name: str(facts.get(name, "")) for name in asdict(now)})
    raise StartRefused(
        f"session {session!r} belongs to {before.text}, not to {now.text}: nothing was taken over; "
        f"set that address and key again, or choose another --session"
    )


def _kind(symbols: Sequence[str]) -> str:
    return "perpetual" if any(":" in symbol for symbol in symbols) else "spot"
