"""Control commands: executed between two bars, recorded, and repeated by restart and replay."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import backtrader as bt
import pytest
from rich.console import Console

from forwardtrader.core.clock import FixedClock, SystemClock
from forwardtrader.core.errors import RiskHalt
from forwardtrader.live.control import ControlCommand
from forwardtrader.live.mailbox import Command, Mailbox, send
from forwardtrader.live.monitoring.health import SessionHealth
from forwardtrader.live.monitoring.progress import SessionProgress
from forwardtrader.live.monitoring.terminal import SessionView
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.parity.command import compare
from forwardtrader.live.retraining.stock import FixedSupply
from forwardtrader.live.session.commands import CommandHandler, CommandHistory, carry_out
from forwardtrader.live.session.paper_broker import PaperBroker
from forwardtrader.live.session.session import LiveSession
from forwardtrader.live.session.shutdown import Shutdown
from forwardtrader.live.session.strategy_guard import BarHook
from forwardtrader.reports.pages.session_status import SessionState, read_status
from forwardtrader.strategies.backtrader.assembly import build_cerebro
from tests import PATIENCE_S
from tests.live.market import Script, play, practice, store_on
from tests.live.session_runner import SYMBOLS, Momentum, bars_of, request_for, run, start, wait_for_bars
from tests.strategies.market import candles, feed, knobs

SOURCES = {symbol: Momentum() for symbol in SYMBOLS}


def test_control_commands_are_executed_and_replayed(tmp_path: Path) -> None:
    process = start(tmp_path, "one", 0)
    wait_for_bars(tmp_path, "one", 40, process)
    send(tmp_path / "one", ControlCommand.FLATTEN, SystemClock())
    wait_for_bars(tmp_path, "one", bars_of(tmp_path, "one") + 20, process)
    send(tmp_path / "one", ControlCommand.RESUME, SystemClock())
    wait_for_bars(tmp_path, "one", bars_of(tmp_path, "one") + 20, process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0
    process.communicate()
    assert [name for _, name in SessionStore(tmp_path / "one" / "session.db").commands()] == ["flatten", "resume"]
    parity = compare(tmp_path / "one", SystemClock(), SOURCES)
    assert parity.first_difference is None
    assert "SIGTERM" in read_status(tmp_path / "one").reason


def test_the_kill_switch_ends_the_session_and_survives_a_restart(tmp_path: Path) -> None:
    process = start(tmp_path, "one", 0)
    wait_for_bars(tmp_path, "one", 20, process)
    send(tmp_path / "one", ControlCommand.KILL, SystemClock())
    assert process.wait(PATIENCE_S) == 4
    process.communicate()
    with pytest.raises(RiskHalt, match="--resume"):
        run(request_for(tmp_path, "one", 5))
    assert read_status(tmp_path / "one").state is SessionState.HALTED
    send(tmp_path / "one", ControlCommand.RESUME, SystemClock())
    assert run(request_for(tmp_path, "one", 5)) == 0


class Switched(bt.Strategy):
    """Buys at every bar on which it holds nothing."""

    def next(self) -> None:
        if not self.position:
            self.buy(size=0.1)


def held_after(commands: dict[int, ControlCommand], bars: int = 8) -> list[float]:
    """Units held at the end of each bar, where these commands are carried out after the bars with these numbers."""
    held: list[float] = []

    def done(strategy: bt.Strategy, _number: float) -> None:
        held.append(strategy.position.size)
        if (command := commands.get(len(held) - 1)) is not None:
            carry_out(command, strategy.broker, strategy)

    build_cerebro(
        [feed(candles(bars))], knobs(), strategy=Switched, broker=PaperBroker(cash=100_000.0), analyzers=[(BarHook, {"done": done})],
        runonce=False, preload=False,
    ).run()  # fmt: skip
    return held


def test_flatten_sells_what_is_held_and_a_pause_blocks_entries_until_a_resume() -> None:
    assert held_after({}) == [0.0, *[0.1] * 7]
    assert held_after({2: ControlCommand.FLATTEN, 5: ControlCommand.RESUME}) == [0.0, 0.1, 0.1, 0.0, 0.0, 0.0, 0.0, 0.1]
    assert held_after({2: ControlCommand.PAUSE}) == [0.0, *[0.1] * 7], "a pause sells nothing"


def test_cancel_takes_back_what_is_not_filled_yet() -> None:
    assert held_after({0: ControlCommand.CANCEL}, 3) == [0.0, 0.0, 0.1]


def test_recorded_commands_are_given_once_and_in_order() -> None:
    history = CommandHistory([(5, "pause"), (7, "flatten"), (5, "resume")])
    assert history.take(5) == [ControlCommand.PAUSE, ControlCommand.RESUME]
    assert (history.take(5), history.take(6), history.take(7)) == ([], [], [ControlCommand.FLATTEN])


class Broker:
    """A broker without orders."""

    def __init__(self) -> None:
        self.entries_blocked, self.halted, self.is_settled, self.rearmed = False, "", True, 0

    def rearm(self) -> None:
        self.halted, self.rearmed = "", self.rearmed + 1

    def get_orders_open(self) -> list[Any]:
        return []


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SessionStore]:
    made = SessionStore(tmp_path / "session.db")
    yield made
    made.close()


def handler(store: SessionStore, folder: Path, *, real_orders: bool = False) -> tuple[CommandHandler, SessionProgress, Any, Shutdown]:
    clock = FixedClock(datetime(2024, 1, 1, tzinfo=UTC))
    progress, broker, health = SessionProgress(clock.now()), Broker(), SessionHealth(store, clock)
    shutdown = Shutdown(SimpleNamespace(is_stopping=False, request_stop=lambda: None), broker, progress, health)
    made = CommandHandler(
        store, health, progress, broker, shutdown, inbox=Mailbox(folder, clock), before_first=1000, clock=clock, real_orders=real_orders
    )  # type: ignore[arg-type]
    return made, progress, broker, shutdown


def test_a_pause_does_not_lift_a_halt_and_a_resume_does(store: SessionStore, tmp_path: Path) -> None:
    commands, progress, broker, shutdown = handler(store, tmp_path)
    shutdown.halt_account("no key")
    commands.execute(ControlCommand.PAUSE)
    assert (progress.state, progress.reason, broker.halted, broker.entries_blocked) == ("halted", "no key", "no key", True)
    commands.execute(ControlCommand.RESUME)
    assert (progress.state, progress.reason, broker.halted, broker.entries_blocked) == ("running", "", "", False)
    assert store.commands() == [(1000, "pause"), (1000, "resume")], "before the first bar"
    assert [note["kind"] for note in store.notes()] == ["account_halted", "command_pause", "command_resume"]


def test_a_restart_repeats_a_pause_but_neither_a_kill_nor_a_stop(store: SessionStore, tmp_path: Path) -> None:
    for name in ("pause", "kill", "stop"):
        store.command(5, name, "2024-01-01T00:00:00+00:00")
    commands, progress, broker, shutdown = handler(store, tmp_path)
    commands.replay(5)
    assert (broker.entries_blocked, progress.state, shutdown.is_requested) == (True, "paused", False)
    assert len(store.commands()) == 3, "nothing is recorded twice"


def test_a_kill_halts_the_session_and_a_stop_ends_it(store: SessionStore, tmp_path: Path) -> None:
    for command, state in ((ControlCommand.KILL, "halted"), (ControlCommand.STOP, "starting")):
        commands, progress, _, shutdown = handler(store, tmp_path)
        commands.execute(command)
        assert (progress.state, shutdown.is_requested) == (state, True)


class PausedAtTheStart(FixedSupply):
    """Sends a pause while the session is starting."""

    folder: Path

    def open(self, at: datetime) -> None:
        send(self.folder, ControlCommand.PAUSE, SystemClock())


def test_a_pause_sent_while_a_session_starts_is_replayed_too(tmp_path: Path) -> None:
    supply = PausedAtTheStart(SOURCES)
    supply.folder = tmp_path / "one"
    session = LiveSession(request_for(tmp_path, "one", 60), SystemClock(), SessionView(Console(), shown=False), supply=supply)
    assert session.run() == 0
    parity = compare(tmp_path / "one", SystemClock(), SOURCES)
    assert parity.first_difference is None
    assert parity.compared["fills"] < 5 < parity.compared["orders"], "entries were blocked"


class Answered:
    """Where a handler's answers go."""

    def __init__(self) -> None:
        self.texts: list[tuple[bool, str]] = []

    def take(self) -> list[Command]:
        return []

    def answer(self, command: Command, text: str, *, obeyed: bool = True) -> None:
        self.texts.append((obeyed, text))


