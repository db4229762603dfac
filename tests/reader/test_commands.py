"""Every command of README and docs, typed as a reader types it: in a checkout of its own, whose environment was entered.

`make commands` runs all of them.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from forwardtrader.__main__ import COMMANDS
from forwardtrader.core.command.flags import with_project
from forwardtrader.live.request import read_request
from tests import PATIENCE_S, ROOT
from tests.processes import begin, end_all
from tests.reader.checkout import make_checkout
from tests.reader.pages import PAGES, Fate, Shown, commands

_LONG_S = 10 * PATIENCE_S
_TYPED: set[tuple[str, Fate]] = set()
_SESSION = "python run_live.py --paper --sandbox --speed {speed} --strategy trend.py:Trend --quiet --session {name}"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With candles in its store, a session that has ended, three runs, and a model."""
    if not (ROOT / ".venv/bin/activate").is_file():
        pytest.skip("this checkout has no .venv; make backtest makes it")
    folder = make_checkout(tmp_path_factory.mktemp("reader"))
    for file, timeframe in (("BTCUSDT-1h.csv", "1h"), ("btc-4h.csv", "4h"), ("btc-1m.csv", "1m")):
        ended(folder, f"forwardtrader import {file} --symbol BTC/USDT --timeframe {timeframe}")
    ended(folder, _SESSION.format(name="demo-1", speed="lockstep") + " --bars 12")
    ended(folder, "python run_backtest.py --from 2024-05-01 --to 2024-08-31")
    for fast in (10, 20):
        ended(folder, f"python run_backtest.py --from 2024-05-01 --to 2024-08-31 --strategy trend.py:Trend --param fast={fast}")
    return folder


def typed(folder: Path, text: str) -> subprocess.Popen[str]:
    (folder / "said.txt").unlink(missing_ok=True)
    words = ["bash", "-c", f"source .venv/bin/activate && exec {text}"]
    here = {**os.environ, "PYTHONPATH": str(folder)}
    with (folder / "said.txt").open("w") as answer:
        return begin(words, cwd=folder, env=here, stdout=answer, stderr=subprocess.STDOUT, start_new_session=True)


def said(folder: Path) -> str:
    return (folder / "said.txt").read_text(encoding="utf-8", errors="replace")[-3000:]


def ended(folder: Path, text: str, code: int = 0) -> None:
    process = typed(folder, text)
    assert process.wait(_LONG_S) == code, (text, said(folder))


def until(happened: Callable[[], object], process: subprocess.Popen[str], folder: Path) -> None:
    end = time.monotonic() + _LONG_S
    while not happened():
        assert process.poll() is None and time.monotonic() < end, said(folder)
        time.sleep(0.1)


def stopped(process: subprocess.Popen[str], folder: Path, text: str) -> None:
    process.send_signal(signal.SIGINT)
    assert process.wait(_LONG_S) in (0, 130), (text, said(folder))


def trades(folder: Path, since: float) -> bool:
    """Whether a session has written what it did since then."""
    return any(path.stat().st_mtime > since for path in folder.glob("var/sessions/*/session.json"))


@contextmanager
def session(folder: Path, name: str) -> Iterator[None]:
    """A session of that name that runs."""
    since, text = time.time(), _SESSION.format(name=name, speed="3600")
    process = typed(folder, text)
    until(lambda: trades(folder, since), process, folder)
    try:
        yield
    finally:
        stopped(process, folder, text)


def run(folder: Path, shown: Shown) -> None:
    text, since = shown.typed, time.time()
    if shown.fate is Fate.STEERS:
        named = re.search(r"(?:--session|logs) ([\w-]+)", text)
        with session(folder, named[1] if named else "btc"):
            ended(folder, text)
    elif shown.fate is Fate.RUNS:
        process = typed(folder, text)
        lives = "live" in text
        until(lambda: trades(folder, since) if lives else said(folder) or ("logs" in text and time.time() > since + 15), process, folder)
        stopped(process, folder, text)
    else:
        ended(folder, text, 2 if shown.fate is Fate.ASKS else 0)


LEFT_OUT = [shown for page in PAGES for shown in commands(page) if shown.fate is Fate.ELSEWHERE]


@pytest.mark.parametrize("shown", LEFT_OUT, ids=lambda shown: f"{shown.page}: {shown.text}")
def test_what_is_not_run_here_is_a_command_with_these_flags(shown: Shown) -> None:
    program, *words = shlex.split(shown.typed)
    if words[0] == "-m":
        assert find_spec(words[1]) is not None
        return
    name = words[0] if program == "forwardtrader" else words[0].removeprefix("run_").removesuffix(".py")
    module, _, parser = COMMANDS[name].flags.partition(":")
    flags = words[1:]
    parsed = with_project(getattr(import_module(f"forwardtrader.{module}"), parser)()).parse_args(flags)
    if name == "live" and not {"--check", "--sync-firestore", "--from-firestore"} & set(flags):
        read_request(flags)
    assert parsed


def test_why_something_is_not_run_here_is_true() -> None:
    made = (ROOT / "Makefile").read_text(encoding="utf-8")
    for shown in LEFT_OUT:
        for target in re.findall(r"`make ([\w-]+)`", shown.why):
            recipe = made.partition(f"\n{target}: ")[2].partition("\n\n")[0]
            module = shlex.split(shown.text)[2]
            assert module in recipe or module.rpartition(".")[2] in recipe, shown
        for path in re.findall(r"\btests/[\w/.]+", shown.why):
            assert (ROOT / path).exists(), shown


def test_what_is_not_run_here_says_why() -> None:
    assert LEFT_OUT and all(shown.why for shown in LEFT_OUT)
    assert sum(len(commands(page)) for page in PAGES) > 3 * len(LEFT_OUT)


@pytest.mark.slow
@pytest.mark.parametrize(
    "shown",
    [shown for page in PAGES for shown in commands(page) if shown.fate is not Fate.ELSEWHERE],
    ids=lambda shown: f"{shown.page}: {shown.text}",
)
def test_a_command_of_a_page_does_what_a_reader_expects(checkout: Path, shown: Shown) -> None:
    if (shown.typed, shown.fate) in _TYPED:  # another page has it too
        return
    try:
        run(checkout, shown)
        _TYPED.add((shown.typed, shown.fate))
    finally:
        end_all()
