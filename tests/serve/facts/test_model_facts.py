"""The models of the page: their lines, their standing, and what cannot be read."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from forwardtrader.core import fingerprint
from forwardtrader.models.registry.card import ModelCard, code_version
from forwardtrader.models.registry.promotion_log import Author, PromotionAction, PromotionLog, PromotionRecord
from forwardtrader.serve.facts.model_facts import ModelShelf

CARD = ModelCard(
    model_id="a" * 16, symbols=("BTC/USDT",), timeframe="1h", horizons=(1,), features=("x",), boundary="2026-01-01T00:00:00+00:00",
    train_from="2025-01-01T00:00:00+00:00", train_to="2025-12-31T23:00:00+00:00", train_bars=8760, seeds=(0,), train_loss=0.5, seconds=1.0,
    reason="scheduled", calibrations={}, code_version=code_version(),
)  # fmt: skip


def keep(root: Path, model_id: str, **own: object) -> None:
    content = CARD.model_copy(update={"model_id": model_id, **own}).model_dump(mode="json")
    (root / model_id).mkdir(parents=True)
    (root / model_id / "card.json").write_text(json.dumps(content | {"seal": fingerprint.of_value(content)}))


def decide(root: Path, model_id: str, action: PromotionAction, reason: str, other: str = "") -> None:
    entry = PromotionRecord(
        at=datetime(2026, 1, 2, tzinfo=UTC), market="BTC/USDT 1h", action=action, by=Author.DRIFT, model_id=model_id, other=other,
        reason=reason,
    )  # fmt: skip
    PromotionLog(root).add(entry)


def test_models_stand_by_market_with_their_line_and_every_decision(tmp_path: Path) -> None:
    keep(tmp_path, "first")
    keep(tmp_path, "second", goes_on_from="first", boundary="2026-02-01T00:00:00+00:00")
    keep(tmp_path, "third", goes_on_from="second", boundary="2026-03-01T00:00:00+00:00", code_version="other")
    keep(tmp_path, "elsewhere", symbols=("ETH/USDT",))
    decide(tmp_path, "first", PromotionAction.PROMOTED, "scheduled")
    decide(tmp_path, "second", PromotionAction.PROMOTED, "better by 0.02, p 0.01", "first")
    btc, eth = ModelShelf(tmp_path).facts().markets
    assert [(row.card.model_id, row.line, row.is_other_code) for row in btc.models] == [
        ("third", ("second", "first"), True), ("second", ("first",), False), ("first", (), False),
    ]  # fmt: skip
    assert [row.stands for row in btc.models] == ["", "in force in every session", "replaced"]
    assert [one.reason for one in btc.decisions] == ["better by 0.02, p 0.01", "scheduled"]
    assert (eth.name, eth.decisions) == ("ETH/USDT 1h", ())


def test_a_line_that_leads_into_itself_or_nowhere_ends(tmp_path: Path) -> None:
    keep(tmp_path, "one", goes_on_from="two")
    keep(tmp_path, "two", goes_on_from="one")
    keep(tmp_path, "three", goes_on_from="gone")
    [market] = ModelShelf(tmp_path).facts().markets
    assert {row.card.model_id: row.line for row in market.models} == {"one": ("two", "one"), "two": ("one", "two"), "three": ("gone",)}


def test_what_cannot_be_read_is_told_and_the_rest_is_shown(tmp_path: Path) -> None:
    keep(tmp_path, "good")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "card.json").write_text("{")
    (tmp_path / "appointments.json").write_text("[{}]")
    facts = ModelShelf(tmp_path).facts()
    assert [row.card.model_id for row in facts.markets[0].models] == ["good"]
    assert len(facts.troubles) == 2 and "bad" in facts.troubles[0] and "appointments.json" in facts.troubles[1]
    assert ModelShelf(tmp_path / "nowhere").facts().markets == ()


def test_changes_are_seen(tmp_path: Path) -> None:
    shelf = ModelShelf(tmp_path)
    before = shelf.facts()
    assert shelf.facts() is before
    keep(tmp_path, "one")
    assert len(shelf.facts().markets) == 1
