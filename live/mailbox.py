"""Control commands between processes: a file for each command and for its answer. A command is carried out once, or never.

A command is addressed to one run of a session, the process that held its lock when it was sent: a later start reports it as not carried
out. Whoever carries it out takes its file first, so that only one process can; whoever sent it may withdraw it until then.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from forwardtrader.core import log
from forwardtrader.core.atomic import private_file
from forwardtrader.core.clock import Clock
from forwardtrader.core.errors import ConfigError, StorageFull
from forwardtrader.live.control import ControlCommand, is_running, kill, lift_kill

_LOG: Final = log.logger("live")
_INBOX: Final = "commands"
_RUN: Final = "run.json"
_KEPT: Final = 100  # answers
_LONGEST: Final = 4096  # bytes of a file that is taken for a command
_LOOK_EVERY_S: Final = 0.05
_ENDING_S: Final = 2.0  # within which a session that has just ended still answers
_SIGN_EVERY_S: Final = 0.5  # of life, while a command is carried out
_LONGEST_S: Final = 150.0  # that a command is waited for, whatever signs there are
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
ENDED: Final = "not carried out: the session ended first"


@dataclass(frozen=True, kw_only=True)
class Command:
    """One control command. `id` names it in files and in the client ids of its orders; `sender` is a process id."""

    id: str
    verb: ControlCommand
    run: str
    sent: str
    sender: int


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What became of a command: `text` says what was done, or why nothing was."""

    id: str
    verb: str
    obeyed: bool
    text: str
    at: str


class Mailbox:
    """The commands that one run of a session receives. Made by the process that holds the session's lock.

    What an earlier run left is answered at once, and not carried out.

    Args:
        run: of a process that has ended, or is about to be, in whose place the caller acts; "" for a run of the caller's own.
    """

    def __init__(self, folder: Path, clock: Clock, *, run: str = "") -> None:
        self._folder = folder / _INBOX
        self._clock = clock
        self.run = run or f"{os.getpid()}-{_base36(_micros(clock))}"
        if run:
            return
        try:
            (self._folder / "answers").mkdir(parents=True, exist_ok=True, mode=0o700)
            _write(folder / _RUN, {"run": self.run, "pid": os.getpid(), "started": clock.now().isoformat()})
        except OSError as error:
            raise StorageFull(f"{folder} cannot be written ({error.strerror}); free some disk, or make the folder writable") from error
        for path in self._folder.glob("*.taken"):
            self._end(path, "begun, but the process that it was sent to ended before it had answered; look at --status")
        for path in self._folder.glob("*.json"):
            command = _command_of(path)
            if command is None or command.run != self.run:  # one for this run may have come since its file was written
                self._end(path, "not carried out: the process that it was sent to has ended")

    @property
    def is_waiting(self) -> bool:
        """Whether a command has come that nobody has taken yet. Cheap enough to be asked before every order."""
        try:
            with os.scandir(self._folder) as entries:
                return any(entry.name.endswith(".json") for entry in entries)
        except FileNotFoundError:  # removed by somebody: then nothing waits in it either
            return False

    def oldest_age_s(self, verb: ControlCommand) -> float:
        """How long a command of this kind that nobody has taken has been waiting, by the machine's clock; 0 where there is none."""
        now, found = time.time(), [(_command_of(path), _made_at(path)) for path in self._folder.glob("*.json")]  # the clock of the files
        ages = [now - made for command, made in found if command is not None and made is not None and command.verb is verb]
        return max(ages, default=0.0)

    def take(self) -> list[Command]:
        """The commands for this run that nobody has taken, oldest first; each is given once, to one taker."""
        taken = []
        for path in sorted(self._folder.glob("*.json")):
            command = _command_of(path)
            if command is None or command.run != self.run:
                self._end(path, "not carried out: it cannot be read, or was sent to another process")
            elif _renamed(path, path.with_suffix(".taken")):
                taken.append(command)
        return taken

    def sign(self) -> None:
        """Tell whoever waits for an answer that what was taken is being carried out."""
        for path in self._folder.glob("*.taken"):
            with suppress(OSError):
                os.utime(path)

    @contextmanager
    def signing(self) -> Iterator[None]:
        """While the block runs, its signs are given by a thread."""
        over = threading.Event()

        def give() -> None:
            while not over.wait(_SIGN_EVERY_S):
                self.sign()

        thread = threading.Thread(target=give, name="signs", daemon=True)
        self.sign()
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def answer(self, command: Command, text: str, *, obeyed: bool = True) -> None:
        """Tell the sender what became of a command that was taken."""
        self._answer(command.id, command.verb, text, obeyed=obeyed)
        (self._folder / f"{command.id}.taken").unlink(missing_ok=True)

    def close(self) -> None:
        """Answer what is left: this run carries nothing out any more."""
        for path in (*self._folder.glob("*.json"), *self._folder.glob("*.taken")):
            command = _command_of(path)
            killed = command is not None and command.verb is ControlCommand.KILL  # the switch is turned, and nothing runs any more
            self._end(path, "killed: the session has ended" if killed else ENDED, obeyed=killed)

    def own(self, verb: ControlCommand) -> Command:
        """A command of the run to itself, which nobody waits for."""
        return Command(id=_base36(_micros(self._clock)), verb=verb, run=self.run, sent=self._clock.now().isoformat(), sender=os.getpid())

    def _end(self, path: Path, text: str, *, obeyed: bool = False) -> None:
        command = _command_of(path)
        self._answer(path.stem, "" if command is None else command.verb, text, obeyed=obeyed)
        path.unlink(missing_ok=True)

    def _answer(self, id_: str, verb: str, text: str, *, obeyed: bool) -> None:
        answers = self._folder / "answers"
        answer = Answer(id=id_, verb=verb, obeyed=obeyed, text=text, at=self._clock.now().isoformat())
        try:
            answers.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write(answers / f"{id_}.json", asdict(answer))
            for old in sorted(answers.glob("*.json"))[:-_KEPT]:
                old.unlink(missing_ok=True)
        except OSError as error:  # what was done is done, whether or not its sender hears of it
            log.event(_LOG, "answer_not_written", logging.WARNING, verb=verb, answer=text, reason=str(error))


