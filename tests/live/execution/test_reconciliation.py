"""Reconciliation of journal and venue."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.core.errors import ReconciliationFailed
from forwardtrader.core.types import MarketRules, OrderRequest, Side
from forwardtrader.live.execution.events import BalanceChanged, Execution, Intent, RestingOrder, VenueView
from forwardtrader.live.execution.reconciliation import (
    JournalFacts,
    effects_of,
    missing_coins,
    position_of,
    reconcile,
    require_covered,
    require_own_positions,
    tolerances_of,
)

RULES = MarketRules(symbol="BTC/USDT", base="BTC", quote="USDT", tick=Decimal("0.01"), step=Decimal("0.00001"))


def intent(name: str = "a", size: str = "1.0") -> Intent:
    return Intent(client_id=name, request=OrderRequest(symbol="BTC/USDT", side=Side.BUY, size=Decimal(size)), bar=0)


def execution(trade: str, size: str, client_id: str = "a", side: str = "buy", fee: str = "0", currency: str = "") -> Execution:
    return Execution(
        symbol="BTC/USDT", trade_id=trade, client_id=client_id, venue_id="7", side=side, size=Decimal(size), price=Decimal(100),
        fee=Decimal(fee), fee_currency=currency, at=1,
    )  # fmt: skip


def resting_order(name: str, venue_id: str, filled: str = "0") -> RestingOrder:
    return RestingOrder(
        symbol="BTC/USDT", venue_id=venue_id, client_id=name, side="buy", kind="limit", size=Decimal(1), filled=Decimal(filled),
        limit_price=Decimal(9), stop_price=None,
    )  # fmt: skip


def test_reconciliation_asks_for_whatever_does_not_rest_as_it_is_booked() -> None:
    intents = tuple(
        (intent(name), Decimal(booked)) for name, booked in (("rests", "0"), ("gone", "0"), ("filling", "0.2"), ("told", "0.4"))
    )
    told = [("rests", "1", "0"), ("filling", "2", "0.4"), ("told", "3", "0.4"), ("x", "4", "0"), ("back", "5", "0")]
    journal = JournalFacts(open=intents, ours={"1": "rests", "2": "filling", "3": "told", "5": "back"}, closed=frozenset({"back"}))
    found = reconcile(journal, VenueView(balances={}, open_orders=tuple(resting_order(*order) for order in told)))
    assert [(i.client_id, venue_id) for i, venue_id in found.adopt] == [("rests", "1"), ("told", "3")]
    assert [i.client_id for i in found.ask] == ["gone", "filling"]
    assert [o.client_id for o in found.foreign] == ["x"]
    assert found.reopen == (("back", "5"),)


def test_what_executions_do_not_explain_is_reported_and_rounding_is_not() -> None:
    tolerances = tolerances_of([replace(RULES, min_notional=Decimal(5))])
    assert tolerances == {"USDT": Decimal("0.05"), "BTC": RULES.step}
    effects = effects_of(execution("1", "0.2", fee="0.0002", currency="BTC"))
    assert effects == {"BTC": Decimal("0.1998"), "USDT": Decimal(-20)}
    journal = JournalFacts(effects=effects, apart={"USDT": Decimal(1000), "BTC": Decimal(1)}, tolerances=tolerances)
    assert reconcile(journal, VenueView(balances={"USDT": Decimal("980.04"), "BTC": Decimal("1.199805")})).changed == ()
    found = reconcile(journal, VenueView(balances={"USDT": Decimal(1080)}))
    assert found.changed == (BalanceChanged("USDT", Decimal(100), Decimal(1080)), BalanceChanged("BTC", Decimal("-1.1998"), Decimal(0)))
    assert reconcile(replace(journal, apart={}), VenueView(balances={"USDT": Decimal(1080)})).changed == (), (
        "nothing is known to compare with"
    )


TRADE = st.builds(
    lambda side, size, price, fee, coin: replace(execution("1", "1"), side=side, size=size, price=price, fee=fee, fee_currency=coin),
    st.sampled_from(("buy", "sell")), st.decimals("0.001", "5", places=3), st.decimals("1", "1000", places=2),
    st.decimals("0", "1", places=3), st.sampled_from(("BTC", "USDT", "BNB")),
)  # fmt: skip
TRANSFER = st.decimals("-100", "100", places=2)


@given(st.lists(st.one_of(TRADE, TRANSFER), max_size=12), st.lists(st.integers(0, 2), max_size=12))
def test_trades_never_look_like_a_transfer_and_a_transfer_always_does(story: list[Execution | Decimal], orders: list[int]) -> None:
    tolerances = {"BTC": Decimal("0.0001"), "USDT": Decimal("0.0001")}
    balances, effects, moved = {"BTC": Decimal(7), "USDT": Decimal(5000)}, dict[str, Decimal](), Decimal(0)
    for step in story:
        if isinstance(step, Decimal):
            balances["USDT"] += step
            moved += step
            continue
        for asset, change in effects_of(step).items():
            effects[asset] = effects.get(asset, Decimal(0)) + change
            balances[asset] = balances.get(asset, Decimal(0)) + change
    resting = tuple(resting_order(f"o{number}", str(place)) for place, number in enumerate(orders))
    intents = tuple((intent(f"o{number}"), Decimal(0)) for number in range(2))
    ours = {order.venue_id: order.client_id for order in resting if order.client_id != "o2"}
    journal = JournalFacts(
        open=intents, ours=ours, effects=effects, apart={"BTC": Decimal(7), "USDT": Decimal(5000)}, tolerances=tolerances,
    )  # fmt: skip
    found = reconcile(journal, VenueView(balances=balances, open_orders=resting))
    assert [(c.asset, c.change) for c in found.changed] == ([("USDT", moved)] if moved else [])
    assert {i.client_id for i, _ in found.adopt} | {i.client_id for i in found.ask} == {"o0", "o1"}, "every open intent is looked after"
    assert not {i.client_id for i, _ in found.adopt} & {i.client_id for i in found.ask}
    assert [o.client_id for o in found.foreign] == [o.client_id for o in resting if o.client_id == "o2"]
    assert reconcile(replace(journal, apart=found.apart), VenueView(balances=balances, open_orders=resting)).changed == ()


def test_coins_that_are_gone_refuse_the_start() -> None:
    bought = [execution("1", "1", fee="0.001", currency="BTC"), execution("2", "0.4", side="sell")]
    assert position_of(bought, RULES) == Decimal("0.599")
    require_covered(bought, [RULES], {"BTC": Decimal("0.599")})
    with pytest.raises(ReconciliationFailed, match=r"0\.599 BTC"):
        require_covered(bought, [RULES], {"BTC": Decimal("0.5")})


PERPETUAL = replace(RULES, symbol="BTC/USDT:USDT", can_short=True, settle="USDT")


def test_a_position_in_a_perpetual_must_be_the_one_that_was_booked_long_or_short() -> None:
    short = [replace(execution("1", "0.5", side="sell", fee="1", currency="USDT"), symbol=PERPETUAL.symbol)]
    assert effects_of(short[0]) == {"BTC": Decimal("-0.5"), "USDT": Decimal(49)}
    assert missing_coins(short, [PERPETUAL], {"BTC": Decimal("-0.5")}) == ""
    for have in ("0", "-0.4", "-0.6", "0.5"):
        assert "position of -0.5 BTC" in missing_coins(short, [PERPETUAL], {"BTC": Decimal(have)})
    assert missing_coins([], [PERPETUAL], {"BTC": Decimal(1)}) == ""
    require_own_positions(short, [PERPETUAL], {"BTC": Decimal("-0.5")})
    with pytest.raises(ReconciliationFailed, match="did not open"):
        require_own_positions([], [PERPETUAL], {"BTC": Decimal("0.1")})
    assert tolerances_of([PERPETUAL]).keys() == {"BTC", "USDT"}
