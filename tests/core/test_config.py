"""Settings from file, environment and flags, and the one line that a mistake is answered with."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from forwardtrader.core.config import changed, load_settings, parse_assignment
from forwardtrader.core.errors import ConfigError, InvalidSetting, UnknownSetting
from forwardtrader.core.settings import LearningSettings, Settings


def written(folder: Path, text: str) -> Path:
    path = folder / "settings.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_flags_override_the_environment_which_overrides_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "strategies: {risk_tolerance: 0.01, cash: 500}\nfeeds: {cache_minutes: 5}\n")
    settings = load_settings(path, overrides={"strategies.cash": 900}, environment={"RISK_TOLERANCE": "0.03"})
    assert (settings.strategies.cash, settings.strategies.risk_tolerance, settings.feeds.cache_minutes) == (900.0, 0.03, 5)


def test_spans_are_written_as_people_say_them(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, "models: {train_window: 52w, retrain_every: 12h}"), environment={})
    assert settings.models.train_window == timedelta(days=364)
    assert settings.models.retrain_every == timedelta(hours=12)
    assert settings.models.model_dump(mode="json")["train_window"] == "364d"


@pytest.mark.parametrize(("given", "span"), [(2, timedelta(seconds=2)), (0.5, timedelta(milliseconds=500)), ("90s", timedelta(seconds=90))])
def test_a_span_below_a_minute_stays_what_it_is_where_another_setting_is_changed(given: object, span: timedelta) -> None:
    settings = load_settings(None, overrides={"strategies.cooldown": given}, environment={})
    assert changed(settings, {"strategies.cash": 500}).strategies.cooldown == settings.strategies.cooldown == span


@pytest.mark.parametrize("key", ["strategies.cooldown", "risk.drawdown_rearm"])
def test_a_span_is_never_negative(key: str) -> None:
    with pytest.raises(InvalidSetting, match=f"{key}: a span of time is not negative"):
        load_settings(None, overrides={key: -5}, environment={})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models: {lookbak: 3}", "models.lookbak: no such setting"),
        ("model: {units: 3}", "model: no such room of settings; did you mean 'models'?"),
        ("strategies: {cahs: 3}", "strategies.cahs: no such setting; did you mean 'strategies.cash'?"),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UnknownSetting, match=said.replace(".", r"\.").replace("?", r"\?")):
        load_settings(written(tmp_path, text), environment={})


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("strategies.cash", 0, "strategies.cash"),
        ("strategies.fee_bps", -1, "strategies.fee_bps"),
        ("models.seeds", "many", "models.seeds"),
        ("models.train_window", "2 years", "2 years"),
        ("feeds.source", "cloud", "feeds.source"),
        ("models.train_window", "2d", "train_window is shorter"),
        ("models.seed", -1, "models.seed"),
        ("feeds.sample_seed", -1, "feeds.sample_seed"),
        ("models.horizons", [0, 4], "models.horizons"),
        ("models.horizon_weights", [-1.0, 1.0], "models.horizon_weights"),
        ("live.sessions_path", "", "live.sessions_path"),
    ],
)
def test_a_value_out_of_range_is_one_line_that_names_the_setting(key: str, value: Any, said: str) -> None:
    with pytest.raises(InvalidSetting, match=said) as caught:
        load_settings(None, overrides={key: value}, environment={})
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_settings_of_an_earlier_version_are_read_with_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("models: {carry: 2.0, trend: 0.05, units: 7}\n")
    assert load_settings(file, environment={}).models.units == 7
    (record,) = caplog.records
    assert record.levelname == "WARNING" and "models.carry, models.trend" in record.getMessage()


def test_a_missing_settings_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml does not exist"):
        load_settings(tmp_path / "nowhere.yaml", environment={})


def test_text_that_is_not_yaml_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"line 2"):
        load_settings(written(tmp_path, "models:\n\tunits: 3\n"), environment={})


def test_an_assignment_is_split_and_read_as_yaml() -> None:
    assert parse_assignment("models.horizons=[1, 24]") == ("models.horizons", [1, 24])
    assert parse_assignment("models.params.penalty=3") == ("models.params.penalty", 3)


def test_parameters_of_a_forecaster_are_named_one_by_one_or_together() -> None:
    given = load_settings(overrides={"models.params": {"depth": 2}, "models.params.penalty": 0.5}, environment={})
    assert given.models.params == {"depth": 2, "penalty": 0.5}
    assert changed(given, {"models.params.depth": 4}).models.params == {"depth": 4, "penalty": 0.5}


@pytest.mark.parametrize("text", ["models.units", "units=3", "a.b.c=3", "models.units=[1"])
def test_an_assignment_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(InvalidSetting, match="--set"):
        parse_assignment(text)


def test_settings_cannot_be_changed_after_they_are_read() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().models.units = 3  # type: ignore[misc]


def test_one_switch_freezes_all_that_is_learned_from_outcomes() -> None:
    everything = {f"learning.{key}": True for key in ("intervals", "adaptive", "early", "costs", "edge", "volatility")} | {
        "learning.trial": 168
    }
    assert load_settings(overrides=everything, environment={}).learning.trades_by_outcomes
    frozen = load_settings(overrides={**everything, "learning.freeze": True}, environment={}).learning
    assert frozen == LearningSettings(freeze=True)
    assert not (frozen.trades_by_outcomes or frozen.decides_models or frozen.corrects("lstm"))
