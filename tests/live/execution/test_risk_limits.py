"""The limits that no strategy gets past: what they refuse, what they never refuse, and that refusals are kept."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import backtrader as bt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.core.settings import RiskSettings
from forwardtrader.core.types import OrderRequest, Side
from forwardtrader.live.execution.events import Ended, Execution, Filled, Intent, Refused
from forwardtrader.live.execution.journal import IntentState, Journal
from forwardtrader.live.execution.risk_limits import AccountRiskLimits
from tests.live.market import Script, play, practice, store_on

LIMITS = RiskSettings(max_order_value=1000, max_position_value=2500, max_orders_per_minute=3, price_collar=0.05)


def intent(name: str, size: str, side: Side = Side.BUY, limit: str | None = None, stop: str | None = None) -> Intent:
    prices = {"limit_price": None if limit is None else Decimal(limit), "stop_price": None if stop is None else Decimal(stop)}
    return Intent(client_id=name, request=OrderRequest(symbol="BTC/USDT", side=side, size=Decimal(size), **prices), bar=0)


def fill(name: str, size: str, side: str = "buy") -> Filled:
    return Filled(
        Execution(
            symbol="BTC/USDT", trade_id=name, client_id=name, venue_id="7", side=side, size=Decimal(size), price=Decimal(100),
            fee=Decimal(0), fee_currency="", at=0,
        )
    )  # fmt: skip


def gate(limits: RiskSettings = LIMITS, price: float | None = 100.0, now: list[float] | None = None) -> AccountRiskLimits:
    time = now if now is not None else [0.0]
    return AccountRiskLimits(limits, lambda _symbol: price, monotonic=lambda: time[0])


def test_an_order_worth_too_much_is_refused_by_the_name_of_the_setting() -> None:
    assert gate().check(intent("a", "10").request) == ""
    assert "risk.max_order_value (1000)" in gate().check(intent("a", "10.01").request)
    assert "1,050.00" in gate().check(intent("a", "10", limit="105").request).replace("1050.00", "1,050.00")


def test_what_rests_and_what_is_held_counts_towards_the_position() -> None:
    asked = gate(LIMITS.model_copy(update={"max_orders_per_minute": 100}))
    for name in ("a", "b"):
        assert asked.check(intent(name, "10").request) == ""
        asked.admit(intent(name, "10"))
    assert "risk.max_position_value" in asked.check(intent("c", "10").request)
    asked.on_event(fill("a", "4"))  # a part of what was counted already
    assert "2400.00" not in asked.check(intent("c", "4").request)
    assert "risk.max_position_value" in asked.check(intent("c", "6").request)
    asked.on_event(Ended("a", "canceled"))
    assert asked.check(intent("c", "10").request) == ""
    asked.on_event(Refused("b", "no"))
    asked.on_event(fill("sold", "4", "sell"))
    assert asked.check(intent("c", "10").request) == ""


def test_a_restart_goes_on_with_what_was_held_and_open() -> None:
    asked = gate()
    asked.restore([fill("a", "10").execution, fill("b", "2").execution], [intent("b", "10")])
    assert "worth 3000.00" in asked.check(intent("c", "10").request)


@given(size=st.decimals("0.01", "1000000", places=2), held=st.booleans())
def test_no_limit_on_value_keeps_anybody_from_selling(size: Decimal, held: bool) -> None:
    asked = gate(price=100.0 if held else None)
    asked.hold = "no closed bar for an hour"
    assert asked.check(intent("a", str(size), Side.SELL).request) == ""


def test_too_many_orders_in_a_minute_are_refused_until_the_minute_is_over() -> None:
    now = [0.0]
    asked = gate(now=now)
    for number in range(3):
        now[0] = number * 10.0
        assert asked.check(intent(str(number), "1").request) == ""
        asked.admit(intent(str(number), "1"))
    assert "risk.max_orders_per_minute" in asked.check(intent("x", "1").request)
    assert asked.check(intent("y", "1", Side.SELL).request) == ""
    now[0] = 60.0
    assert asked.check(intent("x", "1").request) == ""
    for number in range(3, 9):
        asked.admit(intent(str(number), "1", Side.SELL))
    assert "orders in a minute" in asked.check(intent("y", "1", Side.SELL).request)


@pytest.mark.parametrize(
    ("side", "limit", "stop", "refused"),
    [
        (Side.BUY, "105", None, False), (Side.BUY, "105.1", None, True), (Side.BUY, "10", None, False),
        (Side.SELL, "95", None, False), (Side.SELL, "94.9", None, True), (Side.SELL, "900", None, False),
        (Side.SELL, "66.6", "70", False), (Side.SELL, "66", "70", True), (Side.SELL, None, "70", False),
    ],
)  # fmt: skip
def test_a_limit_that_gives_too_much_away_is_refused(side: Side, limit: str | None, stop: str | None, refused: bool) -> None:
    assert ("risk.price_collar" in gate().check(intent("a", "1", side, limit, stop).request)) is refused


def test_without_a_price_nothing_is_bought_at_the_market() -> None:
    assert "no price" in gate(price=None).check(intent("a", "0.01").request)


def test_while_it_is_held_nothing_is_added() -> None:
    asked = gate(LIMITS.model_copy(update={"gate": False}))
    assert asked.check(intent("a", "100000").request) == ""
    asked.hold = "the clock is off"
    assert asked.check(intent("a", "0.1").request) == "the clock is off"


def test_a_refused_order_comes_back_with_its_reason_is_kept_and_never_reaches_the_venue(tmp_path: Path) -> None:
    with practice() as venue:

        def both(s: Any) -> None:
            s.large = s.buy(size=0.05)
            s.wild = s.buy(size=0.0005, exectype=bt.Order.Limit, price=s.data.close[0] * 1.2)
            s.order = s.buy(size=0.0005)

        journal = Journal(tmp_path / "j.db")
        run = play(venue, store_on(venue, journal, risk=LIMITS, minute_s=0.0), Script, 3, acts={0: both})
        assert run.statuses_of(run.large) == run.statuses_of(run.wild) == ["Submitted", "Rejected"]
        assert run.statuses_of(run.order)[-1] == "Completed"
        assert venue.state()["orders"] == 1
        reasons = [o.info.refusal for o in run.clones if o.getstatusname() == "Rejected"]
        assert ["max_order_value" in reasons[0], "price_collar" in reasons[1]] == [True, True]
        assert sorted(state for _, state in journal.intents()) == [IntentState.DONE, IntentState.REFUSED, IntentState.REFUSED]


def test_where_shorts_are_allowed_a_sale_that_opens_one_is_limited_and_a_buy_that_covers_it_is_not() -> None:
    limits = AccountRiskLimits(LIMITS, lambda _symbol: 100.0, can_short=lambda _symbol: True)
    assert "risk.max_order_value" in limits.check(intent("a", "10.01", Side.SELL).request)
    limits.on_event(fill("short", "24", "sell"))
    assert "risk.max_position_value" in limits.check(intent("b", "2", Side.SELL).request)
    limits.hold = "no closed bar for an hour"
    assert limits.check(intent("c", "1", Side.SELL).request) == limits.hold
    assert limits.check(intent("d", "24", Side.BUY).request) == ""
    assert limits.check(intent("e", "25", Side.BUY).request) == limits.hold  # it would turn to the other side


def test_a_fee_in_the_coin_is_not_held() -> None:
    limits = AccountRiskLimits(LIMITS.model_copy(update={"max_orders_per_minute": 100}), lambda _symbol: 100.0)
    for number in range(2000):
        trade = fill(f"buy {number}", "1").execution
        limits.on_event(Filled(replace(trade, fee=Decimal("0.01"), fee_currency="BTC")))
        limits.on_event(fill(f"sell {number}", "0.99", "sell"))
    assert limits.check(intent("a", "10").request) == ""
