"""Binance's REST API: authentication, rate limits and faults around the request handlers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson

from forwardtrader.core.log import event, logger
from forwardtrader.sandbox.binance import auth, errors
from forwardtrader.sandbox.binance.errors import ApiError
from forwardtrader.sandbox.binance.handlers import BinanceAction
from forwardtrader.sandbox.binance.limits import Limits
from forwardtrader.sandbox.binance.params import Params
from forwardtrader.sandbox.faults.request_faults import RequestFaults
from forwardtrader.sandbox.transport.http import HttpAnswer, HttpRequest, redirect
from forwardtrader.sandbox.transport.request_log import RequestLog
from forwardtrader.sandbox.venue import SandboxVenue

LOG = logger("sandbox")
OF_THE_ENVELOPE = ("timestamp", "recvWindow", "apiKey", "returnRateLimits")


class BinanceRestApi:
    """Authenticates a request, counts its weight, and calls its handler."""

    def __init__(
        self, venue: SandboxVenue, actions: Mapping[tuple[str, str], BinanceAction], limits: Limits, log: RequestLog, faults: RequestFaults,
        *, symbols: Mapping[str, str],
    ) -> None:  # fmt: skip
        self._venue = venue
        self._faults = faults
        self._actions = actions
        self._limits = limits
        self._log = log
        self._symbols = symbols

    def delay_s(self, name: str, request: HttpRequest) -> float:
        """Seconds that the request is under way."""
        latency_s = self._venue.settings.latency_s
        action = self._actions.get((request.method, name))
        if action is None or not self._faults.delays_arrival:
            return latency_s
        return latency_s + self._faults.under_way_s(action.kind, self._symbol(_lenient(request)))

    def answer(self, name: str, request: HttpRequest) -> HttpAnswer:
        """Handle a request to `name`, the path below this API's own."""
        entry = self._log.add("rest", f"{request.method} {name}")
        delay_s, is_lost = 0.0, False
        try:
            action, sent, payload = self._read(request, name)
            if to := self._faults.redirected(action.kind, self._symbol(sent)):
                entry["status"] = 307
                return redirect(to, request)
            entry["params"] = {k: v for k, v in sent.items() if k != "signature"}
            answer = self._answer(request, action, sent, payload)
            injected = self._faults.after(action.kind, self._symbol(sent))
            if injected is not None:
                entry["status"] = injected.kind
                if injected.kind == "error":
                    raise errors.injected(injected.what, injected.seconds, self._venue.wall_ms())
                delay_s, is_lost = injected.seconds, injected.kind != "delay"
            status, headers = 200, self._limits.headers(orders=action.is_order)
        except ApiError as error:
            if error.status == 502:
                entry["status"] = 502
                return HttpAnswer(502, errors.HTML_502.encode(), content_type="text/html")
            answer, status = error.body, error.status
            headers = self._limits.headers(orders=False) | _retry_after(error)
        entry["status"] = status
        return HttpAnswer(status, orjson.dumps(answer), headers, delay_s=delay_s, is_lost=is_lost)

    def _read(self, request: HttpRequest, name: str) -> tuple[BinanceAction, dict[str, str], str]:
        action = self._actions.get((request.method, name))
        if action is None:
            known = any(path == name for _, path in self._actions)
            raise ApiError(-1099, f"Request method '{request.method}' is not supported.", 405) if known else not_found()
        try:
            body = request.body.decode()
        except UnicodeDecodeError as error:
            raise illegal_request() from error
        return action, _parsed(request.query, body), auth.rest_payload(request.query, body)

    def _symbol(self, sent: Mapping[str, str]) -> str:
        return self._symbols.get(sent.get("symbol", ""), "")

    def _answer(self, request: HttpRequest, action: BinanceAction, sent: dict[str, str], payload: str) -> Any:
        now = self._venue.wall_ms()
        self._limits.spend(action.weight, now)
        if action.signed or action.keyed:
            secret = auth.check_key(request.header("X-MBX-APIKEY"), self._venue)
            if action.signed:
                auth.check_signature(payload, sent.get("signature"), secret)
                auth.check_time(sent, now)
        injected = self._faults.before(action.kind, self._symbol(sent))
        if injected is not None:
            raise errors.injected(injected.what, injected.seconds, now)
        if action.is_order:
            self._limits.count_order(now)
        return answered(action, sent)


def answered(action: BinanceAction, sent: Mapping[str, str]) -> Any:
    """Call the handler; an internal error is logged and answered as Binance's "unknown error"."""
    params = Params({k: v for k, v in sent.items() if k not in OF_THE_ENVELOPE})
    try:
        return action.answer(params)
    except ApiError:
        raise
    except Exception as error:
        event(LOG, "request_failed", error=repr(error))
        LOG.exception("request_failed")
        raise errors.INTERNAL from error


def not_found() -> ApiError:
    return ApiError(-1099, "Not found, authenticated, or authorized.", 404)


def illegal_request() -> ApiError:
    return ApiError(-1101, "Too many parameters sent for this endpoint.")


def _lenient(request: HttpRequest) -> dict[str, str]:
    """The parameters before they are validated."""
    return dict(parse_qsl(f"{request.query}&{request.body.decode(errors='replace')}"))


def _retry_after(error: ApiError) -> dict[str, str]:
    return {"Retry-After": str(error.retry_after)} if error.retry_after is not None else {}


def _parsed(query: str, body: str) -> dict[str, str]:
    """The parameters of query and body; a duplicate name is refused, as at Binance."""
    try:
        pairs = parse_qsl(f"{query}&{body}" if query and body else query or body, keep_blank_values=True, max_num_fields=200)
    except ValueError as error:
        raise illegal_request() from error
    sent = dict(pairs)
    if len(sent) < len(pairs):
        raise illegal_request()
    return sent
