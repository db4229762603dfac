"""The supervisor of a session: a thread that carries out kill, pause and flatten where the session's own loop does not.

Commands go to the loop first, which knows Backtrader's orders. A loop that has not taken one in time hangs, in `next()` or elsewhere: then
the supervisor acts on the account itself, through the venue's thread. What needs the interpreter's lock, which `next()` may hold for ever
in another language, is done by the guardian, a process of its own.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from forwardtrader.core import log
from forwardtrader.live.control import KILLED, ControlCommand, is_killed
from forwardtrader.live.heartbeat import Heartbeat
from forwardtrader.live.mailbox import Command, Mailbox
from forwardtrader.live.monitoring.watchdog import BLOCKED
from forwardtrader.live.supervision.account_access import AccountAccess
from forwardtrader.live.supervision.guardian_process import GuardianProcess
from forwardtrader.live.supervision.interruption import Interruption

_LOG: Final = log.logger("live")
_LOOK_EVERY_S: Final = 0.1
_LOOP_MAY_TAKE_S: Final = 0.7  # so that a command is carried out within two seconds, whoever does it
_END_BY_ITSELF_S: Final = 3.0  # that a killed session whose loop turns again has for its own end
_END_AT_LAST_S: Final = 60.0  # the venue may take twenty seconds to answer, and the last page as long
_SIGNAL_PATIENCE_S: Final = 10.0  # without a turn of the loop
_SECOND_SIGNAL_S: Final = 2.0


class Unattended(Protocol):
    """A session without its loop."""

    def acts_on(self, verb: ControlCommand) -> bool:
        """Whether such a command can be carried out without the loop."""

    def carry_out(self, command: Command) -> tuple[bool, str]:
        """Whether a command was carried out to the letter, and what was done."""

    def end(self, reason: str, code: int) -> None:
        """Write down why, and end the process with this exit code."""


class Supervisor:
    """Watches one run of a session, from before its start to its end.

    Args:
        interruption: ends a start that is killed.
        flatten: flattens an account that the session has not opened yet, for a command of that name; None where it cannot.
        guardian: starts the process that acts where this thread cannot; None for none.
    """

    def __init__(
        self, folder: Path, mailbox: Mailbox, heartbeat: Heartbeat, *, interruption: Interruption,
        flatten: Callable[[str], tuple[bool, str] | None] = lambda _name: None,
        guardian: Callable[[str], GuardianProcess] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._folder = folder
        self._mailbox = mailbox
        self._heartbeat = heartbeat
        self._interruption = interruption
        self._monotonic = monotonic
        self._flatten = flatten
        self._alone = threading.Lock()
        self._is_account_open = False
        self._new_guardian = guardian
        self._guardian: GuardianProcess | None = None
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Command, float]] = deque()
        self._session: Unattended | None = None
        self._turned_at: float | None = None
        self._told: set[str] = set()
        self._signals: list[tuple[int, float]] = []
        self._is_killed = False
        self._own_kill: Command | None = None
        self._is_loop_over = False
        self._killed_at: float | None = None
        self._killed_since: float | None = None
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    # What the session's loop calls

    def take(self) -> list[Command]:
        """The commands that came since the last call; from now on they are the loop's."""
        with self._lock:
            taken = [command for command, _ in self._waiting]
            self._waiting.clear()
        return taken

    def answer(self, command: Command, text: str, *, obeyed: bool = True) -> None:
        self._mailbox.answer(command, text, obeyed=obeyed)

    def turn(self) -> None:
        """The loop turned."""
        self._turned_at = self._monotonic()

    def watch_over(self, session: Unattended) -> None:
        """From now on the session has a loop."""
        self._session, self._turned_at = session, self._monotonic()

    def account_opens(self) -> None:
        """From now on the session has its account; what is done in its place is waited for."""
        with self._alone:
            self._is_account_open = True

    def loop_is_over(self) -> None:
        """The session ends in good order: nothing is carried out any more, and only a second signal cuts that short."""
        self._is_loop_over = True

    def switch(self) -> str:
        """Why no order may leave; asked before each one."""
        return KILLED if is_killed(self._folder) else ""

    def interlock(self) -> str:
        """Why nothing may add exposure: a command has come and is not carried out yet; asked before each such order."""
        with self._lock:
            waits = any(command.verb is not ControlCommand.RESUME for command, _ in self._waiting)
        return f"{BLOCKED}a control command is about to be carried out" if waits or self._mailbox.is_waiting else ""

    def signalled(self, number: int) -> None:
        """A signal asks for the end; called by its handler."""
        self._signals.append((number, self._monotonic()))

    # Life

    def start(self) -> None:
        if self._new_guardian is not None:
            self._guardian = self._new_guardian(self._mailbox.run)
            self._guardian.hear_signals()
        self._threads = [
            threading.Thread(target=self._repeat, args=(work,), name=name, daemon=True)
            for name, work in (("supervisor", self.look), ("heartbeat", self.beat))  # it beats also while a command is carried out
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(5)
        self.let_go()

    def let_go(self) -> None:
        """The process ends now, as it should; a second call does nothing."""
        guardian, self._guardian = self._guardian, None
        if guardian is not None:
            guardian.let_go()

    def hand_over(self, access: AccountAccess) -> None:
        """Tell the guardian how the account is reached."""
        if self._guardian is not None:
            self._guardian.hand_over(access)

    def _repeat(self, work: Callable[[], None]) -> None:
        while not self._over.wait(_LOOK_EVERY_S):
            try:
                work()
            except Exception:  # noqa: BLE001 - a failed look must not end the supervisor
                _LOG.error("supervisor failed", exc_info=True)

    def beat(self) -> None:
        """Tell the world outside that this process lives, and how long ago its loop turned."""
        turned = self._turned_at
        self._heartbeat.beat(None if turned is None else self._monotonic() - turned)
        self._mailbox.sign()

    def look(self) -> None:
        """Take what has come, carry out what the loop leaves lying, and end what does not end."""
        now = self._monotonic()
        self._receive(now)
        self._interruption.repeat()
        if self._session is None:
            self._answer_in_start()
            return
        while not self._is_loop_over and (command := self._left_lying(self._session, now)) is not None:
            self._act(self._session, command, now)
        self._end_what_hangs(self._session, self._monotonic())

    # Commands

    def _receive(self, now: float) -> None:
        commands = self._mailbox.take()
        is_sent = any(command.verb is ControlCommand.KILL for command in commands)
        if is_killed(self._folder) and not self._is_killed and not is_sent:
            self._own_kill = self._mailbox.own(ControlCommand.KILL)  # the switch was turned by hand, or its command is on its way
            commands.append(self._own_kill)
        self._is_killed = is_killed(self._folder)
        self._killed_since = (self._killed_since or now) if self._is_killed else None
        with self._lock:
            if is_sent:  # whoever sent it is told what was done, so it takes the place of our own
                self._waiting = deque(waiting for waiting in self._waiting if waiting[0] is not self._own_kill)
            self._waiting.extend((command, now) for command in commands)

    def _left_lying(self, session: Unattended, now: float) -> Command | None:
        with self._lock:
            for waiting in self._waiting:
                if now - waiting[1] >= _LOOP_MAY_TAKE_S and session.acts_on(waiting[0].verb):
                    self._waiting.remove(waiting)
                    return waiting[0]
        return None

    def _act(self, session: Unattended, command: Command, now: float) -> None:
        log.event(_LOG, "loop_hangs", logging.WARNING, command=command.verb)
        obeyed, text = session.carry_out(command)
        self._mailbox.answer(command, text, obeyed=obeyed)
        if command.verb is ControlCommand.KILL:
            self._killed_at = self._killed_at or now

    def _answer_in_start(self) -> None:
        """While the session starts no order can leave; a kill ends the start, the rest comes before the first decision."""
        with self._lock:
            kills = [command for command, _ in self._waiting if command.verb is ControlCommand.KILL]
            waiting = [command for command, _ in self._waiting]
            if kills:
                self._waiting.clear()
        for command in waiting:
            if command in kills:
                self._mailbox.answer(command, "killed while it was starting: no order was sent, and what rests is taken back")
            elif not kills and command.id not in self._told:
                self._told.add(command.id)
                self._begin(command)
        if kills:
            self._interruption.kill()

    def _begin(self, command: Command) -> None:
        """Flatten at once where the account can be reached; all else comes before the session's first decision."""
        done = None
        if command.verb is ControlCommand.FLATTEN:
            with self._alone:
                done = None if self._is_account_open else self._flatten(command.id)
        if done is None:
            obeyed = command.verb is not ControlCommand.FLATTEN
            self._mailbox.answer(command, f"the session is starting; {command.verb} before its first decision", obeyed=obeyed)
            return
        with self._lock:
            self._waiting = deque(waiting for waiting in self._waiting if waiting[0] is not command)
        self._mailbox.answer(command, done[1], obeyed=done[0])

    # The end

    def _end_what_hangs(self, session: Unattended, now: float) -> None:
        idle = now - (self._turned_at or now)
        if self._killed_at is not None and now - self._killed_at >= _END_BY_ITSELF_S and idle >= _END_BY_ITSELF_S:
            session.end("killed while its loop hung", 4)
        elif self._killed_since is not None and now - self._killed_since >= _END_AT_LAST_S:
            session.end("killed, and did not end by itself", 4)
        elif self._signals:
            number, first = self._signals[0]
            hangs = not self._is_loop_over and min(idle, now - first) >= _SIGNAL_PATIENCE_S
            if hangs or (len(self._signals) > 1 and now - self._signals[1][1] >= _SECOND_SIGNAL_S):
                session.end("ended by force: its loop hung", 128 + number)
