"""Settings of perpetuals: leverage tables and files of known symbols only."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from forwardtrader.core.errors import InvalidSetting
from forwardtrader.sandbox.orders.settings import TIERS, SandboxSettings
from forwardtrader.sandbox.perpetual_rules import margin_tiers, marks_of, rates_of


def test_the_usual_tiers_rise() -> None:
    tiers = margin_tiers(TIERS)
    assert [tier.maintenance_amount for tier in tiers] == [0, 10_000, 160_000, 3_910_000]
    assert [tier.max_leverage for tier in tiers] == sorted((tier.max_leverage for tier in tiers), reverse=True)


@pytest.mark.parametrize("steps", [[(1, 5, "0.1")], [(0, 5, "0.1"), (0, 5, "0.2")], [(0, 5, "0.2"), (1, 5, "0.1")]])
def test_tiers_that_do_not_rise_are_refused(steps: Any) -> None:
    with pytest.raises(InvalidSetting, match="tiers"):
        margin_tiers([tuple(Decimal(value) for value in step) for step in steps])


def test_a_file_for_a_symbol_that_is_no_perpetual_is_refused() -> None:
    settings = SandboxSettings(symbols=("BTC/USDT",), funding={"BTC/USDT": "x.csv"}, mark={"BTC/USDT": "x.csv"})
    for read in (lambda: rates_of(settings, 0), lambda: marks_of(settings, 60_000, 0)):
        with pytest.raises(InvalidSetting, match="BTC/USDT"):
            read()