def test_a_flatten_sells_what_a_buy_has_bought_of_which_nothing_was_known_when_it_came(store: SessionStore, tmp_path: Path) -> None:
    """The answer to the buy takes a while, and its report is lost."""
    commands, progress, _, _ = handler(store, tmp_path, real_orders=True)
    commands._inbox = answered = Answered()
    with practice() as venue:

        def buy_and_flatten(s: Any) -> None:
            commands._broker, progress.strategy, s.broker.on_turn = s.broker, s, commands.report
            venue.arm("F42", on="place", seconds=0.5)
            venue.arm("F8", count=0)
            s.buy(size=0.01)
            commands.obey(Command(id="1", verb=ControlCommand.FLATTEN, run="", sent="", sender=0))

        strategy = play(venue, store_on(venue, run="one"), Script, 4, acts={1: buy_and_flatten})
        assert [order["side"] for order in venue.orders()] == ["buy", "sell"]
        assert strategy.position.size == 0
    [(obeyed, text)] = answered.texts
    assert obeyed and "sold 0.00999 BTC/USDT" in text, text


def test_a_session_with_real_orders_carries_no_recorded_command_out_again_and_stays_paused(store: SessionStore, tmp_path: Path) -> None:
    for name in ("flatten", "cancel"):
        store.command(5, name, "2024-01-01T00:00:00+00:00")

    class Holding(Broker):
        def get_orders_open(self) -> list[Any]:
            raise AssertionError("an old command touches no order")

    commands, progress, broker, _ = handler(store, tmp_path, real_orders=True)
    broker.get_orders_open = Holding().get_orders_open
    assert (broker.entries_blocked, progress.state) == (True, "paused")
    commands.replay(5)
    store.command(6, "resume", "2024-01-01T01:00:00+00:00")
    _, progress, broker, _ = handler(store, tmp_path, real_orders=True)
    assert (broker.entries_blocked, progress.state) == (False, "starting")
