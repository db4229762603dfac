"""Authentication: API key, signature and time window of a request."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Protocol

from forwardtrader.sandbox.binance import errors

DEFAULT_WINDOW_MS = 5000
LONGEST_WINDOW_MS = 60_000
TOLERATED_AHEAD_MS = 1000


class KeyRing(Protocol):
    """The keys that exist."""

    def secret_of(self, key: str) -> str | None:
        """A key's secret; None for one that does not exist."""


def check_key(sent: str | None, keys: KeyRing) -> str:
    """The key's secret. Raises -2014 without a key, -2015 with a wrong one."""
    if not sent:
        raise errors.KEY_FORMAT
    secret = keys.secret_of(sent)
    if secret is None:
        raise errors.BAD_KEY
    return secret


def check_signature(payload: str, signature: str | None, secret: str) -> None:
    """Raises -1102 without a signature, -1022 if it does not match `payload`."""
    if not signature:
        raise errors.missing("signature")
    expected = hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), signature.lower().encode()):
        raise errors.BAD_SIGNATURE


def check_time(params: Mapping[str, str], now: int) -> None:
    """Raises -1021 if `timestamp` (milliseconds) is older than its window or more than a second ahead of `now`."""
    stamp, window = params.get("timestamp"), params.get("recvWindow", str(DEFAULT_WINDOW_MS))
    if not stamp:
        raise errors.missing("timestamp")
    if not (stamp.isdecimal() and stamp.isascii() and len(stamp) < 20):
        raise errors.illegal("timestamp", "^[0-9]{1,20}$")
    whole = window.split(".")[0]
    if not (whole.isdecimal() and whole.isascii() and len(whole) < 20):
        raise errors.illegal("recvWindow", "^[0-9]{1,5}(\\.[0-9]{1,3})?$")
    if int(whole) > LONGEST_WINDOW_MS:
        raise errors.WINDOW_TOO_LONG
    if int(stamp) >= now + TOLERATED_AHEAD_MS:
        raise errors.TOO_NEW
    if now - int(stamp) > int(whole):
        raise errors.TOO_OLD


def rest_payload(query: str, body: str) -> str:
    """The signed text of a REST request: query and body as sent, without the signature."""
    return _unsigned(query) + _unsigned(body)


def socket_payload(params: Mapping[str, str]) -> str:
    """The signed text of a WebSocket API request: all parameters but the signature, sorted by name."""
    return "&".join(f"{name}={params[name]}" for name in sorted(params) if name != "signature")


def _unsigned(text: str) -> str:
    return "&".join(part for part in text.split("&") if part and not part.startswith("signature="))
