"""Whole sessions in which one thing goes wrong: they go on, and equal their replay where nothing else was to be expected."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from forwardtrader.core.clock import SystemClock
from forwardtrader.live.parity.command import compare
from tests.live.session_runner import SYMBOLS, Momentum, request_for, run

SOURCES = {symbol: Momentum() for symbol in SYMBOLS}


def faulty(tmp_path: Path, faults: dict[str, Any]) -> tuple[str, str]:
    path = tmp_path / "faults.json"
    path.write_text(json.dumps(faults))
    return "--faults", str(path)


@pytest.mark.parametrize(
    "faults",
    [{"F21": {"symbol": "ETH/USDT", "after_bars": 20, "count": 3}}, {"F24": {"after_bars": 30, "bars": 4, "seconds": 0.3}}],
    ids=["a candle of one symbol is missing", "an outage"],
)
def test_a_session_with_gaps_equals_its_replay(tmp_path: Path, faults: dict[str, Any]) -> None:
    assert run(request_for(tmp_path, "one", 80, *faulty(tmp_path, faults))) == 0
    parity = compare(tmp_path / "one", SystemClock(), SOURCES)
    assert parity.first_difference is None
    assert parity.bars >= 80
    assert parity.compared["fills"] > 5
