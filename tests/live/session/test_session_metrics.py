"""A session that is scraped while it runs."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

import pytest

from forwardtrader.core.errors import ConfigError
from tests import ROOT
from tests.live.monitoring.test_metrics import free_port, samples, served
from tests.live.session_runner import request_for, run

pytestmark = pytest.mark.usefixtures("practice_ends")
ONE = ("BTC/USDT",)


def test_a_session_with_real_orders_times_them_and_counts_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port, scrape = free_port(), tmp_path / "scrape.txt"
    monkeypatch.setenv("SCRAPE", f"http://127.0.0.1:{port}/metrics {scrape}")
    strategy = f"{ROOT / 'tests/live/session/scraping.py'}:Scraping"
    request = request_for(tmp_path, "one", 6, "--live", "--strategy", strategy, "--set", f"live.metrics_port={port}", symbols=ONE)
    assert run(request) == 0
    found = samples(scrape.read_text())
    assert found["forwardtrader_bars_total",] == 4
    assert found["forwardtrader_bar_to_order_seconds_count",] >= 1 and found["forwardtrader_bar_to_order_seconds_sum",] > 0
    assert found["forwardtrader_bar_to_decision_seconds_count",] >= 3
    assert found["forwardtrader_orders_total", "completed"] >= 1
    assert found["forwardtrader_equity",] > 0
    with pytest.raises(urllib.error.URLError):  # it ends with its session
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5)


def test_a_session_whose_port_is_taken_does_not_start(tmp_path: Path) -> None:
    from forwardtrader.live.monitoring.metrics import SessionMetrics

    with served(SessionMetrics("other")) as port, pytest.raises(ConfigError, match=f"port {port} of live.metrics_port"):
        run(request_for(tmp_path, "one", 2, "--set", f"live.metrics_port={port}", symbols=ONE))
    assert ConfigError.exit_code == 2
