"""A session's folder tells how its models came out."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forwardtrader.core.clock import FixedClock
from forwardtrader.live.output.model_outcomes import decisions, model_outcomes
from forwardtrader.live.retraining.record import ModelRecord
from forwardtrader.live.session.candles import write_history
from forwardtrader.models.forecaster import normal_frame
from forwardtrader.models.online.outcomes import outcomes
from forwardtrader.models.registry.promotion_log import Author, PromotionAction, PromotionLog, PromotionRecord
from tests.models.bars import simulated_bars

BARS = simulated_bars(600)
SYMBOL = "A/USD"
NOW = datetime(2024, 1, 1, tzinfo=UTC)


def told() -> pd.DataFrame:
    frame = normal_frame(BARS.index, np.full(600, 0.0005), np.full(600, 0.02), "early")
    frame.loc[frame.index[500] :, "model_id"] = "late"
    return frame.iloc[400:]


def table() -> pd.DataFrame:
    return told().reset_index(names="timestamp").assign(symbol=SYMBOL, horizon=4)


def fill(row: int, side: str, price: float) -> dict[str, object]:
    return {
        "timestamp": BARS.index[row], "symbol": SYMBOL, "side": side, "size": 1.0, "price": price, "fee": 0.5, "fee_currency": "USD",
        "order_ref": str(row), "reason": "edge",
    }  # fmt: skip


FILLS = pd.DataFrame([fill(410, "buy", 100.0), fill(430, "sell", 110.0), fill(520, "buy", 100.0), fill(540, "sell", 90.0)])


def test_each_model_is_scored_on_the_sessions_own_bars_and_trades(tmp_path: Path) -> None:
    write_history(tmp_path, {SYMBOL: BARS.iloc[:400]})
    rows = model_outcomes(tmp_path, table(), {SYMBOL: BARS.iloc[400:]}, FILLS)
    whole = outcomes(told(), BARS, 4)
    assert [(r.model_id, r.forecasts, r.trades) for r in rows] == [("early", 100, 1), ("late", 96, 1)]
    assert rows[0].loss == pytest.approx(whole["loss"].iloc[:100].mean(), rel=1e-12)
    assert [(r.won, r.profit) for r in rows] == [(1.0, 9.0), (0.0, -11.0)]


def test_a_session_that_has_just_begun_has_nothing_to_tell(tmp_path: Path) -> None:
    assert model_outcomes(tmp_path, table().iloc[:0], {SYMBOL: BARS.iloc[:0]}, FILLS.iloc[:0]) == []
    assert decisions(tmp_path) == []


def test_decisions_are_told_in_order(tmp_path: Path) -> None:
    entry = PromotionRecord(
        at=NOW,
        market="A/USD 1h",
        action=PromotionAction.KEPT,
        by=Author.DRIFT,
        model_id="one",
        other="two",
        reason="worse",
        session="s",
        since=NOW,
    )
    PromotionLog(tmp_path).add(entry)
    PromotionLog(tmp_path).add(entry.model_copy(update={"action": PromotionAction.PROMOTED, "model_id": "three"}))
    assert [(d.deed, d.by, d.model_id, d.other) for d in decisions(tmp_path)] == [
        ("kept", "drift", "one", "two"),
        ("promoted", "drift", "three", "two"),
    ]


def test_orders_of_an_earlier_life_of_the_same_session_are_not_heard(tmp_path: Path) -> None:
    """The folder was thrown away and the session begun anew; the registry's record is still there."""
    shared = PromotionLog(tmp_path / "models")
    base = {"market": "A/USD 1h", "action": PromotionAction.PROMOTED, "by": Author.PERSON, "reason": ""}
    shared.add(PromotionRecord(at=datetime(2023, 6, 1, tzinfo=UTC), session="paper", model_id="old", **base))
    shared.add(PromotionRecord(at=datetime(2023, 7, 1, tzinfo=UTC), model_id="everywhere", **base))
    shared.add(PromotionRecord(at=datetime(2022, 7, 1, tzinfo=UTC), model_id="before the model in force", **base))
    record = ModelRecord(tmp_path / "paper", shared, "A/USD 1h", FixedClock(NOW))
    assert [o.model_id for o in record.orders(datetime(2023, 1, 1, tzinfo=UTC))] == ["everywhere"]
    assert record.orders(datetime(2023, 1, 1, tzinfo=UTC)) == []
