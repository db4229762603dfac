"""One series: the lives of a session, each ended from outside at the moment that its plan names, and the last one by itself."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from forwardtrader.core.errors import TradingError
from forwardtrader.live.session.sandbox_process import PracticeVenue, find_practice
from tests.soak.life import NAME, REPORT, fork_life, preload
from tests.soak.plan import LifePlan, Series
from tests.soak.results import LifeResult

_START_S: Final = 150.0  # until the first decision, the time that the comparison may take included
_END_S: Final = 60.0
_LAST_BARS: Final = 6
_TERMINATED: Final = (0, 128 + signal.SIGTERM, -signal.SIGTERM)  # in good order, within its start, before it listened


def play(seed: int, lives: int) -> Iterator[LifeResult]:
    """Play a series in a folder of its own, which stays where something went wrong."""
    preload()
    series, folder = Series.of(seed, lives), Path(tempfile.mkdtemp(prefix=f"soak-{seed}-"))
    went_wrong = False
    try:
        for number, plan in enumerate(series.lives):
            result = _Life(series, folder, number, plan).run()
            went_wrong |= bool(result.trouble)
            yield result
            if went_wrong:
                return
            _pass_bars(folder, plan.bars)
        result = _Life(series, folder, lives, None).run()
        went_wrong |= bool(result.trouble)
        yield result
    finally:
        venue = _venue(folder)
        if venue is not None:
            venue.stop()
        if not went_wrong:
            shutil.rmtree(folder, ignore_errors=True)


class _Life:
    """One life, seen from outside. `plan` is None for the last one."""

    def __init__(self, series: Series, folder: Path, number: int, plan: LifePlan | None) -> None:
        self._series, self._folder, self._number, self._plan = series, folder, number, plan
        self._pid = 0
        self._code: int | None = None

    def run(self) -> LifeResult:
        self._arm()
        began = time.monotonic()
        bars = _LAST_BARS if self._plan is None else 0
        self._pid = fork_life(self._folder, self._number, self._series.protocol, self._series.symbols, bars)
        try:
            trouble = self._until_it_ends(began) if self._plan is None else self._end_it(self._plan, began)
        finally:
            self._kill_group()
        facts = self._facts()
        trouble = trouble or facts.get("checked") or facts.get("finished") or ""
        decided = facts.get("decided")
        return LifeResult(
            seed=self._series.seed, life=self._number, end="" if self._plan is None else self._plan.end,
            faults=() if self._plan is None else tuple(sorted(self._plan.faults)),
            start_s=round(decided - began, 3) if decided else 0.0, is_checked="checked" in facts,
            trouble=f"{trouble} (its folder is {self._folder})" if trouble else "",
        )  # fmt: skip

    def _arm(self) -> None:
        venue = _venue(self._folder) if self._plan is not None and self._plan.faults else None
        if venue is not None and self._plan is not None:
            for name, options in self._plan.faults.items():
                with suppress(TradingError):
                    venue.control("fault", name=name, **options)

    def _end_it(self, plan: LifePlan, began: float) -> str:
        """End it at its moment; returns what went wrong before."""
        if plan.early and self._number:
            trouble = self._wait(lambda: time.monotonic() > began + plan.after_s, plan.after_s + 1.0, "")
        else:
            trouble = self._wait(lambda: "checked" in self._facts(), _START_S, "it hangs: no decision, or no agreement")
            trouble = trouble or self._wait(lambda: False, plan.after_s, "")
        if trouble or self._code is not None:
            return trouble or self._words(f"it ended by itself with {self._code}")
        return self._send(plan)

    def _send(self, plan: LifePlan) -> str:
        if plan.end == "term":
            os.kill(self._pid, signal.SIGTERM)
            trouble = self._wait(lambda: False, _END_S, "it does not end after SIGTERM")
            return trouble or ("" if self._code in _TERMINATED else self._words(f"after SIGTERM it ended with {self._code}"))
        if plan.end == "stop":
            os.kill(self._pid, signal.SIGSTOP)
            time.sleep(plan.frozen_s)
            os.kill(self._pid, signal.SIGCONT)
            self._wait(lambda: False, plan.frozen_s / 4, "")
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        return ""

    def _until_it_ends(self, began: float) -> str:
        trouble = self._wait(lambda: False, _START_S + _END_S, "it hangs: it does not come to its end")
        return trouble or ("" if self._code == 0 else self._words(f"it ended with {self._code}"))

    def _wait(self, is_over: Any, seconds: float, otherwise: str) -> str:
        """Until it is over or the process has ended; `otherwise` after so many seconds."""
        until = time.monotonic() + seconds
        while self._code is None and not is_over():
            if time.monotonic() > until:
                return otherwise
            time.sleep(0.02)
            self._look()
        return ""

    def _look(self) -> None:
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        if pid:
            self._code = os.waitstatus_to_exitcode(status)

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        if self._code is None:
            self._code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])

    def _facts(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        with suppress(FileNotFoundError):
            for line in (self._folder / REPORT).read_text().splitlines():
                row = json.loads(line)
                found |= row if row["life"] == self._number else {}
        return found

    def _words(self, text: str) -> str:
        with suppress(FileNotFoundError):
            said = (self._folder / f"life-{self._number}.txt").read_text().strip()
            return f"{text}: {said[-400:]}"
        return text


def _venue(folder: Path) -> PracticeVenue | None:
    return find_practice(folder / NAME / "practice.json")


def _pass_bars(folder: Path, bars: int) -> None:
    """The market goes on while nobody trades."""
    venue = _venue(folder) if bars else None
    if venue is not None:
        with suppress(TradingError):
            venue.control("advance", bars=bars)
