"""Bybit's REST API: authentication and faults around the request handlers."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson

from forwardtrader.core.log import event, logger
from forwardtrader.sandbox.bybit import errors
from forwardtrader.sandbox.bybit.errors import BybitError
from forwardtrader.sandbox.bybit.handlers import BybitAction, BybitHandlers
from forwardtrader.sandbox.faults.request_faults import RequestFaults
from forwardtrader.sandbox.transport.http import HttpAnswer, HttpRequest, redirect
from forwardtrader.sandbox.transport.request_log import RequestLog
from forwardtrader.sandbox.venue import SandboxVenue

LOG = logger("sandbox")
DEFAULT_WINDOW_MS = 5000
AHEAD_MS = 1000
NOTHING_FOUND: Final = {"list": [], "nextPageCursor": ""}  # a query for an order is a list, also where it does not see the order


class BybitRestApi:
    """Authenticates a request and calls its handler."""

    def __init__(
        self, handlers: BybitHandlers, actions: Mapping[tuple[str, str], BybitAction], log: RequestLog, faults: RequestFaults
    ) -> None:
        self._handlers = handlers
        self._venue: SandboxVenue = handlers.venue
        self._actions = actions
        self._log = log
        self._faults = faults

    def delay_s(self, name: str, request: HttpRequest) -> float:
        """Seconds that the request is under way."""
        latency_s = self._venue.settings.latency_s
        action = self._actions.get((request.method, name))
        if action is None or not self._faults.delays_arrival:
            return latency_s
        try:
            params = _read(request)[0]
        except BybitError:
            params = {}
        symbol = self._handlers.find_symbol(params)
        return latency_s + self._faults.under_way_s(action.kind_of(params), symbol)

    def answer(self, name: str, request: HttpRequest) -> HttpAnswer:
        """Handle a request to `name`, the path below `/v5/`."""
        entry = self._log.add("rest", f"{request.method} {name}")
        delay_s, is_lost = 0.0, False
        try:
            action = self._actions.get((request.method, name))
            if action is None:
                raise BybitError(10404, "Request path not found.", 404)
            params, payload = _read(request)
            entry["params"] = dict(params)
            kind = action.kind_of(params)
            if to := self._faults.redirected(kind, self._handlers.find_symbol(params)):
                entry["status"] = 307
                return redirect(to, request)
            is_hidden = self._admit(request, action, params, payload)
            result = NOTHING_FOUND if is_hidden else answered(action, params)
            injected = self._faults.after(kind, self._handlers.find_symbol(params))
            if injected is not None:
                if injected.kind == "error":
                    raise errors.injected(injected.what, injected.seconds)
                delay_s, is_lost = injected.seconds, injected.kind != "delay"
            code, text, status, headers = 0, "OK", 200, {}
        except BybitError as error:
            result, code, text, status = {}, error.code, error.text, error.status
            headers = self._reset_header(error)
        entry["status"] = code
        body = {"retCode": code, "retMsg": text, "result": result, "retExtInfo": {}, "time": self._venue.wall_ms()}
        return HttpAnswer(status, orjson.dumps(body), headers, delay_s=delay_s, is_lost=is_lost)

    def _reset_header(self, error: BybitError) -> dict[str, str]:
        if error.retry_after is None:
            return {}
        return {"X-Bapi-Limit-Reset-Timestamp": str(self._venue.wall_ms() + error.retry_after * 1000)}

    def _admit(self, request: HttpRequest, action: BybitAction, params: Mapping[str, Any], payload: str) -> bool:
        """Let a request pass; whether it finds no order, whatever there is."""
        if action.signed:
            check_headers(request, payload, self._venue)
        injected = self._faults.before(action.kind_of(params), self._handlers.find_symbol(params))
        if injected is not None and injected.what != "not found":
            raise errors.injected(injected.what, injected.seconds)
        return injected is not None


def answered(action: BybitAction, params: Mapping[str, Any]) -> Any:
    """Call the handler; an internal error is logged and answered as Bybit's "server error"."""
    try:
        return action.answer(params)
    except BybitError:
        raise
    except Exception as error:
        event(LOG, "request_failed", error=repr(error))
        LOG.exception("request_failed")
        raise errors.INTERNAL from error


def _read(request: HttpRequest) -> tuple[dict[str, Any], str]:
    """The parameters, and the signed text."""
    if request.method == "GET":
        try:
            return dict(parse_qsl(request.query, keep_blank_values=True, max_num_fields=200)), request.query
        except ValueError as error:
            raise errors.bad("too many parameters") from error
    try:
        params = orjson.loads(request.body) if request.body else {}
    except orjson.JSONDecodeError as error:
        raise errors.bad("the body is not JSON") from error
    if not isinstance(params, dict):
        raise errors.bad("the body must be a JSON object")
    return params, request.body.decode()


def check_headers(request: HttpRequest, payload: str, venue: SandboxVenue) -> None:
    """Raises 10003 for a wrong key, 10002 outside the time window, 10004 for a wrong signature."""
    key, stamp = request.header("X-BAPI-API-KEY") or "", request.header("X-BAPI-TIMESTAMP") or ""
    window = request.header("X-BAPI-RECV-WINDOW") or str(DEFAULT_WINDOW_MS)
    now, secret = venue.wall_ms(), venue.secret_of(key)
    if secret is None:
        raise errors.NO_KEY
    if not (_is_number(stamp) and _is_number(window)):
        raise errors.bad("timestamp or recv_window invalid")
    if not now - int(window) <= int(stamp) < now + AHEAD_MS:
        raise errors.bad_time(int(stamp), now, int(window))
    signature = hmac.new(secret.encode(), f"{stamp}{key}{window}{payload}".encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(_bytes((request.header("X-BAPI-SIGN") or "").lower()), signature.encode()):
        raise errors.BAD_SIGN


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def _is_number(text: str) -> bool:
    return text.isdecimal() and text.isascii() and len(text) < 18
