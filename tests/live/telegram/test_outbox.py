"""The messages that wait: bounded, deduplicated, and errors are never dropped."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.live.telegram.outbox import MOST_WAITING, SAME_AGAIN_S, Outbox


def taken(outbox: Outbox, now: float = 0.0) -> list[str]:
    return [message.text for message in iter(lambda: outbox.take(now), None)]


def test_an_error_finds_room_in_a_full_queue() -> None:
    outbox = Outbox("one")
    for n in range(MOST_WAITING + 10):
        outbox.add("warning", f"trouble {n}", 0)
    outbox.add("error", "halted", 0)
    assert outbox.dropped == 10
    assert taken(outbox)[0] == "!! one: halted"


def test_what_has_to_be_acted_upon_is_sent_before_what_is_only_told_and_takes_its_room() -> None:
    outbox = Outbox("one")
    for n in range(MOST_WAITING):
        outbox.add("info", f"bought {n}", 0)
    for level, text in (("warning", "orders refused"), ("error", "halted"), ("warning", "no closed bar"), ("info", "sold")):
        outbox.add(level, text, 0)
    sent = taken(outbox)
    assert sent[:4] == ["!! one: halted", "! one: orders refused", "! one: no closed bar", "one: bought 0"]
    assert outbox.dropped == 3 and len(sent) == MOST_WAITING + 1 and "one: sold" not in sent


def test_the_same_again_is_counted_and_the_count_is_sent() -> None:
    outbox = Outbox("one")
    for now in (0, 1, 2):
        outbox.add("error", "order refused", now)
    assert taken(outbox, 3) == ["!! one: order refused"]
    assert taken(outbox, SAME_AGAIN_S) == ["!! one: order refused (2 times more)"]
    outbox.add("error", "order refused", SAME_AGAIN_S + 1)
    assert taken(outbox, SAME_AGAIN_S + 2) == []


def test_an_answer_comes_before_all_alerts() -> None:
    outbox = Outbox("one")
    outbox.add("error", "halted", 0)
    outbox.answer("paused")
    assert taken(outbox) == ["one: paused", "!! one: halted"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["info", "warning", "error"]), st.integers(0, 3), st.floats(0, 200)), max_size=40))
def test_no_error_is_ever_lost(alerts: list[tuple[str, int, float]]) -> None:
    outbox, now, heard = Outbox("one"), 0.0, list[str]()
    for level, number, later in alerts:
        now += later
        outbox.add(level, f"<{number}>", now)
    heard += taken(outbox, now) + taken(outbox, now + SAME_AGAIN_S)
    for number in {number for level, number, _ in alerts if level == "error"}:
        told = [text for text in heard if text.startswith("!!") and f"<{number}>" in text]
        assert sum(map(stood_for, told)) == sum((level, of) == ("error", number) for level, of, _ in alerts)


def stood_for(text: str) -> int:
    """How many alerts a message stands for."""
    if more := re.search(r"\((\d+) times more\)", text):
        return int(more[1])
    before = re.search(r"and (\d+) times before", text)
    return 1 + (int(before[1]) if before else 0)
