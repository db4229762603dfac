"""What a scrape of a session finds, over a real socket."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import backtrader as bt
import pytest
from prometheus_client.parser import text_string_to_metric_families

from forwardtrader.core.errors import ConfigError, StoreDamaged
from forwardtrader.live.monitoring.metrics import MetricsServer, SessionMetrics
from forwardtrader.live.monitoring.metrics_port import require_port
from forwardtrader.live.output.store import SessionStore
from tests.live.monitoring.running import running_session


def free_port() -> int:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return int(tried.getsockname()[1])


@contextmanager
def served(metrics: SessionMetrics) -> Iterator[int]:
    server = MetricsServer(metrics, port := free_port())
    try:
        yield port
    finally:
        server.close()


def scrape(port: int, host: str = "") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/metrics", headers={"Host": host or f"127.0.0.1:{port}"})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def samples(text: str) -> dict[tuple[str, ...], float]:
    """By name, then the labels but the session's."""
    found = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(s.name, *(value for name, value in s.labels.items() if name != "session")): s.value for s in found}


def test_a_scrape_finds_bars_orders_account_and_model(tmp_path: Path) -> None:
    now, store = [0.0], SessionStore(tmp_path / "session.db")
    session = running_session(store, tmp_path)
    metrics = SessionMetrics("one", lambda: 7, lambda: now[0])
    metrics.bar_came()
    now[0] = 0.015
    metrics.order_left()
    now[0] = 0.018
    metrics.order_left()
    metrics.bar_done(is_new=True)
    metrics.order_left()
    metrics.bar_done(is_new=False)
    metrics.show(session)
    with served(metrics) as port:
        status, text = scrape(port)
    found = samples(text)
    assert status == 200 and 'session="one"' in text
    assert found["forwardtrader_bars_total",] == 1
    assert found["forwardtrader_bar_to_order_seconds_count",] == 1
    assert found["forwardtrader_bar_to_order_seconds_sum",] == pytest.approx(0.015)
    assert found["forwardtrader_bar_to_decision_seconds_sum",] == pytest.approx(0.018)
    assert found["forwardtrader_outbox_lag_documents",] == 7
    assert found["forwardtrader_equity",] == session.broker.get_value()
    assert found["forwardtrader_session_state", session.progress.state.value] == 1
    assert found["forwardtrader_position_units", "BTC/USDT"] == 2 and found["forwardtrader_position_units", "ETH/USDT"] == 0
    assert found["forwardtrader_orders_refused", "ETH/USDT"] == 2 and "paused" not in text.replace('state="paused"', "")
    store.close()


def test_orders_are_counted_by_state() -> None:
    metrics = SessionMetrics("one")
    for status in (bt.Order.Submitted, bt.Order.Accepted, bt.Order.Completed, bt.Order.Completed):
        order: Any = type("Order", (), {"status": status})()
        metrics.order(order)
    with served(metrics) as port:
        found = samples(scrape(port)[1])
    assert found["forwardtrader_orders_total", "completed"] == 2 and found["forwardtrader_orders_total", "submitted"] == 1
    assert ("forwardtrader_outbox_lag_documents",) not in found


def test_a_mirror_that_cannot_be_asked_fails_no_scrape() -> None:
    def lag() -> int:
        raise StoreDamaged("broken")

    with served(SessionMetrics("one", lag)) as port:
        status, text = scrape(port)
    assert status == 200 and "outbox_lag_documents" in text


def test_it_listens_on_this_machine_alone_and_answers_to_its_own_name_alone() -> None:
    with served(SessionMetrics("one")) as port:
        assert scrape(port, f"localhost:{port}")[0] == 200
        assert scrape(port, f"attacker.example:{port}") == (403, "this machine only\n")
        addresses = {a[4][0] for a in socket.getaddrinfo(socket.gethostname(), port, socket.AF_INET)} - {"127.0.0.1"}
        for address in addresses:
            with pytest.raises(OSError):
                socket.create_connection((address, port), 2).close()


def test_a_port_that_is_taken_is_one_line_that_names_it() -> None:
    with served(SessionMetrics("one")) as port:
        for attempt in (lambda: require_port(port), lambda: MetricsServer(SessionMetrics("two"), port)):
            with pytest.raises(ConfigError, match=f"port {port} of live.metrics_port cannot be used .* choose another one, or 0"):
                attempt()
    require_port(port)
