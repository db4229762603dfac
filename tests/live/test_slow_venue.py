"""A whole session at a venue whose every answer takes half a second: commands work, nothing is sent twice, a start gets through."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from forwardtrader.core.clock import SystemClock
from forwardtrader.live.control import ControlCommand
from forwardtrader.live.instruction import instruct
from forwardtrader.live.session.sandbox_process import PRACTICE, PracticeVenue, find_practice
from tests.live.session_runner import bars_of, request_for, start, wait_for_bars
from tests.live.test_session_stops import ONE, begun, held, holding, open_orders, over, wait_until

pytestmark = pytest.mark.usefixtures("practice_ends")
SLOW_S = 0.5


def practice_of(tmp_path: Path) -> PracticeVenue:
    venue = find_practice(tmp_path / "one" / PRACTICE)
    assert venue is not None
    return venue


@pytest.mark.slow
def test_a_session_at_a_slow_venue_obeys_sends_nothing_twice_and_starts_again(tmp_path: Path) -> None:
    process = begun(tmp_path)
    venue, request = practice_of(tmp_path), request_for(tmp_path, "one", 0, symbols=ONE)
    venue.control("fault", name="F42", on="any", seconds=SLOW_S, count=0)
    assert "paused" in instruct(request, ControlCommand.PAUSE, SystemClock())
    said = instruct(request, ControlCommand.FLATTEN, SystemClock())
    assert "flattened" in said and "sold 0.00999 BTC/USDT" in said and "1 order cancelled" in said, said
    assert (held(tmp_path), open_orders(tmp_path)) == (0.0, [])
    assert "resumed" in instruct(request, ControlCommand.RESUME, SystemClock())
    wait_until(lambda: held(tmp_path) > 0 and len(open_orders(tmp_path)) == 1)
    process.kill()
    over(process)
    process = start(tmp_path, "one", 0, *holding(tmp_path))
    wait_for_bars(tmp_path, "one", bars_of(tmp_path, "one") + 1, process)
    sent = Counter(order["client_id"] for order in venue.control("orders")["orders"])
    assert set(sent.values()) == {1}
    assert "killed" in instruct(request, ControlCommand.KILL, SystemClock())
    assert over(process) == 4
    assert open_orders(tmp_path) == []
