"""How a session stands, judged by what is true now."""

from __future__ import annotations

from dataclasses import replace

import pytest

from forwardtrader.live.monitoring.standing import Signs, Standing, halt_of, judge
from forwardtrader.reports.pages.session_status import SessionState

RUNS = Signs(is_running=True, is_killed=False, beat_age_s=0.5, turn_age_s=0.1, bar_age_s=10.0, longest_bar_age_s=120.0)
RESTS = Signs(is_running=False, is_killed=False, last_state=SessionState.STOPPED, last_reason="stopped by SIGTERM")


@pytest.mark.parametrize(
    ("signs", "standing", "why"),
    [
        (RUNS, Standing.RUNNING, ""),
        (replace(RUNS, is_paused=True), Standing.PAUSED, "--resume"),
        (replace(RUNS, turn_age_s=None), Standing.STARTING, "no bar"),
        (replace(RUNS, bar_age_s=500.0), Standing.STALE, "500 s"),
        (replace(RUNS, halt="no key", is_paused=True), Standing.HALTED, "no key"),
        (replace(RUNS, turn_age_s=61.0), Standing.HUNG, "61 s"),
        (replace(RUNS, beat_age_s=9.0, is_killed=True), Standing.HUNG, "heartbeat"),
        (replace(RUNS, is_killed=True), Standing.KILLED, "ends"),
        (RESTS, Standing.STOPPED, "SIGTERM"),
        (replace(RESTS, last_state=SessionState.HALTED, last_reason="no key"), Standing.HALTED, "no key"),
        (replace(RESTS, last_state=SessionState.RUNNING), Standing.DIED, "without a word"),
        (replace(RESTS, last_state=None), Standing.DIED, "without a word"),
        (replace(RESTS, is_killed=True), Standing.KILLED, "--resume"),
    ],
)
def test_the_gravest_of_what_is_true_is_told_with_its_reason(signs: Signs, standing: Standing, why: str) -> None:
    found, reason = judge(signs)
    assert found is standing
    assert why in reason


def note(at: str, kind: str, **facts: str) -> dict[str, object]:
    return {"at": at, "kind": kind, "level": "error", "facts": facts}


def test_a_halt_counts_from_the_start_of_the_run_until_a_person_resumes_it() -> None:
    old, halted = note("01", "account_halted", reason="old"), note("03", "account_halted", reason="no key")
    assert halt_of([old], "02") == ""
    assert halt_of([old, halted], "02") == "no key"
    assert halt_of([halted, note("04", "command_resume")], "02") == ""
    drawdown, again = note("05", "drawdown_halt"), note("06", "risk_limits_open_again")
    assert halt_of([halted, drawdown, again], "02") == "no key"
    assert halt_of([drawdown], "02") == "drawdown halt"
    assert halt_of([drawdown, again], "02") == ""
