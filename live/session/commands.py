"""Control commands: what pause, resume, flatten, kill, cancel and stop do to a session, and again in its replay."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

import backtrader as bt

from forwardtrader.core.clock import Clock
from forwardtrader.live.control import KILLED, ControlCommand
from forwardtrader.live.mailbox import Command
from forwardtrader.live.monitoring.health import SessionHealth
from forwardtrader.live.monitoring.progress import SessionProgress
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.session.shutdown import Shutdown
from forwardtrader.reports.pages.session_status import SessionState
from forwardtrader.strategies.feed_context import traded_feeds

_SALES: Final = 3  # of each symbol that a flatten makes at most
_PATIENCE_S: Final = 6.0  # for the outcome of a command's orders; whoever waits for the answer waits longer
_DONE: Final = {
    ControlCommand.PAUSE: "paused: nothing adds to a position until --resume",
    ControlCommand.RESUME: "resumed",
    ControlCommand.FLATTEN: "flattened, and paused until --resume",
    ControlCommand.CANCEL: "cancelled",
    ControlCommand.KILL: "killed: no order until --resume, and the session ends",
    ControlCommand.STOP: "stopping",
}


class CommandedBroker(Protocol):
    """A broker, paper or live, as commands act on it."""

    entries_blocked: bool
    halted: str

    def rearm(self) -> None: ...

    def get_orders_open(self) -> list[bt.Order]: ...

    def cancel_now(self, order: bt.Order) -> object: ...

    def getposition(self, data: bt.feed.DataBase) -> bt.Position: ...

    def sell(self, owner: bt.Strategy, data: bt.feed.DataBase, size: float, *, reason: str, role: str, command: str) -> bt.Order: ...


class CommandInbox(Protocol):
    """Where commands arrive, each once, and are answered."""

    def take(self) -> list[Command]: ...

    def answer(self, command: Command, text: str, *, obeyed: bool = True) -> None: ...


@dataclass(frozen=True)
class Deeds:
    """What a command did: the orders that it cancelled, and those by which it sells."""

    cancelled: tuple[bt.Order, ...] = ()
    sold: tuple[bt.Order, ...] = ()

    @property
    def are_settled(self) -> bool:
        """Whether every one of them has its outcome."""
        return not any(order.alive() for order in (*self.cancelled, *self.sold))


def carry_out(command: ControlCommand, broker: CommandedBroker, strategy: bt.Strategy | None, name: str = "") -> Deeds:
    """Change orders and positions as a command asks; the same in a session and in its replay.

    Args:
        name: of the command, from which the client ids of its orders are made; "" where there is no venue.
    """
    if command in (ControlCommand.PAUSE, ControlCommand.FLATTEN, ControlCommand.RESUME):
        broker.entries_blocked = command is not ControlCommand.RESUME
    if command is ControlCommand.RESUME:
        broker.rearm()
    cancelled: list[bt.Order] = []
    sold: list[bt.Order] = []
    if command in (ControlCommand.FLATTEN, ControlCommand.CANCEL, ControlCommand.KILL):
        cancelled = _open_orders(broker)
        for order in cancelled:
            broker.cancel_now(order)
    if strategy is not None and command is ControlCommand.FLATTEN:
        sold = sold_out(broker, strategy, name)
    return Deeds(tuple(cancelled), tuple(sold))


def sold_out(broker: CommandedBroker, strategy: bt.Strategy, name: str) -> list[bt.Order]:
    """Sell at the market whatever is held."""
    held = [(data, broker.getposition(data).size) for data in traded_feeds(strategy.datas)]
    return [broker.sell(strategy, data, size, reason="flatten", role="flatten", command=name) for data, size in held if size > 0]


def is_paused_by(commands: Iterable[str]) -> bool:
    """Whether a session is paused after these commands, oldest first."""
    last = [name for name in commands if name in (ControlCommand.PAUSE, ControlCommand.FLATTEN, ControlCommand.RESUME)][-1:]
    return bool(last) and last[0] != ControlCommand.RESUME


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


@dataclass
class _Begun:
    """A command whose orders have no outcome yet; a flatten is over when nothing is held, whether or not that was answered."""

    command: Command
    deeds: Deeds
    at: int
    until: float
    is_answered: bool = False


class CommandHandler:
    """Commands take effect between two bars, are answered once their orders have an outcome, and are recorded for the replay.

    A restart of a paper session replays its bars, and the commands with them. One with real orders goes on at the venue: nothing that was
    commanded before is carried out again, and only a pause still holds.

    Args:
        inbox: where commands arrive and are answered.
        before_first: open time (ms UTC) of the bar before the session's first one.
        real_orders: whether orders go to a venue.
    """

    def __init__(
        self, store: SessionStore, health: SessionHealth, progress: SessionProgress, broker: CommandedBroker, shutdown: Shutdown, *,
        inbox: CommandInbox, before_first: int, clock: Clock, real_orders: bool, monotonic: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._store = store
        self._health = health
        self._progress = progress
        self._broker = broker
        self._shutdown = shutdown
        self._inbox = inbox
        self._before_first = before_first
        self._clock = clock
        self._real_orders = real_orders
        self._monotonic = monotonic
        self._begun: list[_Begun] = []
        recorded = store.commands()
        self._history = CommandHistory([] if real_orders else recorded)
        if real_orders and is_paused_by(name for _, name in recorded):
            broker.entries_blocked, progress.state = True, SessionState.PAUSED

    def receive(self) -> None:
        """Carry out what arrived since the last call, and answer what is done."""
        for command in self._inbox.take():
            self.obey(command)
        self.report()

    def obey(self, command: Command) -> None:
        """Carry out one command; it is answered when its orders have an outcome."""
        at, deeds = self._now(), self.execute(command.verb, command.id)
        self._begun.append(_Begun(command, deeds, at, self._monotonic() + _PATIENCE_S))

    def execute(self, verb: ControlCommand, name: str = "") -> Deeds:
        """Record a command, send its alert, and carry it out."""
        self._store.command(self._now(), verb, self._clock.now().isoformat())
        self._health.notify(f"command_{verb}", "info")
        deeds = self._carry_out(verb, name)
        if verb is ControlCommand.KILL:
            self._shutdown.halt(KILLED)
        elif verb is ControlCommand.STOP:
            self._shutdown.request_stop()
        return deeds

    def report(self, *, at_last: bool = False) -> None:
        """Answer the commands whose orders have an outcome; those that wait for long too, and at last all."""
        for one in list(self._begun):
            self._sell_rest(one)
            waits = self._real_orders and not one.deeds.are_settled
            if not one.is_answered and (at_last or not waits or self._monotonic() >= one.until):
                self._answer(one)
            if one.is_answered and not (waits and one.command.verb is ControlCommand.FLATTEN):
                self._begun.remove(one)

    def _answer(self, one: _Begun) -> None:
        one.is_answered = True
        obeyed, text = outcome(one.command.verb, one.deeds, _bar_name(one.at), real_orders=self._real_orders)
        self._inbox.answer(one.command, text, obeyed=obeyed)
        self._health.notify(f"{one.command.verb}_{'obeyed' if obeyed else 'not_obeyed'}", "info" if obeyed else "error", done=text)

    def _sell_rest(self, one: _Begun) -> None:
        """Sell what an order had bought whose answer was still on its way when everything else was sold."""
        strategy, deeds = self._progress.strategy, one.deeds
        is_meant = self._real_orders and one.command.verb is ControlCommand.FLATTEN and self._broker.entries_blocked
        if not is_meant or strategy is None or not deeds.are_settled or len(deeds.sold) >= _SALES * len(strategy.datas):
            return
        if all(order.status == bt.Order.Completed for order in deeds.sold):
            one.deeds = Deeds(deeds.cancelled, (*deeds.sold, *sold_out(self._broker, strategy, one.command.id)))

    def replay(self, at: int) -> None:
        """Carry out again what an earlier process was commanded after the bar that opened at `at` (ms UTC)."""
        for command in self._history.take(at):
            if command not in (ControlCommand.KILL, ControlCommand.STOP):
                self._carry_out(command)

    def _now(self) -> int:
        return self._progress.last_bar or self._before_first

    def _carry_out(self, command: ControlCommand, name: str = "") -> Deeds:
        progress, broker = self._progress, self._broker
        deeds = carry_out(command, broker, progress.strategy, name)
        if command in (ControlCommand.PAUSE, ControlCommand.FLATTEN):
            progress.state = SessionState.HALTED if broker.halted else SessionState.PAUSED  # a pause does not lift a halt
        elif command is ControlCommand.RESUME:
            progress.state, progress.reason = SessionState.RUNNING, ""
        return deeds


def outcome(verb: ControlCommand, deeds: Deeds, bar: str, *, real_orders: bool) -> tuple[bool, str]:
    """Whether a command was obeyed to the letter, and what was done, in one line."""
    refused = [order for order in deeds.sold if not order.alive() and not order.executed.size]
    still = [order for order in deeds.cancelled if order.alive()]
    parts = [_sale(order, real_orders=real_orders) for order in deeds.sold]
    if deeds.cancelled:
        late = f", {len(still)} of them not confirmed by the venue yet" if still else ""
        parts.append(f"{len(deeds.cancelled)} {'order' if len(deeds.cancelled) == 1 else 'orders'} cancelled{late}")
    done = "; ".join((_DONE[verb], *parts))
    return not refused, f"{done} (after bar {bar})"


def _sale(order: bt.Order, *, real_orders: bool) -> str:
    what, size = order.data._name, abs(order.created.size)
    if order.executed.size:
        rest = f" of {size:g}" if abs(order.executed.size) < size and order.alive() else ""
        return f"sold {abs(order.executed.size):g}{rest} {what} at {order.executed.price:g}"
    if order.alive():
        return f"{size:g} {what} to be sold, {'not filled yet' if real_orders else 'at the open of the next bar'}"
    return f"{size:g} {what} NOT sold: {order.info.get('refusal', order.getstatusname().lower())}"


def _bar_name(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M}"
