"""Limits of the account in sessions: what they did is repeated by the replay, and goes on after a restart."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from forwardtrader.core.clock import SystemClock
from forwardtrader.core.errors import StartRefused
from forwardtrader.live.monitoring.standing import Standing, report_on
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.parity.command import compare
from forwardtrader.live.status_report import status_lines
from forwardtrader.reports.pages.session_status import SessionState, read_status
from tests.live.session_runner import Momentum, request_for, run
from tests.live.test_session_live import REAL

BTC = ("BTC/USDT",)
OFTEN = ("--set", "risk.max_drawdown=0.01", "--set", "risk.drawdown_rearm=12h", "--set", "risk.max_daily_loss=0.003", "--set",
         "risk.max_losing_streak=2", "--set", "risk.losing_streak_rearm=6h")  # fmt: skip
FOR_EVER = ("--set", "risk.max_drawdown=0.004")

IN_AND_OUT = """
import backtrader as bt

class InAndOut(bt.Strategy):
    def next(self):
        for data in self.datas:
            if not self.getposition(data).size:
                self.buy(data=data, size=0.02)
            elif len(self) % 4 == 0:
                self.close(data=data)
"""


def kinds(folder: Path) -> list[str]:
    with closing(SessionStore(folder / "session.db", reads=True)) as store:
        return [note["kind"] for note in store.notes()]


@pytest.mark.parametrize(
    ("mode", "own", "halves"), [((), True, (41, 40)), (REAL, False, (81,))], ids=["paper, a user's strategy, in two halves", "real orders"]
)
def test_a_session_trades_under_limits_as_its_replay_does(
    tmp_path: Path, mode: tuple[str, ...], own: bool, halves: tuple[int, ...]
) -> None:
    (tmp_path / "in_and_out_limits.py").write_text(IN_AND_OUT)
    named = ("--strategy", f"{tmp_path / 'in_and_out_limits.py'}:InAndOut") if own else ()
    for bars in halves:
        assert run(request_for(tmp_path, "one", bars, *mode, *OFTEN, *named, symbols=BTC)) in (0, 4)
    parity = compare(tmp_path / "one", SystemClock(), {"BTC/USDT": Momentum()})
    assert parity.first_difference is None
    limits = read_status(tmp_path / "one").limits
    assert limits is not None
    assert limits.count > 0
    assert sum(limits.refused.values()) > 0
    assert {kind for kind in kinds(tmp_path / "one") if kind.startswith("account_limits")}


@pytest.mark.parametrize("mode", [(), REAL], ids=["paper", "real orders"])
def test_a_halt_outlives_the_process_and_is_seen_everywhere(tmp_path: Path, mode: tuple[str, ...]) -> None:
    folder = tmp_path / "one"
    assert run(request_for(tmp_path, "one", 60, *mode, *FOR_EVER, symbols=BTC)) == 4
    before = read_status(folder)
    assert (before.state, before.positions) == (SessionState.HALTED, [])
    assert "risk.max_drawdown" in before.reason
    assert before.limits is not None
    assert before.limits.breaches[0].action == "flatten"
    request = request_for(tmp_path, "one", 3, *mode, *FOR_EVER, symbols=BTC)
    assert run(request) == 4
    after = read_status(folder)
    assert after.limits is not None
    assert after.limits.breaches == before.limits.breaches
    assert kinds(folder).count("account_limits_halt") == 2  # said again by the process that found it so
    assert report_on(folder, SystemClock(), longest_turn_s=60.0, stale_after_bars=2.0).standing is Standing.HALTED
    assert any("The account's limits were reached once" in line for line in status_lines(request, SystemClock()))
    assert "The account's limits were reached once" in (folder / "index.html").read_text().replace("&#39;", "'")


def test_a_paper_session_keeps_the_limits_that_its_bars_were_traded_under(tmp_path: Path) -> None:
    run(request_for(tmp_path, "one", 2, symbols=BTC))
    with pytest.raises(StartRefused, match=r"risk.max_drawdown None, not 0.004"):
        run(request_for(tmp_path, "one", 2, *FOR_EVER, symbols=BTC))
