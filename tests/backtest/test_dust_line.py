"""What a run held at its end and could not sell is told, on the terminal and in run.json; so are orders that came to nothing, by reason."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from forwardtrader.backtest.command_line import read_request
from forwardtrader.backtest.job import _report_account
from forwardtrader.core.clock import SystemClock
from forwardtrader.strategies.backtrader.assembly import Record
from tests.end_to_end.test_backtest_command import run

STRATEGY = """
import backtrader as bt
class InAndOut(bt.Strategy):
    def next(self):
        if len(self) % 400 == 1:
            self.buy(size=0.01234)
        elif self.position and len(self) % 400 > 20:
            self.close()
        elif len(self) % 400 == 100:
            self.sell(size=0.5)
            self.buy(size=0.000001 * len(self) / 400)
"""
REASONS = ("more BTC than is held free of other orders", "smaller than 0.00001 BTC")


def test_a_method_that_only_cheat_on_open_calls_is_told(tmp_path: Path) -> None:
    own = (
        "import backtrader as bt\nclass Early(bt.Strategy):\n    def next_open(self): self.buy(size=0.01)\nclass Late(bt.Strategy): pass\n"
    )
    (tmp_path / "early_or_late.py").write_text(own)
    out = io.StringIO()
    for name in ("Early", "Late"):
        request = read_request(["--from", "2024-01-01", "--strategy", f"{tmp_path / 'early_or_late.py'}:{name}"], SystemClock())
        _report_account(Console(file=out), request, Record(pd.DataFrame(), pd.DataFrame()), {})
    assert out.getvalue().startswith("Early.next_open is never called") and out.getvalue().count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("flag", ["", "--json", "--quiet"])
def test_dust_and_refusals_are_told_once(tmp_path: Path, flag: str) -> None:
    (tmp_path / "in_and_out_history.py").write_text(STRATEGY)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        code, folder = run(tmp_path, "--strategy", f"{tmp_path / 'in_and_out_history.py'}:InAndOut", *([flag] if flag else []))
    assert code == 0
    manifest = json.loads((folder / "run.json").read_text())
    dust = manifest["strategy"]["dust"]["BTC/USDT"]
    assert 0 < dust < 0.00001
    assert manifest["strategy"]["trades"] >= 2
    refused = manifest["strategy"]["refused"]["BTC/USDT"]
    assert list(refused) == list(REASONS)
    assert len(set(refused.values())) == 1 < max(refused.values())
    text = " ".join(said.getvalue().split())
    for words in ("too small to sell", *(f"orders came to nothing: {reason}" for reason in REASONS)):
        assert text.count(words) == (0 if flag else 1)
    page, log = (folder / "index.html").read_text(), (folder / "log.jsonl").read_text()
    for reason in REASONS:
        assert reason in page
        assert reason in log
