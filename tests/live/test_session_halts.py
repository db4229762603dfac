"""Whatever stops the account from trading reaches log, alert, status, page and exit code; what repeats is told with a count."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from forwardtrader.core.clock import SystemClock
from forwardtrader.core.errors import StrategyFailed
from forwardtrader.core.rooms.factor import FactorSettings
from forwardtrader.core.types import Forecast, Timeframe
from forwardtrader.feeds.factors.book import FactorBook
from forwardtrader.live import cli as entry
from forwardtrader.live.control import ControlCommand
from forwardtrader.live.execution.events import AccountEvent, Halted, Unresolved
from forwardtrader.live.execution.order_lookup import QueryTimeouts
from forwardtrader.live.mailbox import send
from forwardtrader.live.monitoring.terminal import SessionView
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.retraining.stock import FixedSupply
from forwardtrader.live.session.sandbox_process import find_practice
from forwardtrader.live.session.session import LiveSession
from forwardtrader.reports.pages.session_status import SessionState, read_status
from tests import PATIENCE_S, ROOT
from tests.live.market import Script, play, practice, store_on
from tests.live.session_runner import Momentum, request_for, run, start, wait_for_bars
from tests.live.telegram.bot_server import Bot, telegram

ONE = ("BTC/USDT",)
TURNS = ("--live", "--strategy", f"{ROOT / 'tests/live/turns.py'}:Turns")


@pytest.fixture
def bot(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bot]:
    with telegram() as listening:
        for name, value in (("TELEGRAM_BOT_TOKEN", "1:x"), ("TELEGRAM_CHAT_ID", "42"), ("TELEGRAM_API", listening.url)):
            monkeypatch.setenv(name, value)
        yield listening


def faulty(tmp_path: Path, **faults: dict[str, Any]) -> tuple[str, ...]:
    path = tmp_path / "faults.json"
    path.write_text(json.dumps(faults))
    return (*TURNS, "--faults", str(path))


def events_of(tmp_path: Path, kind: str) -> list[dict[str, Any]]:
    lines = (tmp_path / "one" / "log.jsonl").read_text().splitlines()
    return [line for line in map(json.loads, lines) if line.get("event") == kind]


def test_a_key_revoked_in_mid_run_halts_the_account_and_the_session_watches_on(
    tmp_path: Path, bot: Bot, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = faulty(tmp_path, F37={"on": "place", "count": 0, "after_bars": 5})
    assert run(request_for(tmp_path, "one", 40, *flags, symbols=ONE)) == 4
    status = read_status(tmp_path / "one")
    assert (status.state, status.bars) == (SessionState.HALTED, 40)
    assert "does not accept the key" in status.reason
    halts = [text for text in bot.texts if "account halted" in text]
    assert len(halts) == 1 and halts[0].startswith("!! one: ")
    assert any("orders refused: count" in text for text in bot.texts)
    assert len([text for text in bot.texts if " at " not in text]) <= 4, bot.texts  # beside the orders that were executed before
    assert len(events_of(tmp_path, "account_halted")) == 1
    page = (tmp_path / "one" / "index.html").read_text()
    assert "Halted" in page and "does not accept the key" in page
    words = ["--status", "--session", "one", "--set", f"live.sessions_path={tmp_path}"]
    assert entry.command(words, SystemClock()) == 0
    said = capsys.readouterr().out
    assert "halted, not running" in said and "does not accept the key" in " ".join(said.split())


def test_a_person_who_mended_the_key_lets_the_halted_session_trade_again(tmp_path: Path) -> None:
    flags = faulty(tmp_path, F37={"on": "place", "count": 1, "after_bars": 5})
    words = [*flags, "--symbol", "BTC/USDT"]
    process = start(tmp_path, "one", 0, *words)
    wait_for_bars(tmp_path, "one", 20, process)
    send(tmp_path / "one", ControlCommand.PAUSE, SystemClock())  # which must not lift the halt
    send(tmp_path / "one", ControlCommand.RESUME, SystemClock())
    seen = len(events_of(tmp_path, "order_refused"))
    wait_for_bars(tmp_path, "one", 60, process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0, process.communicate()[1]
    process.communicate()
    assert read_status(tmp_path / "one").state is SessionState.STOPPED
    assert len(events_of(tmp_path, "account_halted")) == 1
    assert seen > 0


def test_money_that_lacks_again_and_again_is_told_once_with_a_count_and_halts_nothing(tmp_path: Path, bot: Bot) -> None:
    flags = faulty(tmp_path, F26={"on": "place", "count": 0, "after_bars": 5})
    assert run(request_for(tmp_path, "one", 40, *flags, symbols=ONE)) == 0
    told = [text for text in bot.texts if "orders refused" in text]
    assert len(told) == 2, bot.texts
    assert "insufficient balance" in told[0] and "count" in told[1]
    assert read_status(tmp_path / "one").state is SessionState.STOPPED


def test_an_order_of_somebody_else_is_told_and_halts_nothing(tmp_path: Path, bot: Bot) -> None:
    flags = faulty(tmp_path, F29={"how": "order", "amount": 0.001, "after_bars": 10})
    assert run(request_for(tmp_path, "one", 30, *flags, symbols=ONE)) == 0
    assert len([text for text in bot.texts if "foreign order" in text]) == 1, bot.texts


def test_the_drawdown_halt_of_the_strategy_is_told_as_an_alert(tmp_path: Path, bot: Bot) -> None:
    flags = ("--set", "strategies.max_drawdown=0.001", "--set", "strategies.halt_for=2d")
    code = run(request_for(tmp_path, "one", 120, *flags, symbols=ONE))
    status = read_status(tmp_path / "one")
    assert (code == 4) == (status.state is SessionState.HALTED), "a halt that lasts to the end is the exit code"
    assert code == 0 or "drawdown halt" in status.reason
    assert any(text.startswith("!! one: drawdown halt") for text in bot.texts), bot.texts
    assert any("risk limits open again" in text for text in bot.texts), bot.texts
    kinds = [note["kind"] for note in SessionStore(tmp_path / "one" / "session.db").notes()]
    assert kinds.count("drawdown_halt") >= 1


class OfFactor(Momentum):
    """Momentum that reads a factor file, which somebody overwrites with a page of an error and mends again later."""

    def __init__(self, path: Path) -> None:
        self.path, self.bars = path, 0
        self.good = "timestamp,funding_rate\n2020-01-01T00:00:00Z,0.1\n"
        path.write_text(self.good)
        self.book = FactorBook([FactorSettings(file=str(path))], Timeframe.parse("1h"))

    def latest(self, bars: pd.DataFrame) -> Forecast | None:
        self.bars += 1
        if self.bars in (30, 60):
            self.path.write_text("<html><body>502 Bad Gateway</body></html>" if self.bars == 30 else self.good)
        self.book.columns(pd.DatetimeIndex(bars.index))
        return super().latest(bars)


def test_a_damaged_factor_file_keeps_its_symbol_from_new_exposure_and_the_session_goes_on(tmp_path: Path, bot: Bot) -> None:
    without_orders = "--set", "live.telegram_kinds=[halts, data]"  # at a message a second the session ends before theirs
    request = request_for(tmp_path, "one", 100, "--live", *without_orders, symbols=ONE)
    supply = FixedSupply({"BTC/USDT": OfFactor(tmp_path / "funding.csv")})
    assert LiveSession(request, SystemClock(), SessionView(Console(), shown=False), supply=supply).run() == 0
    assert read_status(tmp_path / "one").bars == 100
    failed = [text for text in bot.texts if "forecast failed" in text]
    assert len(failed) == 2 and failed[0].startswith("!! one: "), bot.texts
    assert "count 29" in failed[1] and any("forecast works again" in text for text in bot.texts), bot.texts
    fills = SessionStore(tmp_path / "one" / "session.db").tables(ONE).fills
    bars = SessionStore(tmp_path / "one" / "session.db").bars("BTC/USDT").index
    blind = fills[(fills["timestamp"] > bars[30]) & (fills["timestamp"] <= bars[58])]
    assert "buy" not in set(blind["side"])
    assert "buy" in set(fills["side"])


FAILING = """
import backtrader as bt

