"""The user's page about learning keeps up with the code."""

from __future__ import annotations

import re

import pytest

from forwardtrader.core.settings import LearningSettings
from forwardtrader.models.flags import registry_parser
from forwardtrader.models.port.names import SHIPPED
from forwardtrader.models.port.prototype import LSTM
from tests import ROOT

PAGE = (ROOT / "docs" / "learning.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("key", LearningSettings.model_fields)
def test_every_setting_is_explained(key: str) -> None:
    assert f"`{key}`" in PAGE or f"`learning.{key}" in PAGE


def test_settings_named_on_the_page_exist() -> None:
    named = set(re.findall(r"learning\.([a-z_]+)", PAGE)) - {"md"}
    assert named and named <= set(LearningSettings.model_fields)


@pytest.mark.parametrize("command", ["list", "show MODEL", "promote MODEL --reason TEXT", "rollback --reason TEXT"])
def test_the_commands_on_the_page_are_understood(command: str) -> None:
    assert f"python -m models.registry {command}" in PAGE
    assert registry_parser().parse_args(command.split()).command == command.split()[0]


def test_all_of_it_but_the_intervals_of_two_forecasters_is_off_unless_asked_for() -> None:
    plain = LearningSettings()
    assert not plain.decides_models and not plain.trades_by_outcomes and not plain.adaptive
    corrected = [name for name in (LSTM, *SHIPPED) if plain.corrects(name)]
    assert corrected == ["lstm", "blend"] and "unset: for `lstm` and `blend`" in PAGE
