"""The guardian: what it does for a session that cannot do it takes time, and neither hides it nor keeps it from looking."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

from forwardtrader.core.clock import SystemClock
from forwardtrader.live import control
from forwardtrader.live.control import ControlCommand
from forwardtrader.live.mailbox import Mailbox, send, wait_for_answer
from forwardtrader.live.supervision.guardian import Guardian, Task
from tests.live.recorded_session import wait_for

NOBODY = -1  # is nobody's parent, so that nothing is ended


def test_a_guardian_that_waits_for_a_venue_sees_a_kill_and_gives_signs_until_it_is_done(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes a connection, and never says anything
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with control.held(control.lock_of(tmp_path), "the session"):
            run = Mailbox(tmp_path, SystemClock()).run
            command = send(tmp_path, ControlCommand.KILL, SystemClock())
        assert command is not None
        now = [100.0]
        guardian = Guardian(Task(folder=str(tmp_path), pid=NOBODY, run=run, name="one", cancels=False), lambda: now[0])
        reached = {"exchange": "binance", "keys": {}, "base_url": url, "ws_url": url}
        guardian.hand_over({**reached, "journal": str(tmp_path / "journal.db"), "symbols": ["BTC/USDT"]})
        now[0] += 60.0
        guardian.get_ready()
        connection, _ = silent.accept()
        assert not guardian.look(), "the session's own supervisor comes first"
        now[0] += 60.0
        looking = threading.Thread(target=guardian.look)
        looking.start()
        taken = tmp_path / "commands" / f"{command.id}.taken"
        wait_for(taken.exists)
        first = taken.stat().st_mtime_ns
        wait_for(lambda: taken.stat().st_mtime_ns > first)
        assert looking.is_alive()
    connection.close()
    looking.join()
    assert guardian._account is not None
    guardian._account.close()
    answer = wait_for_answer(tmp_path, command, 60.0)
    assert answer is not None and answer.obeyed and "its process hung and was ended" in answer.text
