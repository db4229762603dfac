"""The guardian of a session: a process of its own that stops it where even its supervisor cannot, and notices its death.

`python -m forwardtrader.live.supervision.guardian` reads one JSON object a line: first its task, then the access to the account, once there
is one, at last a good-bye. It ends with its session. It acts only where the session gives no sign of life (a `next()` that never gives the
interpreter's lock back, a process that was stopped) and somebody asked for a kill, a flatten or the end.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from forwardtrader.core import log
from forwardtrader.core.clock import SystemClock
from forwardtrader.core.errors import TradingError
from forwardtrader.live.control import ControlCommand, held, is_killed, is_running, lock_of
from forwardtrader.live.heartbeat import newest_beat
from forwardtrader.live.mailbox import Command, Mailbox

if TYPE_CHECKING:
    from forwardtrader.live.supervision.account_access import LoneAccount
    from forwardtrader.live.supervision.account_actions import AccountDeeds

_LOG: Final = log.logger("live")
_LOOK_EVERY_S: Final = 0.2
_START_FIRST_S: Final = 3.0  # the session's start has the machine to itself
_LOST_S: Final = 2.5  # without a heartbeat, which comes every second
_SUPERVISOR_MAY_ACT_S: Final = 1.2
_FIRST_SIGNAL_S: Final = 12.0  # the session's own supervisor is patient for ten
_STARTING_S: Final = 30.0
_SECOND_SIGNAL_S: Final = 4.0
_DEATH_S: Final = 10.0
_ACCOUNT_S: Final = 5.0


@dataclass(kw_only=True)
class Task:
    """What the guardian is told. `alerts` are the variables of the alert channel; `cancels` is the policy for an end by a signal."""

    folder: str
    pid: int
    run: str
    name: str
    cancels: bool
    alerts: dict[str, str] = field(default_factory=dict)


class Guardian:
    """Looks at one session, several times a second."""

    def __init__(self, task: Task, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._task = task
        self._folder = Path(task.folder)
        self._monotonic = monotonic
        self._mailbox = Mailbox(self._folder, SystemClock(), run=task.run)
        self._access: dict[str, Any] | None = None
        self._ready_from = 0.0
        self._account: LoneAccount | None = None
        self._opening: threading.Thread | None = None
        self._signals: list[tuple[int, float]] = []
        self._killed_since: float | None = None

    def hand_over(self, access: dict[str, Any]) -> None:
        """The account is reached like this."""
        self._access, self._ready_from = access, self._monotonic() + _START_FIRST_S

    def get_ready(self) -> None:
        """Open the account once the session has started: what takes seconds must not be left to the moment when it is needed, and a venue
        that is slow must not keep anybody from looking.
        """
        if self._access is not None and self._monotonic() >= self._ready_from:
            self._begin_to_open()

    def _begin_to_open(self) -> None:
        access, self._access = self._access, None
        if access is not None:
            self._opening = threading.Thread(target=self._open_account, args=(access,), name="account", daemon=True)
            self._opening.start()

    def _open_account(self, access: dict[str, Any]) -> None:
        from forwardtrader.live.supervision.account_access import AccountAccess, LoneAccount

        try:
            self._account = LoneAccount(AccountAccess(**{**access, "symbols": tuple(access["symbols"])}))
            self._account.prepare()
        except (TradingError, TimeoutError) as trouble:
            log.event(_LOG, "guardian_without_account", reason=str(trouble))

    def signalled(self, number: int) -> None:
        """The session's process got a signal, whether or not it could react."""
        self._signals.append((number, self._monotonic()))

    def look(self) -> bool:
        """Stop a session that cannot be stopped otherwise; whether it was."""
        now = self._monotonic()
        self._killed_since = (self._killed_since or now) if is_killed(self._folder) else None
        beat = newest_beat(self._folder)
        is_lost = beat is None or beat[1] >= _LOST_S
        if is_lost and self._is_called_for(now):
            self._stop("gave no sign of life when a command came")
            return True
        turn = None if beat is None else beat[0].turn_age_s
        if self._must_end(now, is_lost=is_lost, turn=turn):
            self._stop("did not end when it was told to by a signal")
            return True
        return False

    def mourn(self) -> None:
        """The session has died without a good-bye: say so, and take back what rests if it was killed."""
        self._act("was ended by a second signal" if self._signals else "died without a word: killed by the system, or by hand")

    # When

    def _is_called_for(self, now: float) -> bool:
        killed = self._killed_since is not None and now - self._killed_since >= _SUPERVISOR_MAY_ACT_S
        return killed or self._mailbox.oldest_age_s(ControlCommand.FLATTEN) >= _SUPERVISOR_MAY_ACT_S

    def _must_end(self, now: float, *, is_lost: bool, turn: float | None) -> bool:
        if not self._signals:
            return False
        if len(self._signals) > 1 and now - self._signals[1][1] >= _SECOND_SIGNAL_S:
            return True
        waited = now - self._signals[0][1]
        if turn is None:
            return waited >= _STARTING_S
        return waited >= _FIRST_SIGNAL_S and (is_lost or turn >= _FIRST_SIGNAL_S)

    # What

    def _stop(self, why: str) -> None:
        """End the process, then do in its place what was asked of it: no order of it can follow any more."""
        commands = self._mailbox.take()  # first, so that their senders see that somebody carries them out
        if os.getppid() == self._task.pid:  # else it has ended meanwhile, and its number may be another one's
            os.kill(self._task.pid, signal.SIGKILL)
        self._act(why, commands)

    def _act(self, why: str, commands: Sequence[Command] = ()) -> None:
        with self._mailbox.signing():
            until = self._monotonic() + _DEATH_S
            while is_running(self._folder) and self._monotonic() < until:
                time.sleep(0.02)
            with suppress(TradingError), held(lock_of(self._folder), "the session"):
                self._act_alone(why, [*commands, *self._mailbox.take()])

    def _act_alone(self, why: str, commands: list[Command]) -> None:
        done = self._carry_out(commands)
        self._mailbox.close()  # what the session had taken and not answered
        log.event(_LOG, "ended_by_guardian", why=why, done=done)
        self._tell(f"session {why}; {done}")

    def _carry_out(self, commands: list[Command]) -> str:
        flattens = [command for command in commands if command.verb is ControlCommand.FLATTEN]
        if flattens:
            deeds = self._on_account(lambda account: account_sell_out(account, flattens[-1].id))
        elif is_killed(self._folder) or (self._signals and self._task.cancels):
            deeds = self._on_account(account_stand_down)
        else:
            deeds = None
        done = "its orders stay at the venue" if deeds is None else deeds.text
        for command in commands:
            obeyed = command.verb is ControlCommand.KILL or (command in flattens and deeds is not None and deeds.are_sold)
            text = f"its process hung and was ended; {done}" if obeyed else f"not carried out: its process has ended; {done}"
            self._record(command)
            self._mailbox.answer(command, text, obeyed=obeyed)
        return done

    def _on_account(self, work: Callable[[LoneAccount], AccountDeeds]) -> AccountDeeds | None:
        self._begin_to_open()
        if self._opening is not None:
            self._opening.join()
        if self._account is None:
            return None
        try:
            return work(self._account)
        except (TradingError, TimeoutError) as trouble:
            log.event(_LOG, "guardian_failed", reason=str(trouble))
            return None

    def _record(self, command: Command) -> None:
        """A flatten leaves the session paused, whoever carried it out."""
        from forwardtrader.live.output.store import SessionStore

        with suppress(TradingError):
            store = SessionStore(self._folder / "session.db")
            store.command(store.last_bar() or 0, command.verb, SystemClock().now().isoformat())
            store.close()

    def _tell(self, text: str) -> None:
        from forwardtrader.live.telegram.alerts import alerts_from

        channel = alerts_from(self._task.alerts, name=self._task.name, folder=self._folder)
        if channel is not None:
            channel.send("session_died", "error", text)
            channel.close()


