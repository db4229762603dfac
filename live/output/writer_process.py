"""The process beside a session that writes its folder: one request a line of JSON, until its input is closed.

It reads modules into memory, and nothing else. Each writing is done by a child that is forked off it and ends with it, so what long tables
took for a moment stays nowhere. With `--here` it writes by itself, where that is not to be relied on; it is to be replaced after each
writing then.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import sys
import traceback
from pathlib import Path
from typing import IO, Final

from forwardtrader.core import log
from forwardtrader.live.output.job import Writing
from forwardtrader.reports.pages.session_page import prepare

_IN, _OUT, _ERR = 0, 1, 2
_KEPT_LAST: Final = "1000"


def main(words: list[str]) -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for the session, which says when it ends
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_KEPT_LAST, encoding="ascii")  # where memory is short, rather this than the session
    answers = os.fdopen(os.dup(_OUT), "w", encoding="utf-8")
    os.dup2(_ERR, _OUT)  # whatever else prints must not be taken for an answer
    prepare()
    gc.collect()
    gc.freeze()  # a collection in a child would copy all that it looks at
    while (line := sys.stdin.buffer.readline()).endswith(b"\n"):
        trouble = _done(line) if "--here" in words else _done_by_a_child(line, answers)
        if trouble is None:
            break
        answers.write(json.dumps(trouble) + "\n")
        answers.flush()
    return 0


def _done(line: bytes) -> str:
    """Write what the line asks for; returns the traceback of what went wrong, or nothing."""
    try:
        writing = Writing.from_line(line)
        with log.log_to(writing.folder / "log.jsonl"):
            writing.do()
    except Exception:  # noqa: BLE001 - whoever asked decides what becomes of it
        return traceback.format_exc()
    return ""


def _done_by_a_child(line: bytes, answers: IO[str]) -> str | None:
    """As `_done`; None where whoever asked was gone before it was finished. Nothing is written any more then."""
    hears, says = os.pipe()
    child = os.fork()
    if not child:
        _be_the_child(line, says, [hears, answers.fileno()])
    os.close(says)
    with os.fdopen(hears, encoding="utf-8") as told:
        ready, _, _ = select.select([hears, _IN], [], [])
        is_alone = hears not in ready  # nothing is asked before the answer, so standard input speaks only when it has ended
        if is_alone:
            os.kill(child, signal.SIGKILL)
        trouble = told.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if is_alone:
        return None
    return f"the process that wrote ended with {code}; {trouble}" if code else trouble


def _be_the_child(line: bytes, says: int, foreign: list[int]) -> None:
    """Write, answer and end; never returns."""
    code = 1
    try:
        for descriptor in foreign:
            os.close(descriptor)
        os.dup2(os.open(os.devnull, os.O_RDONLY), _IN)
        with os.fdopen(says, "w", encoding="utf-8") as answer:
            answer.write(_done(line))
        code = 0
    finally:
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
