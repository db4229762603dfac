"""Bybit's public market streams, by category."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import orjson

from forwardtrader.sandbox.bybit import format as form
from forwardtrader.sandbox.bybit.frames import FRAME, Connection, acknowledged, read_frame, topics_of
from forwardtrader.sandbox.bybit.handlers import BybitHandlers
from forwardtrader.sandbox.engine.events import CandleChanged, EngineEvent, Printed
from forwardtrader.sandbox.faults.candle_faults import CandleFaults
from forwardtrader.sandbox.transport.request_log import RequestLog
from forwardtrader.sandbox.transport.sockets import MARKET, Conversation, MessageSink


class BybitPublicStreams:
    """The public connections of one category."""

    which = MARKET

    def __init__(self, category: str, handlers: BybitHandlers, log: RequestLog, faults: CandleFaults) -> None:
        self._category = category
        self._handlers = handlers
        self._log = log
        self._faults = faults
        self._open: dict[str, Connection] = {}
        handlers.venue.exchange.subscribe(self.on_event)

    def connect(self, sink: MessageSink, path: str, query: Mapping[str, str]) -> Conversation:
        connection = Connection(sink, self._handlers.venue.host.token(8))
        self._open[connection.id] = connection
        return Conversation(partial(self._on_message, connection), partial(self._open.pop, connection.id, None))

    def on_event(self, fact: EngineEvent) -> None:
        if not self._open or not isinstance(fact, CandleChanged | Printed) or form.category(fact.symbol) != self._category:
            return
        if isinstance(fact, CandleChanged):
            self._send_candle(fact)
        else:
            self._send_print(fact)

    def _on_message(self, connection: Connection, raw: str | bytes) -> None:
        frame = read_frame(raw)
        op = frame.get("op") if frame else None
        if frame is None or op not in ("ping", "subscribe", "unsubscribe"):
            connection.queue.put(acknowledged(frame, connection, wrong=f"error:invalid op {str(op)[:40]}"))
            return
        if op == "ping":
            connection.queue.put(acknowledged(frame, connection) | {"ret_msg": "pong"})
            return
        topics = topics_of(frame)
        self._log.add("market socket", str(op), {"topics": topics[:50]})
        if op == "unsubscribe":
            connection.topics.difference_update(topics)
        elif wrong := [t for t in topics if not self._exists(t)]:
            connection.queue.put(acknowledged(frame, connection, wrong=f"error:handler not found,topic:{wrong[0][:60]}"))
            return
        connection.queue.put(acknowledged(frame, connection))
        if op == "subscribe":
            connection.topics.update(topics)
            self._send_snapshots(connection, topics)

    def _exists(self, topic: str) -> bool:
        kind, _, rest = topic.partition(".")
        interval, _, name = rest.rpartition(".")
        if not self._handlers.find_symbol({"category": self._category, "symbol": name}):
            return False
        if kind == "kline":
            return interval in form.INTERVALS
        return kind in ("publicTrade", "tickers") if not interval else kind == "orderbook" and interval.isdecimal()

    def _send_snapshots(self, connection: Connection, topics: list[str]) -> None:
        """Send a new subscriber the current book and ticker."""
        for topic in topics:
            kind, name = topic.split(".")[0], topic.rpartition(".")[2]
            symbol = self._handlers.find_symbol({"category": self._category, "symbol": name})
            if kind == "orderbook":
                connection.queue.put(self._book(symbol, topic))
            elif kind == "tickers":
                connection.queue.put(self._ticker(symbol, topic))

    def _subscribers(self, topic: str) -> list[Connection]:
        return [c for c in self._open.values() if topic in c.topics]

    def _send(self, topic: str, message: bytes) -> None:
        for connection in self._subscribers(topic):
            connection.queue.put_bytes(message)

    def _send_candle(self, fact: CandleChanged) -> None:
        name = form.ident(fact.symbol)
        candles = self._handlers.venue.exchange.listings[fact.symbol].candles
        for topic in sorted({t for c in self._open.values() for t in c.topics if t.startswith("kline.") and t.endswith(f".{name}")}):
            interval = topic.split(".")[1]
            length = form.INTERVALS[interval]
            if length % candles.base_ms:
                continue
            candle = fact.candle if length == candles.base_ms else candles.at(fact.candle.start, length)
            if candle is None:
                continue
            closed = fact.closed and candles.closes_with(fact.candle, length)
            message = orjson.dumps(form.kline_event(fact.symbol, candle, interval, closed=closed, at=fact.at))
            if closed:
                self._faults.send_closed(message, fact.symbol, partial(self._send, topic))
                self._log.add("closed candle", topic, {"start": candle.start})
            else:
                self._send(topic, message)

    def _send_print(self, fact: Printed) -> None:
        name = form.ident(fact.symbol)
        for topic in sorted({t for c in self._open.values() for t in c.topics if t.endswith(f".{name}")}):
            kind = topic.split(".")[0]
            if kind == "orderbook":
                self._send(topic, orjson.dumps(self._book(fact.symbol, topic)))
            elif kind == "tickers":
                self._send(topic, orjson.dumps(self._ticker(fact.symbol, topic)))
            elif kind == "publicTrade":
                self._send(topic, orjson.dumps(self._trade(fact, topic)))

    def _trade(self, fact: Printed, topic: str) -> FRAME:
        row = {
            "T": fact.at, "s": form.ident(fact.symbol), "S": "Sell" if fact.buyer_made else "Buy", "v": form.number(fact.size),
            "p": form.number(fact.price), "L": "ZeroPlusTick", "i": str(fact.trade_id), "BT": False,
        }  # fmt: skip
        return {"topic": topic, "type": "snapshot", "ts": fact.at, "data": [row]}

    def _book(self, symbol: str, topic: str) -> FRAME:
        at = self._handlers.venue.market_clock()
        return {"topic": topic, "type": "snapshot", "ts": at, "data": self._handlers.book(symbol, int(topic.split(".")[1])), "cts": at}

    def _ticker(self, symbol: str, topic: str) -> FRAME:
        at = self._handlers.venue.market_clock()
        return {"topic": topic, "type": "snapshot", "cs": at, "ts": at, "data": self._handlers.ticker(symbol)}
