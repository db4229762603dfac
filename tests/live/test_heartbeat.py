"""The heartbeat: a file with the age of the loop's last turn, and an address that is called while the loop turns."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from forwardtrader.core.clock import FixedClock
from forwardtrader.live.heartbeat import Heartbeat, newest_beat, tell_systemd
from tests import PATIENCE_S

CLOCK = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))


class Watcher:
    """A service that waits for calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        calls = self.calls

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                calls.append(self.path)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_args: object) -> None:
                """Nothing is printed."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/ping/abc"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def wait_for(self, count: int) -> None:
        until = time.monotonic() + PATIENCE_S
        while len(self.calls) < count and time.monotonic() < until:
            time.sleep(0.01)
        assert len(self.calls) == count


@pytest.fixture
def watcher() -> Iterator[Watcher]:
    made = Watcher()
    yield made
    made.server.shutdown()
    made.thread.join()
    made.server.server_close()


def test_the_address_is_called_while_the_loop_turns_and_not_while_it_hangs(tmp_path: Path, watcher: Watcher) -> None:
    now = [0.0]
    heartbeat = Heartbeat(tmp_path, CLOCK, url=watcher.url, longest_turn_s=60.0, monotonic=lambda: now[0])
    heartbeat.beat(None)  # it has not begun to trade
    heartbeat.beat(0.5)
    watcher.wait_for(1)
    now[0] = 10.0
    heartbeat.beat(0.5)  # too early for the next
    now[0] = 31.0
    heartbeat.beat(61.0)  # it hangs
    heartbeat.beat(0.5)
    watcher.wait_for(2)
    assert watcher.calls == ["/ping/abc"] * 2


def test_an_address_that_does_not_answer_disturbs_nothing(tmp_path: Path) -> None:
    heartbeat = Heartbeat(tmp_path, CLOCK, url="http://127.0.0.1:9/", monotonic=lambda: 0.0)
    heartbeat.beat(0.5)
    found = newest_beat(tmp_path)
    assert found is not None and found[0].turn_age_s == 0.5


@pytest.mark.parametrize("address", ["{folder}/notify", "@forwardtrader-test-{pid}"])
def test_systemd_is_told_that_all_is_well_until_the_loop_hangs(tmp_path: Path, address: str) -> None:
    now, address = [0.0], address.format(folder=tmp_path, pid=os.getpid())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address.replace("@", "\0"))
        systemd.settimeout(PATIENCE_S)
        heartbeat = Heartbeat(tmp_path, CLOCK, notify_socket=address, longest_turn_s=60.0, monotonic=lambda: now[0])
        told = []
        for now[0], age in ((0.0, None), (0.5, 0.1), (1.0, 59.9), (2.0, 60.0), (3.0, 0.2)):  # half a second is too early for the next
            heartbeat.beat(age)
        tell_systemd(address, "STOPPING=1")
        while (text := systemd.recv(100)) != b"STOPPING=1":
            told.append(text)
    assert told == [b"WATCHDOG=1"] * 3


def test_a_socket_of_systemd_that_is_gone_disturbs_nothing(tmp_path: Path) -> None:
    Heartbeat(tmp_path, CLOCK, notify_socket=str(tmp_path / "gone"), monotonic=lambda: 0.0).beat(0.5)
    assert newest_beat(tmp_path) is not None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"at": 1}'])
def test_a_damaged_file_is_no_heartbeat(tmp_path: Path, content: str) -> None:
    assert newest_beat(tmp_path) is None
    (tmp_path / "heartbeat.json").write_text(content)
    assert newest_beat(tmp_path) is None
