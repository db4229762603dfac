"""The practice exchange runs as a subprocess, and reports why it did not start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from forwardtrader.core.errors import ConfigError
from forwardtrader.sandbox.process import start_sandbox
from tests.sandbox.small_market import FLAT, candle_file

pytestmark = pytest.mark.executes


def test_a_failed_start_raises_its_reason() -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        start_sandbox(market=["nowhere.csv"])


def test_the_market_ends_as_a_venue_halts(tmp_path: Path) -> None:
    path = candle_file(tmp_path / "m.csv", [FLAT] * 5)
    with start_sandbox(speed="lockstep", market=[str(path)], history=1) as venue:
        answer: Any = venue.advance(50)
        assert (answer["advanced"], answer["ended"]) == (4, True)
        assert venue.advance()["advanced"] == 0
        assert not venue.state()["symbols"]["BTC/USDT"]["open"]
