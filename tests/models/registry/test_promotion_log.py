"""The promotion log: a stack of models, kept in a file that older versions wrote."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.models.registry.promotion_log import Author, PromotionAction, PromotionLog, PromotionRecord, promotion_stack, visible

NOW = datetime(2024, 5, 1, tzinfo=UTC)


MARKET = "BTC/USDT 1h"


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=10), st.integers(0, 9))
def test_taking_a_model_out_from_below_leaves_the_one_in_force(models: list[str], place: int) -> None:
    def entry(action: PromotionAction, model: str, other: str = "") -> PromotionRecord:
        return PromotionRecord(at=NOW, market=MARKET, action=action, by=Author.PERSON, model_id=model, other=other, reason="")

    story = [entry(PromotionAction.PROMOTED, m) for m in models]
    victim = models[place % len(models)]
    after = promotion_stack([*story, entry(PromotionAction.ROLLED_BACK, "", victim)])
    assert len(after) == len(models) - 1
    if models[-1] != victim:
        assert after[-1] == models[-1]
    assert promotion_stack([*story, entry(PromotionAction.KEPT, models[-1], "z")]) == tuple(models)


def record(model: str, **changes: object) -> PromotionRecord:
    given = {"at": NOW, "market": MARKET, "action": PromotionAction.PROMOTED, "by": Author.PERSON, "model_id": model, "reason": "r"}
    return PromotionRecord.model_validate(given | changes)


def test_records_keep_the_keys_of_the_file_that_earlier_versions_wrote(tmp_path: Path) -> None:
    log = PromotionLog(tmp_path)
    log.add(record("aa11"))
    (stored,) = json.loads((tmp_path / "appointments.json").read_text())
    assert stored["deed"] == "promoted"
    assert "action" not in stored
    assert log.entries() == [record("aa11")]


def test_a_session_sees_its_own_records_and_those_of_its_whole_market() -> None:
    everywhere, own, other = record("a"), record("b", session="mine"), record("c", session="theirs")
    elsewhere = record("d", market="X/USD 1h")
    assert visible([everywhere, own, other, elsewhere], MARKET, "mine") == [everywhere, own]
    assert visible([everywhere, own, other, elsewhere], MARKET) == [everywhere]


def test_only_operator_commands_made_later_are_given_to_a_session(tmp_path: Path) -> None:
    log = PromotionLog(tmp_path)
    late = NOW + timedelta(hours=1)
    for each in (record("a"), record("b", at=late), record("c", at=late, by=Author.CALENDAR), record("d", at=late, since=NOW)):
        log.add(each)
    assert [each.model_id for each in log.orders_after(NOW, MARKET, "")] == ["b"]
