"""What a run held at its end and could not sell is told, on the terminal and in run.json."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import pytest

from tests.end_to_end.test_backtest_command import run

STRATEGY = """
import backtrader as bt
class InAndOut(bt.Strategy):
    def next(self):
        if len(self) % 400 == 1:
            self.buy(size=0.01234)
        elif self.position and len(self) % 400 > 20:
            self.close()
"""


@pytest.mark.parametrize("as_json", [False, True])
def test_dust_is_told_once(tmp_path: Path, as_json: bool) -> None:
    (tmp_path / "in_and_out_history.py").write_text(STRATEGY)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        code, folder = run(tmp_path, "--strategy", f"{tmp_path / 'in_and_out_history.py'}:InAndOut", *(["--json"] if as_json else []))
    assert code == 0
    manifest = json.loads((folder / "run.json").read_text())
    dust = manifest["strategy"]["dust"]["BTC/USDT"]
    assert 0 < dust < 0.00001
    assert manifest["strategy"]["trades"] >= 2
    words = "too small to sell"
    assert " ".join(said.getvalue().split()).count(words) == (0 if as_json else 1)
    assert "below the smallest" not in said.getvalue()
