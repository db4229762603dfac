"""Metrics of a session for Prometheus, on this machine only. Set from the session's own thread, and read by whoever asks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import backtrader as bt
import psutil
from prometheus_client import CollectorRegistry, Counter, Enum, Gauge, Histogram, make_wsgi_app

from forwardtrader.core.errors import TradingError
from forwardtrader.feeds.candles.bar import Bar
from forwardtrader.live.bridge.store import CCXTStore
from forwardtrader.live.monitoring.metrics_port import HOST, port_unusable
from forwardtrader.live.monitoring.status import RunningSession, positions
from forwardtrader.reports.pages.session_status import SessionState
from forwardtrader.strategies.backtrader.assembly import refused_orders
from forwardtrader.strategies.backtrader_objects import BtOrder
from forwardtrader.strategies.feed_context import traded_feeds

_SHOW_EVERY_S: Final = 1.0
_LATENCIES: Final = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_PREFIX: Final = "forwardtrader"


class SessionMetrics:
    """The numbers of one session. Labels are the session's name, symbols and states; never a reason, which may say anything.

    Args:
        session: its name.
        outbox_lag: how many documents the mirror lacks, asked at each scrape; None where there is no mirror.
    """

    def __init__(
        self, session: str, outbox_lag: Callable[[], int] | None = None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:  # fmt: skip
        self.registry = CollectorRegistry()
        self._monotonic = monotonic
        self._bar_at: float | None = None  # arrival of a bar that is not done with
        self._has_ordered = False
        self._shown_at = -_SHOW_EVERY_S
        self._session = session
        self._process = psutil.Process()
        self._bars = Counter(f"{_PREFIX}_bars", "Closed bars that were traded", ["session"], registry=self.registry).labels(session)
        self._order_s = self._seconds("bar_to_order", "From a bar's arrival to its first order's request being out; real orders only")
        self._bar_s = self._seconds("bar_to_decision", "From a bar's arrival to the end of all that was decided on it")
        self._orders = Counter(f"{_PREFIX}_orders", "Orders that came to a state", ["session", "state"], registry=self.registry)
        self._refused = self._gauge("orders_refused", "Orders that came to nothing, over all starts of the session", "symbol")
        self._open = self._gauge("open_orders", "Orders that are not settled").labels(session)
        self._position = self._gauge("position_units", "Position in base units", "symbol")
        self._value = self._gauge("position_value", "Position in quote units at the last close", "symbol")
        self._equity = self._gauge("equity", "Value of the account, in quote units").labels(session)
        self._cash = self._gauge("cash", "Cash of the account, in quote units").labels(session)
        self._last_bar = self._gauge("last_bar_timestamp_seconds", "When the newest bar opened").labels(session)
        self._model_age = self._gauge("model_age_seconds", "Market time since the model in force took effect").labels(session)
        self._failures = self._gauge("strategy_failures", "Bars at which the strategy raised an exception").labels(session)
        self._memory = self._gauge("memory_bytes", "Memory of the session's process").labels(session)
        states = [state.value for state in SessionState]
        self._state = Enum(f"{_PREFIX}_session_state", "State of the session", ["session"], states=states, registry=self.registry)
        if outbox_lag is not None:
            lag = self._gauge("outbox_lag_documents", "Documents that the mirror lacks").labels(session)
            lag.set_function(lambda: _counted(outbox_lag))

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"{_PREFIX}_{name}", text, ["session", *labels], registry=self.registry)

    def _seconds(self, name: str, text: str) -> Histogram:
        whole = Histogram(f"{_PREFIX}_{name}_seconds", text, ["session"], buckets=_LATENCIES, registry=self.registry)
        return whole.labels(self._session)

    def time(self, bridge: CCXTStore) -> None:
        """Time bars and orders of a bridge from now on, beside whoever listens already."""
        heard = bridge.on_bar

        def came(symbol: str, bar: Bar) -> None:
            self.bar_came()
            if heard is not None:
                heard(symbol, bar)

        bridge.on_bar, bridge.on_order = came, self.order_left

    # What the session reports

    def bar_came(self) -> None:
        """A closed bar came; in the venue's thread."""
        self._bar_at, self._has_ordered = self._monotonic(), False

    def order_left(self) -> None:
        """An order's request is out; only the first that follows from a bar is timed."""
        if self._bar_at is not None and not self._has_ordered:
            self._order_s.observe(self._monotonic() - self._bar_at)
            self._has_ordered = True

    def bar_done(self, *, is_new: bool) -> None:
        """All that follows from a bar was decided."""
        came, self._bar_at = self._bar_at, None
        if is_new:
            self._bars.inc()
            if came is not None:
                self._bar_s.observe(self._monotonic() - came)

    def order(self, order: BtOrder) -> None:
        """Backtrader notifies of an order."""
        self._orders.labels(self._session, bt.Order.Status[order.status].lower()).inc()

    def show(self, session: RunningSession) -> None:
        """Read the session, at most once a second; in Backtrader's thread, with its lines at rest."""
        if self._monotonic() - self._shown_at < _SHOW_EVERY_S:
            return
        self._shown_at = self._monotonic()
        progress = session.progress
        self._state.labels(self._session).state(progress.state.value)
        self._failures.set(session.health.failures)
        self._memory.set(self._process.memory_info().rss)
        if progress.strategy is not None and progress.last_bar is not None:
            self._show_account(session, progress.strategy)
            self._show_market(session, datetime.fromtimestamp(progress.last_bar / 1000, UTC))

    def _show_account(self, session: RunningSession, strategy: bt.Strategy) -> None:
        broker = session.broker
        self._equity.set(broker.get_value())
        self._cash.set(broker.get_cash())
        self._open.set(len(broker.get_orders_open()))
        held = {row.symbol: row for row in positions(strategy, broker)}
        for data in traded_feeds(strategy.datas):
            row = held.get(data._name)
            self._position.labels(self._session, data._name).set(0.0 if row is None else row.size or 0.0)
            self._value.labels(self._session, data._name).set(0.0 if row is None else row.value or 0.0)
        for symbol, reasons in refused_orders(broker, strategy).items():
            self._refused.labels(self._session, symbol).set(sum(reasons.values()))

    def _show_market(self, session: RunningSession, last_bar: datetime) -> None:
        self._last_bar.set(last_bar.timestamp())
        if session.supply.card_since is not None:
            self._model_age.set((last_bar - session.supply.card_since).total_seconds())


def _counted(ask: Callable[[], int]) -> float:
    try:
        return float(ask())
    except TradingError:  # a store that cannot be read now
        return float("nan")


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, *args: object) -> None: ...


class MetricsServer:
    """Answers scrapes at `http://127.0.0.1:PORT/metrics` in a thread of its own.

    A request under another name than this machine's is refused, so that no page in a browser reads the account by a name of its own.

    Raises:
        ConfigError: the port is taken, or not for this user.
    """

    def __init__(self, metrics: SessionMetrics, port: int) -> None:
        answer = make_wsgi_app(metrics.registry)
        names = {f"{host}:{port}" for host in (HOST, "localhost")}

        def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            if environ.get("HTTP_HOST") in names:
                return answer(environ, start_response)
            start_response("403 Forbidden", [("Content-Type", "text/plain")])
            return [b"this machine only\n"]

        try:
            self._server = make_server(HOST, port, app, _Server, _Quiet)
        except OSError as error:
            raise port_unusable(port, error) from error
        self._thread = Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
