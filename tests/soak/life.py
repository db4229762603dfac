"""One life of the session, in a process forked from one that has imported everything: it checks all books at its first quiet moment."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NoReturn
from unittest.mock import patch

from rich.console import Console

from forwardtrader.core.clock import SystemClock
from forwardtrader.core.command.cli import end_well
from forwardtrader.live.bridge.store import CCXTStore
from forwardtrader.live.execution.order_lookup import QueryTimeouts
from forwardtrader.live.monitoring.terminal import SessionView
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.output.writer import Writer
from forwardtrader.live.retraining.stock import FixedSupply
from forwardtrader.live.session.parts import SessionParts
from forwardtrader.live.session.session import LiveSession
from forwardtrader.live.supervision import guardian, guardian_process
from tests import ROOT
from tests.live.books import require_agreement
from tests.live.session_runner import Momentum, request_for

NAME: Final = "one"
REPORT: Final = "lives.jsonl"
# Faults hide things from the session until it asks: it asks more often here, or each life would last a minute.
_TIMEOUTS: Final = QueryTimeouts(not_found_s=3.0, longest_wait_s=1.0, give_up_s=60.0, check_every_s=4.0, lag_s=1.5)
_PATIENCE_S: Final = 45.0  # until everything agrees, with the market at a standstill


def preload() -> None:
    """Import what a session imports when it needs it: each life is forked with all of it."""
    for name in ("ccxt.async_support", "ccxt.pro", "uvloop", "forwardtrader.reports.pages.session_page"):
        with suppress(ModuleNotFoundError):
            import_module(name)


class Checked(LiveSession):
    """Writes when it decided first, and then, with the market at a standstill, whether everybody's books agree."""

    number = 0
    _until = 0.0
    _is_checked = False
    _last_words = ""

    def assemble(self, stack: ExitStack) -> SessionParts:
        parts = super().assemble(stack)
        stack.callback(self._check_at_the_end)
        return parts

    def is_done(self, newest: int) -> bool:
        if not super().is_done(newest):
            return False
        if self._is_checked or self.progress.strategy is None or not self.progress.bars:
            return True
        if not self._until:
            self._until = time.monotonic() + _PATIENCE_S
            self._say(decided=time.monotonic())
            self.parts.market.practice.control("clear")  # type: ignore[union-attr]
        self._last_words = self._disagreement()
        self._is_checked = not self._last_words or time.monotonic() > self._until
        if self._is_checked:
            self._say(checked=self._last_words)
        return self._is_checked

    def _check_at_the_end(self) -> None:
        if self.request.bars:
            self._say(finished=self._disagreement())

    def _disagreement(self) -> str:
        parts = self.parts
        assert parts.journal is not None
        try:
            require_agreement(parts.market.practice, parts.journal, self.progress.strategy, prefix=f"ft-{NAME}-")
            self._require_fills()
        except AssertionError as error:
            return str(error)[:600] or "an assertion without text"
        return ""

    def _require_fills(self) -> None:
        """The table of fills, with those since the last bar, has each execution once."""
        strategy, journal = self.progress.strategy, self.parts.journal
        assert strategy is not None and journal is not None
        store = SessionStore(self.request.folder / "session.db")
        rows = store.tables(self.request.symbols).fills.to_dict("records")
        store.close()
        rows += strategy.analyzers.fills.frame().to_dict("records")
        kept = Counter((row["order_ref"], f"{row['size']:.8f}", f"{row['price']:.8f}") for row in rows)
        booked = Counter((e.client_id, f"{e.size:.8f}", f"{e.price:.8f}") for e in journal.executions())
        assert kept == booked, f"fills kept lack {booked - kept}, and have beyond the journal {kept - booked}"

    def _say(self, **facts: object) -> None:
        say(self.request.folder.parent, self.number, **facts)


def say(folder: Path, number: int, **facts: object) -> None:
    """Append a line to the report; whole, since it is short."""
    with (folder / REPORT).open("a") as report:
        report.write(json.dumps({"life": number, **facts}) + "\n")


def live(folder: Path, number: int, protocol: str, symbols: tuple[str, ...], bars: int, nursery: _Nursery) -> int:
    """Run the session. `bars` is 0 for one that is ended from outside, which writes no pages."""
    flags = ["--live", "--strategy", f"{ROOT / 'tests/live/turns.py'}:Turns", "--set", f"feeds.exchange={protocol}"]
    flags += ["--set", "live.orders_at_stop=cancel"] if bars else []
    request = request_for(folder, NAME, bars, *flags, symbols=symbols)
    session = Checked(request, SystemClock(), SessionView(Console(), shown=False), supply=FixedSupply({s: Momentum() for s in symbols}))
    session.number = number
    make = CCXTStore.__init__

    def impatient(self: Any, *args: Any, **options: Any) -> None:
        make(self, *args, **{**options, "query_timeouts": replace(_TIMEOUTS)})

    with ExitStack() as stack:
        stack.enter_context(patch.object(CCXTStore, "__init__", impatient))
        stack.enter_context(patch.object(guardian_process.subprocess, "Popen", nursery.popen))
        stack.enter_context(patch.object(guardian_process.socket, "socketpair", nursery.pair))
        if not bars:
            stack.enter_context(patch.object(Writer, "write", lambda _self, _job: None))
        return session.run()


class _Nursery:
    """A guardian that was forked before the session opened anything, in the place of one that is started as a command."""

    def __init__(self, folder: Path) -> None:
        self._ours, self._theirs = socket.socketpair()
        reads, writes = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            self._ours.close()
            os.close(writes)
            _be_guardian(reads, self._theirs.fileno(), folder / NAME / "log.jsonl")
        os.close(reads)
        self.stdin = os.fdopen(writes, "wb")
        self._popen = guardian_process.subprocess.Popen

    def pair(self) -> tuple[socket.socket, socket.socket]:
        return self._ours, self._theirs

    def popen(self, words: list[str], **options: Any) -> Any:
        return self if "forwardtrader.live.supervision.guardian" in words else self._popen(words, **options)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        return os.waitpid(self.pid, 0)[1]


def _be_guardian(reads: int, signals: int, log: Path) -> NoReturn:
    try:
        os.setsid()
        os.dup2(reads, 0)
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
        sys.argv = ["guardian", str(signals), str(log)]
        guardian.main()
    finally:
        os._exit(0)


def fork_life(folder: Path, number: int, protocol: str, symbols: tuple[str, ...], bars: int = 0) -> int:
    """Start a life as a process of its own, in a process group of its own; returns its pid."""
    (folder / NAME).mkdir(parents=True, exist_ok=True)
    # The handler of whoever forks is not for this process: a signal that met it within the fork would be lost.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    pid = os.fork()
    if not pid:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        out = os.open(folder / f"life-{number}.txt", os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        os.dup2(out, 1)
        os.dup2(out, 2)
        nursery = _Nursery(folder)
        code = end_well(lambda: live(folder, number, protocol, symbols, bars, nursery))
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
