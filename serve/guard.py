"""What every request must pass before anything is read for it: the right host, the token, for a command the right page, and a small body.

A page of somebody else's must be able to do nothing: it cannot have a name of its own lead here (hosts are known by name), is not let in
with the user's cookie (which is sent from our own pages only), and no command is taken from it (its origin is told by the browser, and the
form's token it cannot read).
"""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Collection, Iterable
from typing import Final
from urllib.parse import urlencode, urlsplit

import anyio
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from forwardtrader.core import log
from forwardtrader.serve.access import Access

_LOG: Final = log.logger("serve")
MOST_BYTES: Final = 16 * 1024  # of a request's body
_BODY_S: Final = 10.0  # that a body may take to come
_COOKIE_S: Final = 30 * 86_400
OPEN: Final = ("/static/", "/favicon.ico")  # without a token: files of the program, not of the user
# A script of a library, which pages of runs ask for from a sandbox, where the browser sends no cookie.
LIBRARY: Final = re.compile(r"/(?:runs|sessions)/[^/]+/plotly\.min\.js")
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cache-control": "no-store",
}
# A cookie that is sent from our own pages only does not come with a link from elsewhere: the page asks once more, now by itself.
_ONCE_MORE: Final = '<!doctype html><meta http-equiv="refresh" content="0"><title>forwardtrader</title>'
NO_TOKEN: Final = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    '<title>No access · forwardtrader</title><link rel="icon" href="data:,"><link rel="stylesheet" href="/static/serve.css">'
    '<main class="wrap alone"><h1>No access</h1><p class="note">Open the address that <code>forwardtrader serve</code> printed when it '
    "started: it lets this browser in.</p></main></html>"
)


def allowed_hosts(host: str, more: Iterable[str]) -> frozenset[str]:
    """The names that this server answers to, beside addresses in numbers where it listens beyond this machine."""
    return frozenset({"127.0.0.1", "localhost", "::1", host.lower(), *(name.lower() for name in more)})


class Guard:
    """Stands before the application.

    Args:
        hosts: names that requests may be addressed to.
        numbers: whether any address in numbers may be too; nobody can have one lead elsewhere, as a name can be made to.
    """

    def __init__(self, app: ASGIApp, access: Access, hosts: Collection[str], *, numbers: bool = False) -> None:
        self._app = app
        self._access = access
        self._hosts = hosts
        self._numbers = numbers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._request(Request(scope), receive, _with_headers(send))

    async def _request(self, request: Request, receive: Receive, send: Send) -> None:
        answer = self._objection(request)
        body = b""
        if answer is None and request.method == "POST":
            found = await _small_body(request, receive)
            answer, body = (found, b"") if isinstance(found, Response) else (None, found)
        if answer is not None:
            await answer(request.scope, receive, send)
            return
        await self._app(request.scope, _replayed(body, receive) if request.method == "POST" else receive, send)

    def _objection(self, request: Request) -> Response | None:
        """The answer to a request that must not pass; None for one that may."""
        if not self._is_ours(request.headers.get("host", "")):
            return _refused("this server does not answer to that name; --allow-host adds one", 421)
        if request.method not in ("GET", "HEAD", "POST"):
            return _refused("only GET and POST", 405)
        if request.method == "POST":
            return self._objection_to_command(request)
        if request.url.path.startswith(OPEN) or LIBRARY.fullmatch(request.url.path):
            return None
        if "token" in request.query_params:
            return self._let_in(request)
        return None if self._is_known(request) else _stranger(request)

    def _is_ours(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower()
        except ValueError:
            return False
        return name in self._hosts or (self._numbers and _is_number(name))

    def _is_known(self, request: Request) -> bool:
        return self._access.is_cookie(request.cookies.get(self._access.cookie_name, ""))

    def _let_in(self, request: Request) -> Response:
        """The token in the address is taken out of it again, and a cookie given for it."""
        if not self._access.is_token(request.query_params["token"]):
            return HTMLResponse(NO_TOKEN, 401)
        rest = urlencode([(name, value) for name, value in request.query_params.multi_items() if name != "token"])
        path = "/" + request.url.path.lstrip("/")  # two slashes would name another machine
        answer = RedirectResponse(f"{path}?{rest}" if rest else path, 303)
        answer.set_cookie(
            self._access.cookie_name, self._access.cookie, max_age=_COOKIE_S, httponly=True, samesite="strict",
            secure=request.url.scheme == "https",
        )  # fmt: skip
        return answer

    def _objection_to_command(self, request: Request) -> Response | None:
        if not self._is_known(request):
            return _refused("no access: open the address that `forwardtrader serve` printed", 401)
        origin, host = request.headers.get("origin", ""), request.headers.get("host", "")
        site = request.headers.get("sec-fetch-site", "same-origin")
        if origin not in (f"http://{host}", f"https://{host}") or site != "same-origin":
            return _refused("this did not come from a page of this server", 403)
        if not self._access.is_form_token(request.headers.get("x-form-token", "")):
            return _refused("the page is out of date; open it again", 403)
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return _refused("send JSON", 415)
        return None


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _stranger(request: Request) -> Response:
    came_from_elsewhere = request.headers.get("sec-fetch-site") in ("cross-site", "same-site")
    if came_from_elsewhere and request.headers.get("sec-fetch-mode") == "navigate":
        return HTMLResponse(_ONCE_MORE)
    return HTMLResponse(NO_TOKEN, 401)


def _refused(why: str, status: int) -> Response:
    log.event(_LOG, "request_refused", logging.WARNING, reason=why, status=status)
    return PlainTextResponse(why + "\n", status)


async def _small_body(request: Request, receive: Receive) -> bytes | Response:
    """The body of a request, or the answer to one that is too large, or does not come."""
    told = request.headers.get("content-length", "0")
    if not told.isdigit() or int(told) > MOST_BYTES:
        return _refused(f"no more than {MOST_BYTES} bytes", 413)
    body = b""
    with anyio.move_on_after(_BODY_S):
        while len(body) <= MOST_BYTES:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body", False):
                return body if len(body) <= MOST_BYTES else _refused(f"no more than {MOST_BYTES} bytes", 413)
        return _refused(f"no more than {MOST_BYTES} bytes", 413)
    return _refused("the request did not come whole", 408)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Gives the body that was read, then what comes after it."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _with_headers(send: Send) -> Send:
    """The headers of every answer, unless it has its own."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending
