"""The whole exchange without a network: requests in, answers out, and messages into sinks.

The server puts it behind a port. A simulation calls it directly, with clocks, timers and randomness of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from forwardtrader.core.errors import StorageFull
from forwardtrader.sandbox.faults.catalogue import Switchboard, read_options
from forwardtrader.sandbox.faults.instant_faults import InstantFaults, Outage
from forwardtrader.sandbox.faults.read_lags import AccountReads, Lag
from forwardtrader.sandbox.faults.request_faults import ExecutionFaults, HandshakeFaults, ReportFaults, RequestFaults
from forwardtrader.sandbox.orders.settings import SandboxSettings
from forwardtrader.sandbox.protocols import ProtocolContext, RestApi, mounted
from forwardtrader.sandbox.state.recorder import ExchangeParts, StateRecorder
from forwardtrader.sandbox.state.restart import restore, resumed
from forwardtrader.sandbox.state.state_file import StateFile
from forwardtrader.sandbox.transport.host import Act, Host, Later
from forwardtrader.sandbox.transport.http import HttpAnswer, HttpRequest
from forwardtrader.sandbox.transport.request_log import RequestLog
from forwardtrader.sandbox.transport.sockets import Conversation, MessageSink, SocketEndpoint, Sockets
from forwardtrader.sandbox.venue import ACCOUNT, SandboxVenue, open_venue


class PracticeExchange:
    """Builds the venue and its protocol, as they were where `state` holds an earlier one.

    Args:
        host: clocks, timers and randomness; everything else is decided by the settings.
        outage: takes the network away for a number of seconds, and calls back once it is gone.
        state: keeps accounts, orders, market and faults; whatever an answer or a message says is there before it leaves.

    Attributes:
        settings: those in force: of an exchange that goes on, mostly those of its first start.
        failure: why the state could not be written; nothing is answered from then on.
    """

    def __init__(self, settings: SandboxSettings, host: Host, outage: Outage, state: StateFile | None = None) -> None:
        for name, options in settings.faults.items():
            read_options(name.upper(), options)
        rows = state.read() if state is not None else {}
        self.first_start = resumed(settings, rows)
        self.settings = settings = settings if self.first_start is None else self.first_start.settings
        self.failure: StorageFull | None = None
        # What a timer does is kept as well before anybody learns of it.
        self.host = host = replace(host, later=partial(self._later, host.later))
        self.venue: SandboxVenue = open_venue(settings, host, None if self.first_start is None else self.first_start.opened_at)
        self.log = RequestLog(host.log_ns)
        self.board = Switchboard(settings.seed, lambda: self.venue.driver.played, lambda name, facts: self._struck(name, facts))
        self.sockets = Sockets(HandshakeFaults(self.board), monotonic=host.monotonic)
        requests, reports = RequestFaults(self.board, host.monotonic), ReportFaults(self.board, self.sockets)
        reads = AccountReads(self.venue.exchange, ACCOUNT, host.monotonic, lambda: self.venue.driver.played)
        self._protocol = mounted(ProtocolContext(self.venue, self.log, self.board, requests, reports, reads))
        self.reads = reads
        self.faults = InstantFaults(self.venue, self.board, self.sockets, self._protocol.private.terminate, outage)
        self._recorder = None if state is None else StateRecorder(ExchangeParts(self.venue, self.board, self.faults), state)
        self._wire()
        if self.first_start is not None:
            restore(ExchangeParts(self.venue, self.board, self.faults), rows)
        elif self._recorder is not None:
            self._recorder.begin()
        for kind, lag in settings.lags.items():  # from now on: what was restored is seen by all queries
            reads.lag(kind, Lag(*lag))

    def commit(self, *, moved: bool = False) -> None:
        """Write what has changed; `moved` says that it may be more than orders and faults.

        Raises:
            StorageFull: it could not be written, so nobody may learn of it: all connections are gone, and this exchange has to end.
        """
        if self._recorder is None:
            return
        if moved:
            self._recorder.market_moved()
        try:
            self._recorder.commit()
        except StorageFull as error:
            self.failure = error
            self.sockets.disconnect("all", reset=True)
            raise

    def note_port(self, port: int) -> None:
        """Keep the port for the next start."""
        if self._recorder is not None:
            self._recorder.note_port(port)

    def delay_s(self, request: HttpRequest) -> float:
        """Seconds that a request is under way before the venue handles it."""
        api, name = self._route(request.path)
        return api.delay_s(name, request) if api else 0.0

    def answer(self, request: HttpRequest) -> HttpAnswer:
        """Handle one request now."""
        api, name = self._route(request.path)
        if api is None:
            return HttpAnswer(404, b"404: Not Found", content_type="text/plain")
        answer = api.answer(name, request)
        self.commit()
        return answer

    def endpoint(self, path: str) -> SocketEndpoint | None:
        """What is served over a socket at `path`."""
        found = self._protocol.sockets.get(path)
        if found is None:
            found = next((e for start, e in self._protocol.sockets.items() if start.endswith("/") and path.startswith(start)), None)
        return None if found is None else CommittingEndpoint(found, self.commit)

    def arm_faults(self) -> None:
        """Arm the faults of the settings; at a restart only if they are new ones."""
        if self.first_start is None or self.first_start.faults != self.settings.faults:
            for name, options in self.settings.faults.items():
                self.faults.arm(name, options)
            self.commit(moved=True)

    def _later(self, later: Later, seconds: float, act: Act) -> None:
        def committed() -> None:
            act()
            self.commit()

        later(seconds, committed)

    def _route(self, path: str) -> tuple[RestApi | None, str]:
        for start, api in self._protocol.rest.items():
            if path.startswith(start):
                return api, path.removeprefix(start)
        return None, path

    def _wire(self) -> None:
        exchange, driver, board = self.venue.exchange, self.venue.driver, self.board
        exchange.divide = ExecutionFaults(board).parts
        exchange.before_cancel = lambda order: board.fire("F28", order.request.symbol) is not None
        driver.hides = lambda symbol: board.fire("F21", symbol) is not None
        driver.after_bar += [self._protocol.private.bar_ended, self.faults.bar_ended]
        driver.after_step = partial(self.commit, moved=True)

    def _struck(self, name: str, facts: Mapping[str, Any]) -> None:
        self.log.add("fault", name, facts)


@dataclass(frozen=True)
class CommittingEndpoint:
    """Writes the state after each message, before anything that it caused is sent."""

    endpoint: SocketEndpoint
    commit: Callable[[], None]

    @property
    def which(self) -> str:
        return self.endpoint.which

    def connect(self, sink: MessageSink, path: str, query: Mapping[str, str]) -> Conversation:
        talk = self.endpoint.connect(sink, path, query)

        def receive(raw: str | bytes) -> None:
            talk.receive(raw)
            self.commit()

        return Conversation(receive, talk.end)


def no_outage(seconds: float, meanwhile: Callable[[], None]) -> None:
    """The outage of an exchange that has no network: what happens meanwhile happens at once."""
    meanwhile()