def account_stand_down(account: LoneAccount) -> AccountDeeds:
    """Take every open order back."""
    from forwardtrader.live.supervision.account_actions import stand_down

    return account.use(lambda used: stand_down(used, _ACCOUNT_S))


def account_sell_out(account: LoneAccount, name: str) -> AccountDeeds:
    """Take every open order back and sell what is held, for a command of that name."""
    from forwardtrader.live.supervision.account_actions import sell_out

    return account.use(lambda used: sell_out(used, used.symbols, account.run, name, _ACCOUNT_S))


def main() -> None:
    """Read lines and signals until the session has ended, or was ended here."""
    lines = os.fdopen(sys.stdin.fileno(), "rb", buffering=0)
    signals = int(sys.argv[1])
    rest, guardian, is_over, said_bye = b"", None, False, False
    with log.log_to(Path(sys.argv[2])):
        while not is_over:
            ready, _, _ = select.select([sys.stdin.fileno(), signals], [], [], _LOOK_EVERY_S)
            if sys.stdin.fileno() in ready:
                chunk = lines.read(65536)
                is_over = not chunk
                *whole, rest = (rest + (chunk or b"")).split(b"\n")
                for line in map(json.loads, whole):
                    if "bye" in line:
                        said_bye = True
                    elif guardian is None:
                        guardian = Guardian(Task(**line))
                    else:
                        guardian.hand_over(line)
            if guardian is None:
                continue
            if signals in ready:
                for number in os.read(signals, 64):
                    guardian.signalled(number)
            if is_over and not said_bye:
                guardian.mourn()
            elif not is_over and not said_bye and guardian.look():
                return
            guardian.get_ready()


if __name__ == "__main__":
    main()
