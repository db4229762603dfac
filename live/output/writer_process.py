"""The writer process: runs the write jobs of a session, one line of JSON each, until its input is closed.

Each job runs in a forked child that ends with it, so that no memory of long tables stays. With `--here` it runs jobs itself, where forking
is not reliable; it is then restarted after each job.
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
from forwardtrader.live.output.job import WriteJob
from forwardtrader.reports.pages.session_page import prepare

_IN, _OUT, _ERR = 0, 1, 2
_KEPT_LAST: Final = "1000"


def main(words: list[str]) -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the session, which ends this process
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_KEPT_LAST, encoding="ascii")  # killed before the session where memory is short
    answers = os.fdopen(os.dup(_OUT), "w", encoding="utf-8")
    os.dup2(_ERR, _OUT)  # other output must not be taken for an answer
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
    """Run one job; returns the traceback of its failure, or ""."""
    try:
        job = WriteJob.from_line(line)
        with log.log_to(job.folder / "log.jsonl"):
            job.run()
    except Exception:  # noqa: BLE001 - the session decides what to do about it
        return traceback.format_exc()
    return ""


def _done_by_a_child(line: bytes, answers: IO[str]) -> str | None:
    """As `_done`, in a forked child; None where the session ended first. The child is killed then, and writes no more."""
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        _be_the_child(line, writes, [reads, answers.fileno()])
    os.close(writes)
    with os.fdopen(reads, encoding="utf-8") as answer:
        ready, _, _ = select.select([reads, _IN], [], [])
        is_alone = reads not in ready  # nothing is asked before the answer, so standard input speaks only when it has ended
        if is_alone:
            os.kill(child, signal.SIGKILL)
        trouble = answer.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if is_alone:
        return None
    return f"the process that wrote ended with {code}; {trouble}" if code else trouble


def _be_the_child(line: bytes, writes: int, foreign: list[int]) -> None:
    """Run the job, answer and exit; never returns."""
    code = 1
    try:
        for descriptor in foreign:
            os.close(descriptor)
        os.dup2(os.open(os.devnull, os.O_RDONLY), _IN)
        with os.fdopen(writes, "w", encoding="utf-8") as answer:
            answer.write(_done(line))
        code = 0
    finally:
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
