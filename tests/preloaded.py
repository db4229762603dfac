"""Python processes that start in milliseconds: forked from one that has imported already what they need.

While `preloaded()` holds, `subprocess.Popen` starts `python [-P] -m MODULE ...` for the modules of `MODULES` in that way; everything else
it starts as ever. What is started is a child of its caller, with the input, output, folder, environment, process group, signals, command
line and exit code of any process, and what it starts itself is forked too. On Linux only; elsewhere nothing changes.

A nursery, the process that is forked, is a child of the process that it serves, and ends with it. It forks twice: what is orphaned by the
end of the one in between falls to its nearest ancestor that asks for orphans, which is the caller.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NoReturn

from tests import ROOT

MODULES: Final = (
    "forwardtrader.sandbox", "forwardtrader.live.supervision.guardian", "forwardtrader.live.output.writer_process",
    "forwardtrader.reports.pages.tearsheet", "forwardtrader.models.folds.retrain",
    "tests.live.session_runner", "tests.live.kill_runner", "tests.live.crash_runner",
    "tests.live.family_runner", "tests.told_program", "tests.end_to_end.small_run",
)  # fmt: skip
_IMPORTED: Final = (
    "forwardtrader.sandbox.__main__", "forwardtrader.sandbox.server", "uvloop", "forwardtrader.live.output.writer_process",
    "forwardtrader.live.supervision.guardian", "forwardtrader.live.supervision.account_actions", "tests.live.kill_runner",
    "tests.live.crash_runner", "tests.live.family_runner", "tests.told_program", "ccxt.async_support", "ccxt.pro.binance", "jinja2",
    "pyarrow.dataset", "pyarrow.parquet", "matplotlib.pyplot", "seaborn", "scipy.stats", "forwardtrader.models.folds.retrain",
    "jax", "keras", "tests.end_to_end.small_run",
)  # fmt: skip
_PR_SET_CHILD_SUBREAPER: Final = 36
_LONGEST: Final = 1 << 17  # bytes of a request
_ROOM: Final = 4096  # bytes for a command line
_HIGH: Final = 200  # descriptors from here on are in nobody's way
_execute = subprocess.Popen._execute_child  # type: ignore[attr-defined]


class Nursery:
    """The end that asks: used by one process, by any of its threads."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel, self._lock, self._pid = channel, threading.Lock(), os.getpid()

    @property
    def is_ours(self) -> bool:
        """Whether this process made it."""
        return self._pid == os.getpid()

    def fork(self, asked: dict[str, Any], descriptors: list[int]) -> int:
        """Start what is asked for as a child of this process, and return its number."""
        with self._lock:
            _prctl(1)
            try:
                socket.send_fds(self._channel, [json.dumps(asked).encode()], descriptors)
                said = self._channel.recv(64)
            finally:
                _prctl(0)
        if not said:
            raise OSError("the process that is forked has ended")
        return int(said)

    def close(self) -> None:
        self._channel.close()


_nursery: Nursery | None = None  # of this process, once it has one


@contextlib.contextmanager
def preloaded(*, forks: bool = sys.platform == "linux") -> Iterator[None]:
    """While the block runs, processes of our modules are forked; or not, where `forks` says so."""
    before, subprocess.Popen._execute_child = subprocess.Popen._execute_child, _execute_child if forks else _execute  # type: ignore[attr-defined]
    try:
        yield
    finally:
        subprocess.Popen._execute_child = before  # type: ignore[attr-defined]


def _is_served() -> bool:
    """Whether this process has a nursery; one that was forked by other means has no claim to that of its parent."""
    if _nursery is None:
        _begin()
    return _nursery is not None and _nursery.is_ours


def _begin() -> None:
    """Start the nursery of this process; it ends when the last copy of our end of the channel is closed."""
    global _nursery
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    words = [sys.executable, "-c", "from tests.preloaded import main; main()", str(theirs.fileno()), " " * _ROOM]
    with theirs:
        process = subprocess.Popen(
            words, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True,
            cwd=ROOT,
        )  # fmt: skip
    process.returncode = 0  # nobody waits for it
    _nursery = Nursery(ours)


