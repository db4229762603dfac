"""`forwardtrader check-strategy`: what is found, and the exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from forwardtrader.backtest.audit.check_command import main
from tests.reports.simulated import candles

STRATEGIES = """
import backtrader as bt

class Pair(bt.Strategy):
    params = (("period", 5),)

    def __init__(self):
        self.averages = [bt.ind.SMA(data, period=self.p.period) for data in self.datas]

    def next(self):
        for data, average in zip(self.datas, self.averages):
            self.order_target_size(data, 0.05 if data.close[0] > average[0] else 0.0)

class Peeks(bt.Strategy):
    def next(self):
        for data in self.datas:
            if len(data) < data.buflen():
                self.order_target_size(self.datas[0], 0.1 if self.datas[-1].close[1] > self.datas[-1].close[0] else 0.0)
"""


def check(folder: Path, name: str, symbols: int, rows: int = 110, *more: str) -> int:
    (folder / "mine.py").write_text(STRATEGIES)
    data = []
    for seed, symbol in enumerate(("BTC/USDT", "ETH/USDT")[:symbols], 5):
        candles(rows, seed=seed).to_csv(folder / f"{seed}.csv")
        data += ["--data", f"{symbol}={folder / f'{seed}.csv'}"]
    return main([f"{folder / 'mine.py'}:{name}", *data, *more])


def test_an_honest_strategy_of_two_symbols_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(tmp_path, "Pair", 2, 110, "--param", "period=4", "--json") == 0
    checks = json.loads(capsys.readouterr().out)["checks"]
    assert {each["result"] for each in checks} == {"passed"}
    assert [each["name"] for each in checks][:2] == ["run", "determinism"]


def test_a_look_at_the_next_bar_of_the_second_symbol_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(tmp_path, "Peeks", 2) == 2
    told = capsys.readouterr()
    assert "newest close" in told.err.splitlines()[-1]
    assert told.err.splitlines()[-1].startswith("Peeks failed ")


def test_too_few_fills_are_no_pass_and_a_mistake_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(tmp_path, "Pair", 1, 30) == 3
    capsys.readouterr()
    assert check(tmp_path, "Pair", 1, 110, "--param", "perod=4") == 2
    assert "period" in capsys.readouterr().err