def send(folder: Path, verb: ControlCommand, clock: Clock) -> Command | None:
    """Send a control command to the session in `folder`; None where it is done with that, since nothing runs.

    A kill holds from here on, whatever becomes of the command: no order leaves while the session is killed.

    Raises:
        ConfigError: there is no such session, or it does not run.
    """
    if not folder.is_dir():
        raise ConfigError(f"there is no session {folder.name!r} under {folder.parent}; see what is there, or start it")
    was_killed = verb is ControlCommand.RESUME and lift_kill(folder)
    if verb is ControlCommand.KILL:
        kill(folder)
    if not is_running(folder):
        if was_killed or verb is ControlCommand.KILL:
            return None
        raise ConfigError(f"session {folder.name!r} is not running; start it with run_live.py --session {folder.name}")
    return _sent(folder, verb, clock)


def _sent(folder: Path, verb: ControlCommand, clock: Clock) -> Command:
    inbox, stamp = folder / _INBOX, _micros(clock)
    inbox.mkdir(exist_ok=True, mode=0o700)
    while True:  # an id is a moment; two senders may have the same one
        command = Command(id=_base36(stamp), verb=verb, run=_run_of(folder), sent=clock.now().isoformat(), sender=os.getpid())
        temporary = inbox / f".{command.id}.{os.getpid()}"
        private_file(temporary)
        temporary.write_text(json.dumps(asdict(command)), encoding="utf-8")
        try:
            if not _is_used(inbox, command.id):
                os.link(temporary, inbox / f"{command.id}.json")
                return command
        except FileExistsError:
            pass
        finally:
            temporary.unlink(missing_ok=True)
        stamp += 1


def _is_used(inbox: Path, id_: str) -> bool:
    """Whether an earlier command had the name, as after a clock that was put back: its answer must not be taken for a new one."""
    return (inbox / f"{id_}.taken").exists() or (inbox / "answers" / f"{id_}.json").exists()


def wait_for_answer(
    folder: Path, command: Command, patience_s: float, *, sleep: Callable[[float], object] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> Answer | None:  # fmt: skip
    """What became of a command; None where nobody answered. Then it is withdrawn, unless it was taken.

    Args:
        patience_s: seconds without a sign: that it was taken, then that it is being carried out, by the session or in its place.
    """
    path, taken = folder / _INBOX / "answers" / f"{command.id}.json", folder / _INBOX / f"{command.id}.taken"
    now, sign = monotonic(), None
    until, at_last = now + patience_s, now + max(patience_s, _LONGEST_S)
    while (answer := _answer_of(path)) is None and now < min(until, at_last):
        if (seen := _made_at(taken)) != sign:
            until, sign = now + patience_s, seen
        elif seen is None and not is_running(folder):
            until = min(until, now + _ENDING_S)
        sleep(_LOOK_EVERY_S)
        now = monotonic()
    if answer is None:
        (folder / _INBOX / f"{command.id}.json").unlink(missing_ok=True)
    return answer or _answer_of(path)


def is_withdrawn(folder: Path, command: Command) -> bool:
    """Whether nobody had taken a command that was not answered, so that it will not be carried out."""
    return not (folder / _INBOX / f"{command.id}.taken").exists()


def run_started(folder: Path) -> str:
    """When the newest run of a session started (ISO time); "" where that is not known."""
    found = _read(folder / _RUN)
    return str(found.get("started", "")) if isinstance(found, dict) else ""


def _run_of(folder: Path) -> str:
    found = _read(folder / _RUN)
    return str(found.get("run", "")) if isinstance(found, dict) else ""


def _command_of(path: Path) -> Command | None:
    found = _read(path)
    try:
        verb, sender = ControlCommand(found["verb"]), int(found["sender"])
        command = Command(id=str(found["id"]), verb=verb, run=str(found["run"]), sent=str(found["sent"]), sender=sender)
    except (TypeError, KeyError, ValueError):
        return None
    return command if command.id == path.stem and len(command.id) <= 12 and set(command.id) <= set(_DIGITS) else None


def _answer_of(path: Path) -> Answer | None:
    found = _read(path)
    try:
        return Answer(**found)
    except TypeError:
        return None


def _read(path: Path) -> Any:
    """What a small JSON file of ours says; None where it is something else. A link is not followed: the folder is input."""
    try:
        if path.is_symlink() or path.stat().st_size > _LONGEST:
            return None
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _write(path: Path, content: dict[str, Any]) -> None:
    """Whole or not at all; not forced to disk, since a machine that lost its power has no sender that still waits."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    private_file(temporary)
    temporary.write_text(json.dumps(content), encoding="utf-8")
    temporary.replace(path)


def _renamed(path: Path, to: Path) -> bool:
    try:
        path.rename(to)
    except FileNotFoundError:
        return False
    return True


def _made_at(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return None


def _micros(clock: Clock) -> int:
    return int((clock.now() - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1e6)


def _base36(value: int) -> str:
    digits = ""
    while value:
        value, rest = divmod(value, 36)
        digits = _DIGITS[rest] + digits
    return digits or "0"
