"""The models of a session: a card that cannot be read is set aside with an alert; a fixed supply learns nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from forwardtrader.core.errors import ModelError
from forwardtrader.core.settings import ModelSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.live.retraining.stock import FixedSupply, ModelStock
from tests.live.session_runner import Momentum


def stock(folder: Path, told: list[tuple[str, dict[str, Any]]]) -> ModelStock:
    settings = ModelSettings(save_path=str(folder / "models"))
    return ModelStock(settings, Timeframe.parse("1h"), folder=folder, candles=dict, notify=lambda kind, **facts: told.append((kind, facts)))


def test_a_model_that_is_not_there_is_no_card_and_no_network(tmp_path: Path) -> None:
    told: list[tuple[str, dict[str, Any]]] = []
    models = stock(tmp_path, told)
    with pytest.raises(ModelError):
        models.card("m1")
    with pytest.raises(ModelError):
        models.network("m1")
    assert told == [("model_damaged", {"model_id": "m1", "reason": "its files are gone", "mended": "it is trained again"})]


def test_a_fixed_supply_has_its_sources_and_nothing_else() -> None:
    source = Momentum()
    supply = FixedSupply({"A/B": source})
    at = datetime(2024, 1, 1, tzinfo=UTC)
    supply.open(at)
    supply.bar_closed(at)
    supply.collect(at, wait=True)
    supply.stop()
    assert (supply.sources, supply.card, supply.training) == ({"A/B": source}, None, None)
    assert supply.next_boundary > at
