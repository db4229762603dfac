"""The decisions about the models of one session, in its own folder and in the registry."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from forwardtrader.core.clock import FixedClock
from forwardtrader.live.retraining.record import ModelRecord
from forwardtrader.models.online.lifecycle import Decision
from forwardtrader.models.registry.promotion_log import Author, PromotionAction, PromotionLog, PromotionRecord

NOW = datetime(2024, 1, 1, tzinfo=UTC)
MARKET = "A/B 1h"


def decision(
    model_id: str, deed: PromotionAction = PromotionAction.PROMOTED, *, boundary: datetime | None = None, other: str = ""
) -> Decision:
    card: Any = SimpleNamespace(model_id=model_id)
    return Decision(deed, Author.CALENDAR, card, other, "due", NOW, boundary)


def record(folder: Path) -> ModelRecord:
    (folder / "one").mkdir(exist_ok=True)
    return ModelRecord(folder / "one", PromotionLog(folder), MARKET, FixedClock(NOW))


def test_decisions_are_there_after_a_restart_and_in_the_registry(tmp_path: Path) -> None:
    first = record(tmp_path)
    assert (first.scheduled, first.in_force_before("m1")) == (None, None)
    first.add(decision("m1", boundary=NOW))
    first.add(decision("m2", boundary=NOW + timedelta(days=7), other="m1"))
    again = record(tmp_path)
    assert [entry.model_id for entry in again.entries] == ["m1", "m2"]
    assert (again.scheduled, again.in_force_before("m2")) == (NOW + timedelta(days=7), "m1")
    assert [(entry.model_id, entry.session) for entry in PromotionLog(tmp_path).entries()] == [("m1", "one"), ("m2", "one")]


def test_an_order_of_a_person_is_given_to_its_session_once_it_is_made(tmp_path: Path) -> None:
    session = record(tmp_path)
    session.add(decision("m1", boundary=NOW))
    assert session.orders(NOW) == []
    for name, model_id in (("one", "m2"), ("two", "m3")):
        order = PromotionRecord(
            at=NOW + timedelta(hours=1),
            market=MARKET,
            deed=PromotionAction.PROMOTED,
            by=Author.PERSON,
            model_id=model_id,
            reason="better",
            session=name,
        )
        PromotionLog(tmp_path).add(order)
    [order] = session.orders(NOW)
    assert order.model_id == "m2", "the other one is for another session"
    assert session.orders(NOW) == [], "the file did not change"
