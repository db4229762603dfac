"""The user's page about decisions keeps up with the code."""

from __future__ import annotations

import re
from typing import Any

import backtrader as bt
import pytest

from forwardtrader.core.settings import StrategySettings
from forwardtrader.strategies.backtrader.assembly import record_of
from tests import ROOT
from tests.strategies.market import candles, knobs, run

PAGE = (ROOT / "docs" / "strategies.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("key", StrategySettings.model_fields)
def test_every_knob_is_explained(key: str) -> None:
    assert f"`{key}`" in PAGE


def test_the_strategy_on_the_page_trades() -> None:
    scope: dict[str, Any] = {}
    code = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert code is not None
    exec(code[1], scope)
    strategy = scope["BuyConfidence"]
    assert issubclass(strategy, bt.Strategy)
    assert len(record_of(run(candles(600), knobs(), strategy=strategy)).fills) > 3
