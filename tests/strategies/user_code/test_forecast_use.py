"""Whether a strategy can look at forecasts, without running it."""

from __future__ import annotations

from pathlib import Path

import backtrader as bt
import pytest
from backtrader.strategies import SMA_CrossOver

from forwardtrader.strategies.backtrader.strategy import LSTMStrategy
from forwardtrader.strategies.user_code.forecast_use import may_read_forecasts
from forwardtrader.strategies.user_code.strategy_class import load_strategy

PLAIN = "import backtrader as bt\nimport numpy as np\n\n\nclass Trades(bt.Strategy):\n    pass\n"
READING = {
    "itself": "import forwardtrader as ft\nimport backtrader as bt\nclass Trades(bt.Strategy):\n    made = ft.LSTMForecast\n",
    "in a base class": "from {helper} import Base\nclass Trades(Base):\n    pass\n",
    "in a module it imports": "import backtrader as bt\nimport {helper}\nclass Trades(bt.Strategy):\n    pass\n",
    "in a function it imports": "import backtrader as bt\nfrom {helper} import forecast\nclass Trades(bt.Strategy):\n    pass\n",
    "with all names": "from forwardtrader import *\nimport backtrader as bt\nclass Trades(bt.Strategy):\n    pass\n",
}
HELPER = """
import backtrader as bt
def forecast(data):
    from forwardtrader import LSTMForecast
    return LSTMForecast(data)
class Base(bt.Strategy):
    def __init__(self): self.forecast = forecast(self.data)
"""


@pytest.mark.parametrize("strategy", [SMA_CrossOver, bt.SignalStrategy, bt.Strategy])
def test_what_is_backtraders_own_reads_none(strategy: type[bt.Strategy]) -> None:
    assert not may_read_forecasts(strategy)


def test_ours_reads_them() -> None:
    assert may_read_forecasts(LSTMStrategy)


def test_a_strategy_that_names_nothing_of_ours_reads_none(tmp_path: Path) -> None:
    (tmp_path / "plain_trades.py").write_text(PLAIN)
    assert not may_read_forecasts(load_strategy(f"{tmp_path / 'plain_trades.py'}:Trades"))


def test_parameters_make_no_difference(tmp_path: Path) -> None:
    (tmp_path / "with_params.py").write_text(PLAIN.replace("    pass", "    params = (('fast', 3),)"))
    assert not may_read_forecasts(load_strategy(f"{tmp_path / 'with_params.py'}:Trades(fast=5)"))


@pytest.mark.parametrize("where", READING)
def test_a_strategy_may_read_them_wherever_its_own_modules_name_them(tmp_path: Path, where: str) -> None:
    name = where.replace(" ", "_")
    (tmp_path / f"helper_{name}.py").write_text(HELPER)
    (tmp_path / f"reads_{name}.py").write_text(READING[where].replace("{helper}", f"helper_{name}"))
    assert may_read_forecasts(load_strategy(f"{tmp_path / f'reads_{name}.py'}:Trades"))


def test_a_strategy_whose_source_nobody_has_may_read_them() -> None:
    typed_in = type("TypedIn", (bt.Strategy,), {"__module__": "__nowhere__"})
    assert may_read_forecasts(typed_in)
