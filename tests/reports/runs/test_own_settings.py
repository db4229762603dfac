"""What differs from the defaults, and how it is named."""

from __future__ import annotations

from forwardtrader.core.config import changed
from forwardtrader.core.settings import Settings
from forwardtrader.reports.runs.own_settings import own_settings, strategy_of, written


def test_a_run_by_the_defaults_has_nothing_of_its_own() -> None:
    assert own_settings(Settings().model_dump(mode="json")) == {}


def test_what_was_changed_is_told_and_what_decides_nothing_is_not() -> None:
    settings = changed(
        Settings(),
        {
            "models.units": 16,
            "strategies.allow_short": True,
            "models.jobs": 7,
            "reports.output": "elsewhere",
            "feeds.symbols": ["ETH/USDT"],
        },
    )
    found = own_settings(settings.model_dump(mode="json"))
    assert found == {"models.units": 16, "strategies.allow_short": True}
    assert [written(key, value) for key, value in found.items()] == ["units 16", "allow_short"]


def test_settings_of_another_version_do_no_harm() -> None:
    assert own_settings({"models": {"carry": 2.0, "unheard_of": 1}, "risk": "text", "nowhere": {"x": [1, 2]}}) == {
        "models.unheard_of": 1, "nowhere.x": [1, 2],
    }  # fmt: skip


def test_parameters_are_told_by_their_names() -> None:
    assert written("models.params", {"penalty": 3}) == "penalty 3"
    assert (written("feeds.resample", ["4h", "1d"]), written("risk.max_drawdown", None)) == ("resample 4h, 1d", "max_drawdown none")


def test_the_strategy_is_the_one_that_the_command_names() -> None:
    assert (
        strategy_of("python run_backtest.py --strategy '/a b/mine.py:Cross' --param fast=3 --param=slow=9") == "mine.py:Cross fast=3 slow=9"
    )
    assert strategy_of("python run_backtest.py --from 2022-01-01") == strategy_of("an 'unbalanced quote") == ""
