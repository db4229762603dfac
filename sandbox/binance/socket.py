"""Binance's market streams: subscriptions by stream name, each message formatted once for all subscribers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import orjson

from forwardtrader.sandbox.binance import format as form
from forwardtrader.sandbox.binance import market_format as market
from forwardtrader.sandbox.binance.depth import DepthStreams
from forwardtrader.sandbox.binance.handlers import BinanceHandlers
from forwardtrader.sandbox.engine.events import CandleChanged, EngineEvent, Printed
from forwardtrader.sandbox.faults.candle_faults import CandleFaults
from forwardtrader.sandbox.orders.candle import Candle
from forwardtrader.sandbox.transport.request_log import RequestLog
from forwardtrader.sandbox.transport.sockets import MARKET, POLICY_VIOLATION, Conversation, MessageSink

MOST_STREAMS = 1024


class MarketSocket:
    """One connection; `combined` ones get each message wrapped with its stream's name."""

    def __init__(self, queue: MessageSink, combined: bool) -> None:
        self.queue = queue
        self.combined = combined
        self.streams: list[str] = []
        self.message_times: list[float] = []  # of the messages received within the last second


class BinanceMarketStreams:
    """All market connections, by stream."""

    which = MARKET

    def __init__(
        self, handlers: BinanceHandlers, log: RequestLog, faults: CandleFaults, *, messages_per_second: int | None
    ) -> None:  # fmt: skip
        self._monotonic: Callable[[], float] = handlers.venue.host.monotonic
        self._per_second = messages_per_second
        self._faults = faults
        self._depth = DepthStreams(handlers.venue.settings.book)
        self._handlers = handlers
        self._log = log
        self._by_stream: dict[str, list[MarketSocket]] = {}
        self._kinds: dict[str, dict[str, int]] = defaultdict(dict)  # symbol, kind of stream: number of subscribers
        self._intervals: dict[str, dict[str, int]] = defaultdict(dict)  # symbol, interval: number of subscribers
        self._symbols = {name.lower(): symbol for name, symbol in handlers.symbols.items()}
        handlers.venue.exchange.subscribe(self.on_event)

    def connect(self, sink: MessageSink, path: str, query: Mapping[str, str]) -> Conversation:
        """Serve `/ws`, `/ws/<stream>`, `/stream?streams=a/b` and ccxt's numbered sockets."""
        wanted_streams = query.get("streams") or path
        socket = MarketSocket(sink, combined=path == "/stream")
        self._subscribe(socket, [s for s in wanted_streams.split("/") if "@" in s], strict=False)
        return Conversation(partial(self._on_message, socket), partial(self._on_close, socket))

    def _on_message(self, socket: MarketSocket, raw: str | bytes) -> None:
        if self._per_second is not None:
            now = self._monotonic()
            socket.message_times = [*(at for at in socket.message_times if at > now - 1), now]
            if len(socket.message_times) > self._per_second:
                socket.queue.close(POLICY_VIOLATION)
                return
        socket.queue.put(self._reply(socket, raw))

    def _on_close(self, socket: MarketSocket) -> None:
        self._unsubscribe(socket, list(socket.streams))

    def on_event(self, fact: EngineEvent) -> None:
        if isinstance(fact, CandleChanged):
            self._send_candle(fact)
        elif isinstance(fact, Printed):
            self._send_print(fact)

    def send(self, stream: str, payload: Any) -> None:
        """Send one message to all subscribers of `stream`."""
        if stream in self._by_stream:
            self._send_bytes(stream, orjson.dumps(payload))

    def _send_bytes(self, stream: str, plain: bytes) -> None:
        for socket in self._by_stream.get(stream, ()):
            wrapped = b'{"stream":"%s","data":%s}' % (stream.encode(), plain) if socket.combined else plain
            socket.queue.put_bytes(wrapped)

    def _send_candle(self, fact: CandleChanged) -> None:
        name = form.ident(fact.symbol).lower()
        if self._symbols.get(name) != fact.symbol:
            return
        candles = self._handlers.venue.exchange.listings[fact.symbol].candles
        for interval in self._intervals.get(name, ()):
            length = market.INTERVALS[interval]
            candle: Candle | None = fact.candle
            if length != candles.base_ms:
                candle = candles.at(fact.candle.start, length)
            closed = fact.closed and candles.closes_with(fact.candle, length)
            if candle is None:
                continue
            stream = f"{name}@kline_{interval}"
            payload = market.kline_event(fact.symbol, candle, interval, closed=closed, at=fact.at)
            if closed:
                self._faults.send_closed(orjson.dumps(payload), fact.symbol, partial(self._send_bytes, stream))
                self._log.add("closed candle", stream, {"start": candle.start})
            else:
                self.send(stream, payload)

    def _send_print(self, fact: Printed) -> None:
        name = form.ident(fact.symbol).lower()
        wanted_streams = self._kinds.get(name)
        if not wanted_streams or self._symbols.get(name) != fact.symbol:
            return
        at = fact.at
        traded = {"s": name.upper(), "p": form.number(fact.price), "q": form.number(fact.size), "T": at, "m": fact.buyer_made}
        if "trade" in wanted_streams:
            self.send(f"{name}@trade", {"e": "trade", "E": at, "t": fact.trade_id, **traded, "M": True})
        if "aggTrade" in wanted_streams:
            numbers = {"a": fact.trade_id, "f": fact.trade_id, "l": fact.trade_id}
            self.send(f"{name}@aggTrade", {"e": "aggTrade", "E": at, **numbers, **traded, "M": True})
        if "bookTicker" in wanted_streams:
            top = self._handlers.book_ticker(fact.symbol)
            keys = {"s": "symbol", "b": "bidPrice", "B": "bidQty", "a": "askPrice", "A": "askQty"}
            self.send(f"{name}@bookTicker", {"u": fact.trade_id} | {short: top[long] for short, long in keys.items()})
        if "ticker" in wanted_streams or "miniTicker" in wanted_streams:
            whole = market.ticker_event(self._handlers.day_ticker(fact.symbol), at)
            self.send(f"{name}@ticker", whole)
            self.send(f"{name}@miniTicker", {"e": "24hrMiniTicker"} | {key: whole[key] for key in ("E", "s", "c", "o", "h", "l", "v", "q")})
        self._send_depth(name, fact, [kind for kind in wanted_streams if kind.startswith("depth")])

    def _send_depth(self, name: str, fact: Printed, kinds: list[str]) -> None:
        listing = self._handlers.venue.exchange.listings[fact.symbol]
        update: form.Payload | None = None
        for kind in kinds:
            count = kind.removeprefix("depth").partition("@")[0]
            if count in ("5", "10", "20"):
                self.send(f"{name}@{kind}", self._depth.best(listing, int(count)))
            elif not count:
                update = update or self._depth.changes(fact.symbol, listing, fact.at)
                self.send(f"{name}@{kind}", update)

    def _reply(self, socket: MarketSocket, raw: str | bytes) -> form.Payload:
        try:
            message = orjson.loads(raw)
        except orjson.JSONDecodeError:
            return _refusal(None, 3, "Invalid JSON: expected value at line 1 column 1")
        if not isinstance(message, dict):
            return _refusal(None, 2, "Invalid request: request must be an object")
        number, method, params = message.get("id"), message.get("method"), message.get("params", [])
        if not isinstance(params, list) or not all(isinstance(p, str) for p in params):
            return _refusal(number, 2, "Invalid request: params must be an array of strings")
        self._log.add("market socket", str(method)[:40], {"streams": params[:50]})
        if method == "SUBSCRIBE":
            return self._subscribe(socket, params, strict=True) or {"result": None, "id": number}
        if method == "UNSUBSCRIBE":
            self._unsubscribe(socket, params)
            return {"result": None, "id": number}
        if method == "LIST_SUBSCRIPTIONS":
            return {"result": socket.streams, "id": number}
        return _refusal(number, 2, f"Invalid request: unknown method `{str(method)[:40]}`")

    def _subscribe(self, socket: MarketSocket, streams: list[str], *, strict: bool) -> form.Payload | None:
        if strict and not streams:
            return _refusal(None, 2, "Invalid request: params must not be empty")
        for stream in streams[: MOST_STREAMS - len(socket.streams)]:
            # Binance accepts a subscription to an unknown stream and never sends anything on it.
            if stream not in socket.streams:
                socket.streams.append(stream)
                self._by_stream.setdefault(stream, []).append(socket)
                self._count(stream, 1)
        return None

    def _unsubscribe(self, socket: MarketSocket, streams: list[str]) -> None:
        for stream in streams:
            if stream in socket.streams:
                socket.streams.remove(stream)
                self._by_stream[stream].remove(socket)
                if not self._by_stream[stream]:
                    del self._by_stream[stream]
                self._count(stream, -1)

    def _count(self, stream: str, change: int) -> None:
        """Count subscribers by symbol and kind, so that an event without subscribers costs nothing."""
        name, _, kind = stream.partition("@")
        if name not in self._symbols:
            return
        table, key = self._kinds, kind
        if kind.startswith("kline_"):
            table, key = self._intervals, kind.removeprefix("kline_")
            if not self._handlers.has_interval(key):
                return
        wanted = table[name]
        wanted[key] = wanted.get(key, 0) + change
        if not wanted[key]:
            del wanted[key]


def _refusal(number: Any, code: int, text: str) -> form.Payload:
    return {"error": {"code": code, "msg": text}, "id": number}
