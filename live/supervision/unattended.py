"""A session whose loop hangs, as the supervisor acts on it: on the account, in the venue's thread, never on Backtrader's objects."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol, TypeVar

from forwardtrader.core import log
from forwardtrader.core.clock import Clock
from forwardtrader.core.errors import RunUnreadable
from forwardtrader.live.bridge.store import CCXTStore
from forwardtrader.live.control import KILLED, ControlCommand
from forwardtrader.live.mailbox import Command
from forwardtrader.live.monitoring.health import SessionHealth
from forwardtrader.live.monitoring.progress import SessionProgress
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.supervision.account_actions import AccountDeeds, sell_out, stand_down
from forwardtrader.reports.pages.session_status import SessionState, read_status, write_status

T = TypeVar("T")
_LOG: Final = log.logger("live")
_ANSWER_S: Final = 4.0  # that the venue has for what is told to the sender, who waits longer; the requests go on beyond that
_WRITE_S: Final = 3.0  # for the last alert


class BlockableBroker(Protocol):
    """A broker as far as orders are kept from it; both are only read by its own thread."""

    entries_blocked: bool
    halted: str


class UnattendedSession:
    """Carries out commands without the loop.

    Args:
        bridge: of a session; its account is None on paper, where there is nothing but the process to stop.
        before_first: open time (ms UTC) of the bar before the session's first one.
        halt: halts the session and asks for its end.
        folder: of the session.
        close: what must be sent before the process ends; called for at most three seconds.
        leave: ends the process.
    """

    def __init__(
        self, bridge: CCXTStore, broker: BlockableBroker, progress: SessionProgress, store: SessionStore, health: SessionHealth, *,
        clock: Clock, halt: Callable[[str], object], before_first: int, cancels_at_stop: bool,
        folder: Path, close: Iterable[Callable[[], object]], leave: Callable[[int], object] = os._exit,
    ) -> None:  # fmt: skip
        self._bridge = bridge
        self._broker = broker
        self._progress = progress
        self._store = store
        self._health = health
        self._clock = clock
        self._halt = halt
        self._before_first = before_first
        self._cancels_at_stop = cancels_at_stop
        self._folder = folder
        self._close = tuple(close)
        self._leave = leave

    def acts_on(self, verb: ControlCommand) -> bool:
        """On paper nothing is traded while the loop hangs: only its process is to be ended."""
        on_paper = self._bridge.account is None
        return verb is ControlCommand.KILL or (not on_paper and verb in (ControlCommand.PAUSE, ControlCommand.FLATTEN))

    def carry_out(self, command: Command) -> tuple[bool, str]:
        """Whether a command was carried out to the letter, and what was done.

        Orders and positions come first: what is written down and told may have to wait for a disk.
        """
        done: AccountDeeds | None = None
        verb = command.verb
        if verb in (ControlCommand.PAUSE, ControlCommand.FLATTEN):
            self._broker.entries_blocked = True
        if verb is ControlCommand.KILL:
            self._broker.halted = KILLED
            done = self._on_account(self._stop_and_stand_down)
        elif verb is ControlCommand.FLATTEN:
            account = self._bridge.account
            if account is not None:
                done = self._on_account(lambda: sell_out(account, account.symbols, self._bridge.run, command.id, _ANSWER_S))
        self._note(verb, done)
        return self._told(verb, done)

    def end(self, reason: str, code: int) -> None:
        """Take orders back where the settings ask for that, say why, and end the process, whatever its threads do."""
        log.event(_LOG, "ended_by_force", logging.ERROR, reason=reason, code=code)
        if self._cancels_at_stop:
            self._on_account(self._stand_down)
        last = threading.Thread(target=self._say_and_close, args=(reason,), daemon=True)
        last.start()
        last.join(_WRITE_S)
        self._leave(code)

    def _say_and_close(self, reason: str) -> None:
        if self._progress.state is not SessionState.HALTED:
            self._progress.state, self._progress.reason = SessionState.STOPPED, reason
        self._health.notify("ended_by_force", "error", reason=reason)
        self._write_last_status()
        for close in self._close:
            close()

    def _write_last_status(self) -> None:
        """What Backtrader has cannot be read any more, so only what has changed since the last status."""
        progress = self._progress
        with suppress(RunUnreadable):
            now = {"state": progress.state, "reason": progress.reason, "updated": self._clock.now(), "alerts": self._health.alerts}
            write_status(self._folder, read_status(self._folder).model_copy(update=now))

    def _note(self, verb: ControlCommand, done: AccountDeeds | None) -> None:
        progress = self._progress
        if verb is ControlCommand.KILL:
            self._halt(KILLED)
        elif progress.state is not SessionState.HALTED:
            progress.state = SessionState.PAUSED
        self._store.command(progress.last_bar or self._before_first, verb, self._clock.now().isoformat())
        self._health.notify(f"command_{verb}", "warning", while_hung="its loop hangs", done="" if done is None else done.text)

    def _told(self, verb: ControlCommand, done: AccountDeeds | None) -> tuple[bool, str]:
        if verb is ControlCommand.PAUSE:
            return True, "paused, though its loop hangs: nothing adds to a position until --resume"
        if verb is ControlCommand.KILL:
            return True, f"killed, though its loop hangs; {'nothing is at a venue' if done is None else done.text}; its process is ended"
        assert done is not None
        return done.are_sold, f"flattened, though its loop hangs, and paused until --resume; {done.text}"

    async def _stop_and_stand_down(self) -> AccountDeeds:
        account = self._bridge.account
        assert account is not None
        account.stop_trading(KILLED)
        return await stand_down(account, _ANSWER_S)

    async def _stand_down(self) -> AccountDeeds:
        account = self._bridge.account
        assert account is not None
        return await stand_down(account, _ANSWER_S)

    def _on_account(self, work: Callable[[], Coroutine[object, object, AccountDeeds]]) -> AccountDeeds | None:
        """What was done in the venue's thread; None where there is no account."""
        if self._bridge.account is None:
            return None
        return self._bridge.loop.call(work(), 2 * _ANSWER_S)
