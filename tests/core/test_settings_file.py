"""The shipped config.yaml says what the code says."""

from __future__ import annotations

import pytest

from forwardtrader.core.config import all_keys, load_settings
from forwardtrader.core.settings import Settings
from forwardtrader.core.settings_file import settings_file
from tests import ROOT

SHIPPED = ROOT / "config.yaml"


def test_the_shipped_file_is_the_one_that_the_settings_print() -> None:
    assert SHIPPED.read_text(encoding="utf-8") == settings_file(Settings()), "run: python -m forwardtrader.core.settings_file > config.yaml"


def test_the_shipped_file_gives_the_defaults() -> None:
    assert load_settings(SHIPPED, environment={}) == Settings()


@pytest.mark.parametrize(("room", "key"), [(room, key) for room, keys in all_keys().items() for key in keys])
def test_every_setting_says_what_it_means(room: str, key: str) -> None:
    described = type(getattr(Settings(), room)).model_fields[key].description
    assert described
    assert f"  {key}: " in SHIPPED.read_text(encoding="utf-8")
