"""Control commands: what pause, resume, flatten, kill, cancel and stop do to a session, and again in its replay."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import backtrader as bt

from forwardtrader.core.clock import Clock
from forwardtrader.live import control
from forwardtrader.live.control import ControlCommand
from forwardtrader.live.monitoring.health import SessionHealth
from forwardtrader.live.monitoring.progress import SessionProgress
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.session.shutdown import Shutdown
from forwardtrader.reports.pages.session_status import SessionState


class CommandedBroker(Protocol):
    """A broker, paper or live, as commands act on it."""

    entries_blocked: bool
    halted: str

    def rearm(self) -> None: ...

    def get_orders_open(self) -> list[bt.Order]: ...

    def cancel_now(self, order: bt.Order) -> object: ...

    def getposition(self, data: bt.feed.DataBase) -> bt.Position: ...

    def sell(self, owner: bt.Strategy, data: bt.feed.DataBase, size: float, *, reason: str, role: str) -> bt.Order: ...


def carry_out(command: ControlCommand, broker: CommandedBroker, strategy: bt.Strategy | None) -> None:
    """Change orders and positions as a command asks; the same in a session, after its restart and in its replay."""
    if command in (ControlCommand.PAUSE, ControlCommand.FLATTEN):
        broker.entries_blocked = True
    if command is ControlCommand.RESUME:
        broker.entries_blocked = False
        broker.rearm()
    if command in (ControlCommand.FLATTEN, ControlCommand.CANCEL, ControlCommand.KILL):
        for order in _open_orders(broker):
            broker.cancel_now(order)
    for data in strategy.datas if strategy is not None and command is ControlCommand.FLATTEN else ():
        size = broker.getposition(data).size
        if size > 0:
            broker.sell(strategy, data, size, reason="flatten", role="flatten")


def _open_orders(broker: CommandedBroker) -> list[bt.Order]:
    """Every order that may still be filled; Backtrader's own broker lists those of the newest bar apart."""
    return [*broker.get_orders_open(), *getattr(broker, "submitted", ())]


class CommandHistory:
    """Recorded commands, to be carried out again after the bars that they followed.

    Args:
        commands: bar (open time, ms UTC) and name of each, oldest first.
    """

    def __init__(self, commands: list[tuple[int, str]]) -> None:
        self._by_bar: dict[int, list[ControlCommand]] = {}
        for bar, name in commands:
            self._by_bar.setdefault(bar, []).append(ControlCommand(name))

    def take(self, at: int) -> list[ControlCommand]:
        """The commands after the bar that opened at `at` (ms UTC), each given once."""
        return self._by_bar.pop(at, [])


class CommandHandler:
    """Commands take effect between two bars and are recorded, so that a restart and the replay repeat them after the same bar.

    Args:
        folder: of the session, where commands arrive.
        before_first: open time (ms UTC) of the bar before the session's first one.
    """

    def __init__(
        self, store: SessionStore, health: SessionHealth, progress: SessionProgress, broker: CommandedBroker, shutdown: Shutdown, *,
        folder: Path, before_first: int, clock: Clock,
    ) -> None:  # fmt: skip
        self._store = store
        self._health = health
        self._progress = progress
        self._broker = broker
        self._shutdown = shutdown
        self._folder = folder
        self._before_first = before_first
        self._clock = clock
        self._history = CommandHistory(store.commands())

    def receive(self) -> None:
        """Execute what arrived since the last call."""
        for command in control.receive(self._folder):
            self.execute(command)

    def execute(self, command: ControlCommand) -> None:
        """Record a command, send its alert, and carry it out."""
        at = self._progress.last_bar or self._before_first
        self._store.command(at, command, self._clock.now().isoformat())
        self._health.notify(f"command_{command}", "info")
        self._carry_out(command)
        if command is ControlCommand.KILL:
            self._shutdown.halt("killed")
        elif command is ControlCommand.STOP:
            self._shutdown.request_stop()

    def replay(self, at: int) -> None:
        """Carry out again what an earlier process was commanded after the bar that opened at `at` (ms UTC)."""
        for command in self._history.take(at):
            if command not in (ControlCommand.KILL, ControlCommand.STOP):
                self._carry_out(command)

    def _carry_out(self, command: ControlCommand) -> None:
        progress, broker = self._progress, self._broker
        carry_out(command, broker, progress.strategy)
        if command in (ControlCommand.PAUSE, ControlCommand.FLATTEN):
            progress.state = SessionState.HALTED if broker.halted else SessionState.PAUSED  # a pause does not lift a halt
        elif command is ControlCommand.RESUME:
            progress.state, progress.reason = SessionState.RUNNING, ""
