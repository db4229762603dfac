"""The protocols of a practice exchange: what is answered under which path, and the sockets of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

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
from forwardtrader.sandbox.faults.catalogue import Switchboard
from forwardtrader.sandbox.faults.read_lags import AccountReads
from forwardtrader.sandbox.faults.request_faults import ReportFaults, RequestFaults
from forwardtrader.sandbox.orders.settings import SandboxSettings
from forwardtrader.sandbox.transport.http import HttpAnswer, HttpRequest
from forwardtrader.sandbox.transport.request_log import RequestLog
from forwardtrader.sandbox.transport.sockets import SocketEndpoint
from forwardtrader.sandbox.usdm.actions import usdm_actions
from forwardtrader.sandbox.usdm.algo_orders import AlgoOrders
from forwardtrader.sandbox.usdm.handlers import UsdmHandlers
from forwardtrader.sandbox.usdm.positions import UsdmPositions
from forwardtrader.sandbox.usdm.user_stream import UsdmUserStream
from forwardtrader.sandbox.venue import SandboxVenue

MESSAGES_PER_SECOND: Final = 5  # limit for a client on one market socket


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


def mounted(context: ProtocolContext) -> VenueProtocol:
    """The protocol that the settings name."""
    mount = bybit_protocol if context.venue.settings.protocol == "bybit" else binance_protocol
    return mount(context)


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
    """Binance's spot API, and that of USD-M for perpetuals."""
    limits = make_limits(context.venue.settings)
    spot, linear = spot_protocol(context, limits), usdm_protocol(context, limits)
    return VenueProtocol({**spot.rest, **linear.rest}, {**spot.sockets, **linear.sockets}, BothStreams(spot.private, linear.private))


@dataclass(frozen=True)
class BothStreams:
    """The private streams of one account's two markets."""

    spot: PrivateStream
    linear: PrivateStream

    def terminate(self, how: str) -> None:
        self.spot.terminate(how)
        self.linear.terminate(how)

    def bar_ended(self) -> None:
        self.spot.bar_ended()
        self.linear.bar_ended()


def usdm_protocol(context: ProtocolContext, limits: Limits) -> VenueProtocol:
    """The API of Binance USD-M."""
    venue, log, requests = context.venue, context.log, context.requests
    handlers = UsdmHandlers(venue, context.board, context.reads, lambda: limits.described(orders=True, counts=False))
    positions = UsdmPositions(handlers, context.reads)
    private = UsdmUserStream(venue, positions, log, context.reports)
    actions = usdm_actions(handlers, AlgoOrders(handlers, context.reads), positions, private)
    rest = BinanceRestApi(venue, actions, limits, log, requests, symbols=handlers.symbols)
    market = BinanceMarketStreams(handlers, log, CandleFaults(context.board, venue.host.later), messages_per_second=_per_second(limits))
    streams: dict[str, SocketEndpoint] = dict.fromkeys(("/market/ws", "/market/ws/", "/public/ws", "/public/ws/"), market)
    return VenueProtocol({"/fapi/": rest}, {**streams, "/private/ws": private, "/private/ws/": private}, private)


def _per_second(limits: Limits) -> int | None:
    return MESSAGES_PER_SECOND if limits.enforced else None


def spot_protocol(context: ProtocolContext, limits: Limits) -> VenueProtocol:
    """Binance's spot API."""
    venue, log, requests = context.venue, context.log, context.requests
    handlers = BinanceHandlers(venue, context.board, context.reads, lambda: limits.described(orders=True, counts=False))
    rest_lists, socket_lists = list_actions(handlers)
    rest: dict[str, RestApi] = {
        "/api/v3/": BinanceRestApi(venue, rest_actions(handlers) | rest_lists, limits, log, requests, symbols=handlers.symbols),
        "/sapi/v1/": BinanceRestApi(venue, wallet_actions(venue, requests), limits, log, requests, symbols=handlers.symbols),
    }
    api = BinanceWebSocketApi(venue, socket_actions(handlers) | socket_lists, limits, log, requests, context.reports)
    market = BinanceMarketStreams(handlers, log, CandleFaults(context.board, venue.host.later), messages_per_second=_per_second(limits))
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
