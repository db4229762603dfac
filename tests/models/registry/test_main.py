"""Who is in force, as a person looks at it and changes it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.core.clock import FixedClock
from forwardtrader.core.errors import ConfigError, FingerprintMismatch, NotTrained
from forwardtrader.models.forecasters.calibration import Calibration
from forwardtrader.models.registry.__main__ import main
from forwardtrader.models.registry.card import ModelCard, code_version
from forwardtrader.models.registry.command import promote, rollback
from forwardtrader.models.registry.promotion_log import (
    Author,
    PromotionAction,
    PromotionLog,
    PromotionRecord,
    in_force,
    market_of,
    promotion_stack,
)
from forwardtrader.models.registry.store import ModelRegistry

NOW = datetime(2024, 5, 1, tzinfo=UTC)
MARKET = "BTC/USDT 1h"


def put(root: Path, model_id: str, *, code: str = "", symbols: tuple[str, ...] = ("BTC/USDT",)) -> None:
    card = ModelCard(
        model_id=model_id, symbols=symbols, timeframe="1h", horizons=(1,), features=("move_6",), boundary="2024-04-26T00:00:00+00:00",
        train_from="2022-04-26T00:00:00+00:00", train_to="2024-04-25T23:00:00+00:00", train_bars=17000, seeds=(0,), train_loss=0.51,
        seconds=1.0, reason="scheduled", calibrations={s: (Calibration(),) for s in symbols}, code_version=code or code_version(),
    )  # fmt: skip
    (root / model_id).mkdir(parents=True)
    (root / model_id / "card.json").write_text(card.model_dump_json())


class Ticking(FixedClock):
    def now(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    for model in ("aa11", "bb22", "cc33"):
        put(tmp_path, model)
    return ModelRegistry(tmp_path)


def test_a_promotion_is_kept_with_reason_and_time(registry: ModelRegistry) -> None:
    promote(registry, "aa", "calmer in April", FixedClock(NOW))
    [entry] = ModelRegistry(registry.root).promotions.entries()
    assert (entry.model_id, entry.action, entry.by, entry.reason, entry.at) == (
        "aa11",
        PromotionAction.PROMOTED,
        Author.PERSON,
        "calmer in April",
        NOW,
    )
    assert entry.market == MARKET


def test_a_rollback_gives_way_to_the_model_before(registry: ModelRegistry) -> None:
    clock = Ticking(NOW)
    promote(registry, "aa11", "one", clock)
    promote(registry, "bb22", "two", clock)
    back = rollback(registry, "worse", clock)
    assert (back.model_id, back.other) == ("aa11", "bb22")
    assert rollback(registry, "worse still", clock).model_id == ""
    with pytest.raises(ConfigError, match="no model was promoted"):
        rollback(registry, "once more", clock)


def test_what_cannot_be_meant_is_refused(registry: ModelRegistry) -> None:
    put(registry.root, "old1", code="of another day")
    clock = Ticking(NOW)
    with pytest.raises(NotTrained, match="no model 'zz'"):
        promote(registry, "zz", "", clock)
    with pytest.raises(NotTrained, match="4 models"):
        registry_of_alike = ModelRegistry(registry.root / "alike")
        for n in range(4):
            put(registry_of_alike.root, f"dd{n}")
        promote(registry_of_alike, "dd", "", clock)
    with pytest.raises(FingerprintMismatch, match="train it again"):
        promote(registry, "old1", "", clock)
    promote(registry, "aa11", "", clock)
    with pytest.raises(ConfigError, match="in force already"):
        promote(registry, "aa11", "", clock)


def test_a_rollback_in_two_markets_asks_which(registry: ModelRegistry) -> None:
    put(registry.root, "ee55", symbols=("ETH/USDT",))
    clock = Ticking(NOW)
    promote(registry, "aa11", "", clock)
    promote(registry, "ee55", "", clock)
    with pytest.raises(ConfigError, match="--market"):
        rollback(registry, "", clock)
    assert rollback(registry, "", clock, market="ETH/USDT 1h").other == "ee55"


def test_a_session_is_rolled_back_to_what_it_had_before(registry: ModelRegistry) -> None:
    clock = Ticking(NOW)
    for model in ("aa11", "bb22"):
        registry.promotions.add(
            PromotionRecord(
                at=clock.now(),
                market=MARKET,
                action=PromotionAction.PROMOTED,
                by=Author.CALENDAR,
                model_id=model,
                reason="",
                session="paper",
                since=NOW,
            )
        )
    with pytest.raises(ConfigError, match="sessions with models of their own: paper"):
        rollback(registry, "", clock)
    order = rollback(registry, "lost money", clock, session="paper")
    assert (order.model_id, order.session) == ("aa11", "paper")
    assert registry.promotions.orders_after(NOW, MARKET, "paper") == [order]
    assert registry.promotions.orders_after(NOW, MARKET, "another") == []
    with pytest.raises(ConfigError, match="the first"):
        rollback(registry, "", clock, session="paper")


def test_the_command_lists_shows_promotes_and_rolls_back(registry: ModelRegistry, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--models", str(registry.root)]
    assert main([*where, "promote", "aa", "--reason", "looks right"], FixedClock(NOW)) == 0
    assert main([*where, "list", "--json"]) == 0
    told = json.loads(capsys.readouterr().out.partition("\n")[2])
    assert {card["model_id"]: card["standing"] for card in told} == {"aa11": "in force in every session", "bb22": "", "cc33": ""}
    assert main([*where, "list"]) == 0
    assert "aa11" in capsys.readouterr().out
    assert main([*where, "show", "aa11"]) == 0
    assert "looks right" in capsys.readouterr().out
    assert main([*where, "rollback", "--reason", "it was not"], FixedClock(NOW + timedelta(1))) == 0
    assert "the model of the calendar" in capsys.readouterr().out


def test_an_error_is_one_line_and_exit_code_2(registry: ModelRegistry, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--models", str(registry.root), "show", "zz"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "models.registry list" in said


def test_a_damaged_record_names_its_file(registry: ModelRegistry, capsys: pytest.CaptureFixture[str]) -> None:
    registry.promotions.path.write_text("[{")
    assert main(["--models", str(registry.root), "rollback", "--reason", "x"]) == 2
    assert "appointments.json" in capsys.readouterr().err


def test_a_damaged_card_is_named_beside_the_others(registry: ModelRegistry, capsys: pytest.CaptureFixture[str]) -> None:
    (registry.root / "bb22" / "card.json").write_text("{")
    for more in ([], ["--json"]):
        assert main(["--models", str(registry.root), "list", *more]) == 0
        said = capsys.readouterr()
        assert [line.partition(" cannot be read")[0][-14:] for line in said.err.splitlines()] == ["bb22/card.json"]
        assert "aa11" in said.out and "cc33" in said.out
    assert [card.model_id for card in registry.cards()] == ["aa11", "cc33"]


ORDERS = st.lists(st.sampled_from(["aa11", "bb22", "cc33", "back"]), max_size=25)


@settings(max_examples=30, deadline=None)  # the files are real ones
@given(ORDERS)
def test_any_sequence_of_promotions_and_rollbacks_leaves_what_a_stack_would(
    tmp_path_factory: pytest.TempPathFactory, orders: list[str]
) -> None:
    root = tmp_path_factory.mktemp("registry")
    for model in ("aa11", "bb22", "cc33"):
        put(root, model)
    registry, clock, stack = ModelRegistry(root), Ticking(NOW), []
    done = 0
    for order in orders:
        before = registry.promotions.entries()
        if order == "back":
            if stack:
                done += 1
                assert rollback(registry, "r", clock).other == stack.pop()
            else:
                with pytest.raises(ConfigError):
                    rollback(registry, "r", clock)
        elif stack[-1:] == [order]:
            with pytest.raises(ConfigError):
                promote(registry, order, "r", clock)
        else:
            done += 1
            stack.append(order)
            promote(registry, order, "r", clock)
        entries = registry.promotions.entries()
        assert entries[: len(before)] == before
        assert promotion_stack(entries) == tuple(stack)
        assert in_force(entries) == (stack[-1] if stack else None)
        assert len(entries) == done


def test_writers_side_by_side_lose_nothing(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def write(n: int) -> None:
        entry = PromotionRecord(at=NOW, market=MARKET, action=PromotionAction.PROMOTED, by=Author.PERSON, model_id=str(n), reason="")
        PromotionLog(tmp_path).add(entry)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(24)))
    assert sorted(int(e.model_id) for e in PromotionLog(tmp_path).entries()) == list(range(24))


def test_the_order_of_symbols_makes_no_other_market() -> None:
    assert market_of(("B", "A"), "1h") == market_of(("A", "B"), "1h") == "A,B 1h"
