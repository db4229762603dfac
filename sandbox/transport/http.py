"""Requests and answers as plain values, so that the venue can be asked with or without a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as it was sent: `path` decoded and without the query, `query` and `body` raw, because they are signed."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """A header's value, whatever the case of its name."""
        wanted = name.lower()
        return next((value for key, value in self.headers.items() if key.lower() == wanted), None)


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer: it leaves `delay_s` seconds after the request was handled; with `is_lost` the connection is reset instead."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = JSON
    delay_s: float = 0.0
    is_lost: bool = False


def redirect(to: str, request: HttpRequest) -> HttpAnswer:
    """An answer that sends the same request on to another host."""
    query = f"?{request.query}" if request.query else ""
    return HttpAnswer(307, b"", {"Location": f"{to}{request.path}{query}"}, content_type="text/plain")
