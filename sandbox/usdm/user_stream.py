"""Binance USD-M's user data stream: one socket for each listen key, with orders, conditional orders, balances and positions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from forwardtrader.sandbox.binance.errors import ApiError
from forwardtrader.sandbox.binance.params import Params
from forwardtrader.sandbox.engine.events import BalanceMoved, EngineEvent, Funded, OrderChanged
from forwardtrader.sandbox.faults.request_faults import ReportFaults
from forwardtrader.sandbox.transport.request_log import RequestLog
from forwardtrader.sandbox.transport.sockets import USER, Conversation, MessageSink
from forwardtrader.sandbox.usdm import format as form
from forwardtrader.sandbox.usdm.positions import UsdmPositions
from forwardtrader.sandbox.venue import SandboxVenue

_NO_KEY: Final = ApiError(-1125, "This listenKey does not exist.")


class UsdmUserStream:
    """The account's listen key, and the sockets that were opened with it. A key that has ended brings a connection and no event."""

    which = USER

    def __init__(self, venue: SandboxVenue, positions: UsdmPositions, log: RequestLog, reports: ReportFaults) -> None:
        self._venue = venue
        self._positions = positions
        self._log = log
        self._reports = reports
        self._key = ""
        self._open: dict[int, tuple[MessageSink, str]] = {}
        venue.exchange.subscribe(self.on_event)

    # Listen keys

    def begin(self, params: Params) -> Any:
        """The key that is valid, or a new one."""
        self._key = self._key or self._venue.host.token(32)
        return {"listenKey": self._key}

    def renew(self, params: Params) -> Any:
        if not self._key:
            raise _NO_KEY
        return {"listenKey": self._key}

    def end(self, params: Params) -> Any:
        self._expire()
        return {}

    # Socket

    def connect(self, sink: MessageSink, path: str, query: Mapping[str, str]) -> Conversation:
        key = query.get("listenKey") or path.rpartition("/")[2]
        self._open[id(sink)] = sink, key
        self._log.add("private socket", "listen", {"valid": key == self._key})
        return Conversation(lambda raw: None, partial(self._open.pop, id(sink), None))

    def on_event(self, fact: EngineEvent) -> None:
        if isinstance(fact, OrderChanged):
            if ":" in fact.order.request.symbol:
                self._report(fact)
        elif isinstance(fact, Funded):
            self._deliver(self._account_update("FUNDING_FEE", fact.at, fact.symbol, balance=fact.received))
        elif isinstance(fact, BalanceMoved):
            reason = "DEPOSIT" if fact.amount > 0 else "WITHDRAW"
            row = self._positions.balance_update(fact.asset, fact.amount)
            self._deliver(_update(reason, fact.at, {"B": [row], "P": []}))

    def bar_ended(self) -> None:
        for group in self._reports.flushed():
            self._deliver_all(group)

    def terminate(self, how: str) -> None:
        """End the listen key, with the event that Binance sends; `shutdown` closes the sockets besides."""
        sinks = [sink for sink, key in self._open.values() if key == self._key]
        self._deliver({"e": "listenKeyExpired", "E": self._venue.market_clock(), "listenKey": self._key})
        self._expire()
        if how == "shutdown":
            for sink in sinks:
                sink.close()

    def _expire(self) -> None:
        self._key = ""

    def _report(self, fact: OrderChanged) -> None:
        messages = _messages(fact)
        if fact.trade is not None:
            messages.append(self._account_update("ORDER", fact.at, fact.order.request.symbol))
        for group in self._reports.shaped(messages, fact):
            self._deliver_all(group)
        self._log.add("user event", messages[0]["e"], {"id": fact.order.id, "status": fact.order.status.value})

    def _account_update(self, reason: str, at: int, symbol: str, balance: Any = None) -> form.Payload:
        settle = self._venue.exchange.listings[symbol].rules.settle
        row = self._positions.balance_update(settle) if balance is None else self._positions.balance_update(settle, balance)
        return _update(reason, at, {"B": [row], "P": [] if reason == "FUNDING_FEE" else [self._positions.position_update(symbol)]})

    def _deliver_all(self, group: list[form.Payload]) -> None:
        for message in group:
            self._deliver(message)

    def _deliver(self, message: form.Payload) -> None:
        for sink, key in list(self._open.values()):
            if key and key == self._key:
                sink.put(message)


def _messages(fact: OrderChanged) -> list[form.Payload]:
    """What an event of the engine is at the venue: of a conditional order first what the matching engine did."""
    order = fact.order
    if form.is_waiting(order):
        return [form.algo_update(fact)]
    messages = [form.order_update(fact)]
    if form.is_conditional(order):
        if fact.trade is not None and fact.trade is order.trades[0]:
            messages.append(form.algo_update(fact, "TRIGGERED"))
        if not order.is_open:
            messages.append(form.algo_update(fact, "FINISHED"))
    return messages


def _update(reason: str, at: int, changes: form.Payload) -> form.Payload:
    return {"e": "ACCOUNT_UPDATE", "E": at, "T": at, "a": {"m": reason, **changes}}
