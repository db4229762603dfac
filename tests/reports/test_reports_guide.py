"""The guide names what is there."""

from __future__ import annotations

import pytest

from forwardtrader.reports.manifest import RunManifest
from forwardtrader.reports.pages.run_page import _FILES
from tests import ROOT

GUIDE = (ROOT / "docs" / "reports.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("key", [field.alias or name for name, field in RunManifest.model_fields.items()])
def test_every_key_of_the_manifest_is_in_the_guide(key: str) -> None:
    assert key in GUIDE


@pytest.mark.parametrize("name", _FILES)
def test_every_file_of_a_run_is_in_the_guide(name: str) -> None:
    assert f"`{name}`" in GUIDE