class Failing(bt.Strategy):
    def next(self):
        1 / 0
"""


def test_a_session_that_ends_since_its_strategy_fails_says_that_it_is_halted(tmp_path: Path, bot: Bot) -> None:
    (tmp_path / "failing_at_every_bar.py").write_text(FAILING)
    with pytest.raises(StrategyFailed, match=r"failing_at_every_bar.py:6 in next: ZeroDivisionError"):
        run(request_for(tmp_path, "one", 40, "--strategy", f"{tmp_path / 'failing_at_every_bar.py'}:Failing", symbols=ONE))
    assert any("session halted" in text for text in bot.texts), bot.texts


def test_a_key_revoked_while_no_order_is_sent_is_noticed_by_the_next_look() -> None:
    with practice() as venue:

        def revoke(s: Any) -> None:
            venue.control("fault", name="F37", on="orders", count=0)
            until = time.monotonic() + PATIENCE_S
            while not s.broker.store.account.halted and time.monotonic() < until:
                time.sleep(0.05)

        run = play(venue, store_on(venue), Script, 3, acts={1: revoke})
        assert "does not accept the key" in run.broker.halted


def test_an_order_that_stays_unresolved_halts_the_account_and_its_owner_hears_both() -> None:
    heard: list[AccountEvent] = []
    with practice() as venue:

        def doubt(s: Any) -> None:
            venue.control("fault", name="F4", on="query", count=0)
            venue.control("fault", name="F1", on="place")
            s.broker.on_event = heard.append
            s.order = s.buy(size=0.01)
            until = time.monotonic() + PATIENCE_S
            while not s.broker.store.account.halted and time.monotonic() < until:
                time.sleep(0.05)
            venue.control("clear")
            s.broker.rearm()  # as a person who looked it up would have it

        hasty = QueryTimeouts(not_found_s=0.3, first_wait_s=0.05, longest_wait_s=0.1, give_up_s=1.0, check_every_s=60.0)
        run = play(venue, store_on(venue, query_timeouts=hasty), Script, 3, acts={0: doubt})
        assert "stays unresolved" in run.broker.halted
        assert run.statuses_of(run.order)[-1] == "Completed"
    assert [type(event) for event in heard if isinstance(event, Halted | Unresolved)] == [Unresolved, Halted]


@pytest.mark.slow
def test_money_that_is_moved_while_nothing_rests_is_an_alert_within_a_minute(tmp_path: Path, bot: Bot) -> None:
    process = start(tmp_path, "one", 0, "--live", "--symbol", "BTC/USDT", "--strategy", "backtrader:Strategy", "--speed", "3600")
    wait_for_bars(tmp_path, "one", 10, process)
    venue = find_practice(tmp_path / "one" / "practice.json")
    assert venue is not None
    time.sleep(12)  # the comparisons that follow a connection are over
    venue.control("deposit", asset="USDT", amount=-321)
    until = time.monotonic() + 60
    while not (seen := [text for text in bot.texts if "balance changed" in text]) and time.monotonic() < until:
        time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0, process.communicate()[1]
    process.communicate()
    assert len(seen) == 1 and "-321" in seen[0]
    assert len(events_of(tmp_path, "balance_changed")) >= 1
