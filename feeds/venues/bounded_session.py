"""Bounds on the answers of a venue: so many bytes, and so much time for all of them, however slowly they drip."""

from __future__ import annotations

import time
from typing import Final

import requests
from requests.adapters import HTTPAdapter

MOST_BYTES: Final = 64_000_000
_PATIENCE: Final = 3.0  # times the time-out, for the whole body
_CHUNK: Final = 65_536


def mount_bounded(session: requests.Session, timeout_s: float, most_bytes: int = MOST_BYTES) -> None:
    """All answers that the session gets are bounded from now on."""
    for scheme in ("https://", "http://"):
        session.mount(scheme, _BoundedAdapter(timeout_s * _PATIENCE, most_bytes))


class _BoundedAdapter(HTTPAdapter):
    """Reads bodies itself; `requests` would read on for as long as bytes come.

    Raises (from `send`, as `requests` does):
        requests.exceptions.ReadTimeout, requests.exceptions.ConnectionError: an answer beyond the bounds.
    """

    def __init__(self, within_s: float, most_bytes: int) -> None:
        super().__init__()
        self._within_s, self._most_bytes = within_s, most_bytes

    def send(
        self, request: requests.PreparedRequest, stream: bool = False, timeout: float | tuple[float | None, float | None] | None = None,
        verify: bool | str = True, cert: str | tuple[str, str] | None = None, proxies: dict[str, str] | None = None,
    ) -> requests.Response:  # fmt: skip
        answer = super().send(request, True, timeout, verify, cert, proxies)
        if not stream:
            answer._content = self._body(answer)  # what `Response.content` gives from now on
            answer._content_consumed = True
        return answer

    def _body(self, answer: requests.Response) -> bytes:
        from urllib3.exceptions import HTTPError

        data, until = bytearray(), time.monotonic() + self._within_s
        try:
            while chunk := answer.raw.read1(_CHUNK, decode_content=True):
                data += chunk
                if len(data) > self._most_bytes:
                    raise requests.exceptions.ConnectionError(f"the answer has more than {self._most_bytes:,} bytes")
                if time.monotonic() > until:
                    raise requests.exceptions.ReadTimeout(f"the answer was not complete after {self._within_s:g} s")
        except (HTTPError, OSError) as error:
            if isinstance(error, requests.exceptions.RequestException):
                raise
            raise requests.exceptions.ConnectionError(error) from error
        finally:
            answer.raw.release_conn()
        return bytes(data)
