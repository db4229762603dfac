"""State, its mirror, and alerts: what fails there never reaches the session."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from forwardtrader.live.monitoring.alerts import TelegramAlerts, alerts_from
from forwardtrader.live.output.mirror import MirrorQueue
from forwardtrader.live.output.state_store import Event, MemoryMirror, StateStore
from tests.live.telegram_bot import telegram


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StateStore]:
    made = StateStore(tmp_path / "state.db")
    yield made
    made.close()


def test_what_is_set_is_there_after_a_restart_and_waits_for_the_mirror(store: StateStore, tmp_path: Path) -> None:
    store.set("sessions/a", {"bars": 1})
    store.set("sessions/a", {"bars": 2})
    again = StateStore(tmp_path / "state.db")
    assert again.get("sessions/a") == {"bars": 2}
    assert (again.get("sessions/b"), again.names("sessions/"), again.lag()) == (None, ["sessions/a"], 2)
    again.close()


def test_an_older_event_never_replaces_a_newer_one() -> None:
    mirror = MemoryMirror()
    mirror.put([Event(2, "a/b", {"n": 2})])
    mirror.put([Event(1, "a/b", {"n": 1}), Event(2, "a/b", {"n": 2})])
    assert mirror.documents["a/b"].body == {"n": 2}


class Broken(MemoryMirror):
    """Fails some times, then works."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.left = failures

    def put(self, events: list[Event]) -> None:
        if self.left:
            self.left -= 1
            raise ConnectionError("gone")
        super().put(events)


def test_a_mirror_that_was_away_gets_everything_in_the_end(store: StateStore) -> None:
    mirror = Broken(2)
    outbox = MirrorQueue(store, mirror, every_s=0.01)
    for n in range(250):
        store.set(f"sessions/a/fills/{n}", {"n": n})
    outbox.start()
    until = time.monotonic() + 10
    while store.lag() and time.monotonic() < until:
        time.sleep(0.01)
    outbox.stop()
    assert (len(mirror.documents), store.lag(), outbox.failures) == (250, 0, 2)


def test_a_mirror_that_hangs_holds_nobody_up(store: StateStore) -> None:
    released = threading.Event()

    class Hanging(MemoryMirror):
        def put(self, events: list[Event]) -> None:
            released.wait(10)

    outbox = MirrorQueue(store, Hanging(), every_s=0.01)
    store.set("sessions/a", {"bars": 0})
    outbox.start()
    began = time.monotonic()
    for n in range(100):
        store.set("sessions/a", {"bars": n})
    assert time.monotonic() - began < 5
    released.set()
    outbox.stop()


def test_a_mirror_that_was_lost_is_filled_again(store: StateStore) -> None:
    for n in range(3):
        store.set(f"sessions/a/fills/{n}", {"n": n})
    store.mirrored(store.waiting(10))
    assert store.lag() == 0
    store.requeue_all()
    mirror = MemoryMirror()
    MirrorQueue(store, mirror).send_waiting()
    assert sorted(mirror.documents) == store.names()


@pytest.mark.parametrize(("answers", "sent", "dropped"), [([], 1, 0), ([500, 429], 1, 0), ([401], 0, 1), ([500, 500, 500], 0, 1)])
def test_an_alert_is_sent_or_dropped_and_secrets_are_struck_out(answers: list[int], sent: int, dropped: int) -> None:
    with telegram(list(answers)) as bot:
        alerts = TelegramAlerts("123456:abcdef", "42", name="paper", api=bot.url, pause_s=0.01)
        alerts.send("error", "order failed: signature=deadbeef")
        alerts.close()
    assert (alerts.sent, alerts.dropped) == (sent, dropped)
    if sent:
        assert bot.heard[0]["text"] == "!! paper: order failed: signature=***"
        assert bot.heard[0]["chat_id"] == "42"
        assert bot.heard[0]["path"] == "/bot123456:abcdef/sendMessage"


def test_a_dead_network_costs_the_sender_no_time() -> None:
    alerts = TelegramAlerts("1:x", "42", name="paper", api="http://127.0.0.1:9", pause_s=0.01)
    began = time.monotonic()
    for n in range(500):
        alerts.send("info", str(n))
    assert time.monotonic() - began < 1
    assert alerts.dropped > 0
    alerts.close(0.1)


def test_without_a_token_nobody_is_told() -> None:
    assert alerts_from({"TELEGRAM_BOT_TOKEN": "x"}, name="a") is None
