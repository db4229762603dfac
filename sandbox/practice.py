"""The whole exchange without a network: requests in, answers out, and messages into sinks.

The server puts it behind a port. A simulation calls it directly, with clocks, timers and randomness of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Protocol

from forwardtrader.core.errors import StorageFull
from forwardtrader.sandbox.binance.handlers import BinanceHandlers, rest_actions, socket_actions
from forwardtrader.sandbox.binance.limits import Limits, Window
from forwardtrader.sandbox.binance.lists import list_actions
from forwardtrader.sandbox.binance.rest import BinanceRestApi
from forwardtrader.sandbox.binance.socket import BinanceMarketStreams
from forwardtrader.sandbox.binance.wallet import wallet_actions
from forwardtrader.sandbox.binance.ws_api import BinanceWebSocketApi
from forwardtrader.sandbox.bybit.handlers import BybitHandlers, bybit_actions
from forwardtrader.sandbox.bybit.market_socket import BybitPublicStreams
from forwardtrader.sandbox.bybit.rest import BybitRestApi
from forwardtrader.sandbox.bybit.socket import BybitPrivateStream, BybitTradeSocket
from forwardtrader.sandbox.faults.candle_faults import CandleFaults
from forwardtrader.sandbox.faults.catalogue import Switchboard, read_options
from forwardtrader.sandbox.faults.instant_faults import InstantFaults, Outage
from forwardtrader.sandbox.faults.read_lags import AccountReads, Lag
from forwardtrader.sandbox.faults.request_faults import ExecutionFaults, HandshakeFaults, ReportFaults, RequestFaults
from forwardtrader.sandbox.orders.settings import SandboxSettings
from forwardtrader.sandbox.state.recorder import ExchangeParts, StateRecorder
from forwardtrader.sandbox.state.restart import restore, resumed
from forwardtrader.sandbox.state.state_file import StateFile
from forwardtrader.sandbox.transport.host import Act, Host, Later
from forwardtrader.sandbox.transport.http import HttpAnswer, HttpRequest
from forwardtrader.sandbox.transport.request_log import RequestLog
from forwardtrader.sandbox.transport.sockets import Conversation, MessageSink, SocketEndpoint, Sockets
from forwardtrader.sandbox.venue import ACCOUNT, SandboxVenue, open_venue

MESSAGES_PER_SECOND: Final = 5  # limit for a client on one market socket


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
        mount = bybit_protocol if settings.protocol == "bybit" else binance_protocol
        self._protocol = mount(ProtocolContext(self.venue, self.log, self.board, requests, reports, reads))
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


class RestApi(Protocol):
    """A protocol's requests below one path."""

    def delay_s(self, name: str, request: HttpRequest) -> float: ...

    def answer(self, name: str, request: HttpRequest) -> HttpAnswer: ...


class PrivateStream(Protocol):
    """What faults need of the account's private streams."""

    def terminate(self, how: str) -> None: ...

    def bar_ended(self) -> None: ...


@dataclass(frozen=True)
class ProtocolContext:
    """What a protocol is built from: venue, request log and faults."""

    venue: SandboxVenue
    log: RequestLog
    board: Switchboard
    requests: RequestFaults
    reports: ReportFaults
    reads: AccountReads


@dataclass(frozen=True)
class VenueProtocol:
    """A protocol by path: requests by how their path begins, sockets by their path, or by its beginning where that ends in a slash."""

    rest: Mapping[str, RestApi]
    sockets: Mapping[str, SocketEndpoint]
    private: PrivateStream


def bybit_protocol(context: ProtocolContext) -> VenueProtocol:
    """Bybit's v5 API."""
    log, requests, later = context.log, context.requests, context.venue.host.later
    handlers = BybitHandlers(context.venue, context.board, requests, context.reads)
    actions = bybit_actions(handlers)
    private = BybitPrivateStream(handlers, log, context.reports)
    public: dict[str, SocketEndpoint] = {
        f"/v5/public/{category}": BybitPublicStreams(category, handlers, log, CandleFaults(context.board, later))
        for category in ("spot", "linear")
    }
    private_sockets: dict[str, SocketEndpoint] = {"/v5/private": private, "/v5/trade": BybitTradeSocket(handlers, actions, log, requests)}
    return VenueProtocol({"/v5/": BybitRestApi(handlers, actions, log, requests)}, public | private_sockets, private)


def binance_protocol(context: ProtocolContext) -> VenueProtocol:
    """Binance's spot API."""
    venue, log, requests = context.venue, context.log, context.requests
    limits = make_limits(venue.settings)
    handlers = BinanceHandlers(venue, context.board, context.reads, lambda: limits.described(orders=True, counts=False))
    rest_lists, socket_lists = list_actions(handlers)
    rest: dict[str, RestApi] = {
        "/api/v3/": BinanceRestApi(venue, rest_actions(handlers) | rest_lists, limits, log, requests),
        "/sapi/v1/": BinanceRestApi(venue, wallet_actions(venue, requests), limits, log, requests),
    }
    api = BinanceWebSocketApi(venue, socket_actions(handlers) | socket_lists, limits, log, requests, context.reports)
    per_second = MESSAGES_PER_SECOND if limits.enforced else None
    market = BinanceMarketStreams(handlers, log, CandleFaults(context.board, venue.host.later), messages_per_second=per_second)
    streams: dict[str, SocketEndpoint] = dict.fromkeys(("/ws", "/ws/", "/stream", "/stream/ws/"), market)
    return VenueProtocol(rest, {"/ws-api/v3": api} | streams, api)


def make_limits(settings: SandboxSettings) -> Limits:
    enforced = settings.limits == "on" or (settings.limits == "auto" and settings.speed == 1)
    return Limits(
        Window(60_000, settings.weight_per_minute),
        Window(10_000, settings.orders_per_10s),
        Window(86_400_000, settings.orders_per_day),
        enforced,
    )


def no_outage(seconds: float, meanwhile: Callable[[], None]) -> None:
    """The outage of an exchange that has no network: what happens meanwhile happens at once."""
    meanwhile()
