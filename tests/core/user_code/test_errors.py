"""What a user's strategy raises is the user's: told with the line, and the log that has the whole of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.structure import PACKAGES
from forwardtrader.core import log
from forwardtrader.core.errors import InvalidSetting, StrategyFailed
from forwardtrader.core.user_code.errors import is_a_users, is_ours, owned_errors
from forwardtrader.strategies.backtrader.assembly import build_cerebro
from forwardtrader.strategies.user_code.strategy_class import load_strategy
from tests import ROOT
from tests.strategies.market import candles, feed, knobs

HEAD = "import backtrader as bt\nclass Mine(bt.Strategy):\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


def play(folder: Path, body: str) -> Any:
    file = folder / f"house_{abs(hash(body))}.py"
    file.write_text(HEAD + body)
    kind = load_strategy(f"{file}:Mine")
    cerebro = build_cerebro([feed(candles(60))], knobs(), strategy=kind)
    with owned_errors(kind.__name__):
        return cerebro.run()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("    def next(self):\n        self.nothing.here\n", ":4 in next: AttributeError: "),
        ("    def __init__(self):\n        self.x = 1 / 0\n", ":4 in __init__: ZeroDivisionError: division by zero"),
        (
            "    def notify_order(self, order):\n        [][1]\n    def next(self):\n        self.buy(size=0.1)\n",
            ":4 in notify_order: IndexError",
        ),
        ("    def next(self):\n        self.buy(size='large')\n", ":4 in next: TypeError"),
        ("    def next(self):\n        raise ValueError\n", ":4 in next: ValueError"),
        ("    def __init__(self):\n        self.sma = bt.ind.SMA(period=1000)\n", "Mine: IndexError"),
        ("    def __init__(self):\n        self.getdatabyname('DOGE/USDT')\n", ":4 in __init__: KeyError"),
    ],
)
def test_the_line_of_the_users_is_named(folder: Path, body: str, words: str) -> None:
    with log.log_to(folder / "log.jsonl"), pytest.raises(StrategyFailed) as caught:
        play(folder, body)
    assert words in str(caught.value)
    assert str(caught.value).endswith("; the traceback is in log.jsonl")
    assert caught.value.exit_code == 2
    [entry] = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines() if "Mine failed" in line]
    assert "Traceback" in entry["traceback"]


def test_our_own_errors_go_through() -> None:
    with pytest.raises(InvalidSetting), owned_errors("Mine"):
        build_cerebro([], knobs())


@pytest.mark.parametrize("package", PACKAGES)
def test_no_file_of_a_package_of_ours_is_taken_for_a_users(package: str) -> None:
    one = next((ROOT / package).rglob("*.py"))
    assert is_ours(str(one)) and not is_a_users(str(one))