def _execute_child(
    self: Any, args: Any, executable: Any, preexec_fn: Any, close_fds: Any, pass_fds: Any, cwd: Any, env: Any, *more: Any
) -> None:  # fmt: skip
    """`Popen._execute_child` of Python 3.11 and later."""
    (_, _, shell, stdin, to_stdin, from_stdout, stdout, from_stderr, stderr, _, _, _, _, _, new_session, *_) = more
    words = None if shell or preexec_fn or executable is not None else _words_of(args)
    if words is None or not _is_served():
        _execute(self, args, executable, preexec_fn, close_fds, pass_fds, cwd, env, *more)
        return
    assert _nursery is not None
    numbers = [0, 1, 2, *pass_fds]
    given = [own if asked == -1 else asked for asked, own in zip((stdin, stdout, stderr), (0, 1, 2), strict=True)] + list(pass_fds)
    asked = {
        "words": words, "cwd": str(cwd or Path.cwd()), "env": dict(os.environ if env is None else env),
        "new_session": bool(new_session), "numbers": numbers,
    }  # fmt: skip
    try:
        self.pid = _nursery.fork(asked, given)
        self._child_created = True
    finally:
        self._close_pipe_fds(stdin, to_stdin, from_stdout, stdout, from_stderr, stderr)


def _words_of(args: Any) -> list[str] | None:
    """The command line, if it is one of a module of ours."""
    words = [os.fspath(word) for word in args] if isinstance(args, list | tuple) else []
    rest = [word for word in words[1:] if word != "-P"]
    return words if words[:1] == [sys.executable] and rest[:1] == ["-m"] and rest[1:2] and rest[1] in MODULES else None


# The nursery's side


class _Born(BaseException):
    """Raised in each fork: what it is to run."""

    def __init__(self, words: list[str]) -> None:
        self.words = words


def main() -> None:
    """Be a nursery; its children leave by running what was asked for."""
    known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    base = [path for path in sys.path if path and path not in known]
    os.environ["KERAS_BACKEND"] = "jax"  # which a child is given by what it runs; with jax imported, but not in use, it may be forked
    for name in _IMPORTED:
        with contextlib.suppress(ImportError):  # what only an extra brings
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # a collection in a child would copy all that it looks at
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        _serve(socket.socket(fileno=int(sys.argv[1])))
    except _Born as born:
        words = born.words[1:]
    is_safe = words[0] == "-P"
    name, sys.argv = words[2 if is_safe else 1], words[2 if is_safe else 1 :]
    sys.path = [*([] if is_safe else [str(Path.cwd())]), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)), *base]
    is_package = hasattr(sys.modules.get(name), "__path__")
    sys.modules.pop(f"{name}.__main__" if is_package else name, None)  # it runs once more, as the program
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def _serve(channel: socket.socket) -> NoReturn:
    """Fork whatever is asked for, until the channel is closed."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(channel, _LONGEST, 64)
        if not message:
            os._exit(0)
        hears, says = os.pipe()
        between = os.fork()
        if not between:
            between, child = os.getpid(), os.fork()
            if child:
                os.write(says, str(child).encode())
                os._exit(0)
            while os.getppid() == between:
                time.sleep(0.0002)
            channel.close()
            os.close(hears)
            os.close(says)
            _grow_up(json.loads(message), descriptors)
        os.close(says)
        child_said = os.read(hears, 64)
        os.waitpid(between, 0)
        for descriptor in (hears, *descriptors):
            os.close(descriptor)
        channel.send(child_said)


def _grow_up(asked: dict[str, Any], descriptors: list[int]) -> NoReturn:
    """Make a fork what was asked for."""
    if asked["new_session"]:
        os.setsid()
    _have_a_nursery(asked["words"], descriptors)
    high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _HIGH) for descriptor in descriptors]
    for descriptor in descriptors:
        os.close(descriptor)
    for descriptor, number in zip(high, asked["numbers"], strict=True):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _show(asked["words"])
    _open_standard_streams()
    raise _Born(asked["words"])


def _have_a_nursery(words: list[str], descriptors: list[int]) -> None:
    """One for what this process will start, if it is a program of ours that starts others; forked while it has but one thread."""
    global _nursery
    _nursery = None
    if not any(word.startswith("tests.") for word in words[:4]):
        return
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if not os.fork():
        ours.close()
        for descriptor in descriptors:
            os.close(descriptor)
        _serve(theirs)
    theirs.close()
    _nursery = Nursery(ours)
    subprocess.Popen._execute_child = _execute_child  # type: ignore[attr-defined]


def _show(words: list[str]) -> None:
    """Have the system show them as the command line."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    begin, end = int(fields[45]), int(fields[46])
    text = b"\0".join(word.encode() for word in words)[: end - begin - 1]
    ctypes.memset(begin, 0, end - begin)
    ctypes.memmove(begin, text, len(text))


def _open_standard_streams() -> None:
    sys.stdin = sys.__stdin__ = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.__stderr__ = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)


def _prctl(on: int) -> None:
    """Whether orphans of this process's descendants fall to it."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, on, 0, 0, 0)
