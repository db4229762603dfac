"""The limits of a settings file: none by default, none where the gate is off."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from forwardtrader.core.config import load_settings
from forwardtrader.core.errors import ConfigError
from forwardtrader.core.settings import RiskSettings
from forwardtrader.strategies.trading_state.limits import EVERY_RUN, Limit, OnBreach, TradingLimits


def test_nothing_is_limited_unless_it_is_asked_for() -> None:
    assert TradingLimits.of(RiskSettings()) is None
    assert TradingLimits.of(RiskSettings(gate=False, max_drawdown=0.2)) is None


@pytest.mark.parametrize("key", [key for key in EVERY_RUN if key.startswith("max_")])
def test_each_limit_alone_is_enough(key: str) -> None:
    assert (
        TradingLimits.of(
            RiskSettings(
                **{key: timedelta(days=40) if key == "max_model_age" else 0.5 if "_orders" not in key and "streak" not in key else 2}
            )
        )
        is not None
    )


def test_what_a_limit_does_is_its_own_setting() -> None:
    limits = TradingLimits.of(RiskSettings(max_drawdown=0.2, on_daily_loss="halt"))
    assert limits is not None
    assert limits.on_breach[Limit.DRAWDOWN] is OnBreach.FLATTEN
    assert limits.on_breach[Limit.DAILY_LOSS] is OnBreach.HALT
    assert limits.losses.max_daily_loss == float("inf")


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"risk.max_symbol_exposure": 2, "risk.max_gross_exposure": 1}, "max_symbol_exposure .2. is above risk.max_gross_exposure .1."),
        ({"risk.max_orders_per_bar": 9, "risk.max_orders_per_hour": 3}, "would never be reached"),
        ({"risk.max_model_age": "28d"}, "every model would expire"),
        ({"risk.losing_streak_rearm": "0d"}, "is no time at all"),
        ({"risk.max_drawdown": 20}, "risk.max_drawdown: Input should be less than 1, not 20"),
        ({"risk.on_drawdown": "sell"}, "'reduce', 'halt' or 'flatten', not 'sell'"),
        ({"risk.max_drawdwn": 0.2}, "did you mean 'risk.max_drawdown'"),
    ],
)
def test_settings_that_contradict_each_other_are_one_line(overrides: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as refused:
        load_settings(overrides=overrides, environment={})
    assert "\n" not in str(refused.value)
    assert refused.value.exit_code == 2
