"""The sample market is repeatable."""

from __future__ import annotations

from typing import Any

from forwardtrader.core.clock import FixedClock
from forwardtrader.sandbox.orders.settings import SandboxSettings
from forwardtrader.sandbox.venue import open_venue


def test_the_sample_market_repeats_with_its_seed_and_differs_with_another() -> None:
    def closes(seed: int) -> list[Any]:
        from datetime import UTC, datetime

        tree = {"speed": "lockstep", "history": 50, "seed": seed}
        venue = open_venue(SandboxSettings.model_validate(tree), FixedClock(datetime(2026, 1, 1, tzinfo=UTC)))
        return venue.exchange.listings["BTC/USDT"].candles.closed

    assert closes(1) == closes(1)
    assert closes(1) != closes(2)
