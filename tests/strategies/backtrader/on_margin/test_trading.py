"""Perpetuals at the simulated broker: shorts, margin, funding, fees and liquidations, in the order of a bar."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from forwardtrader.core.errors import InvalidSetting
from forwardtrader.core.settings import StrategySettings
from forwardtrader.core.types import MarginTier, MarketRules
from forwardtrader.strategies.backtrader.assembly import build_cerebro, record_of
from forwardtrader.strategies.margin.series import PerpetualSeries
from tests.strategies.backtrader.test_broker import Script, flat
from tests.strategies.market import BTC, candles, feed, knobs

TIERS = (
    MarginTier(notional_from=Decimal(0), max_leverage=Decimal(50), maintenance_rate=Decimal("0.01")),
    MarginTier(notional_from=Decimal(50_000), max_leverage=Decimal(5), maintenance_rate=Decimal("0.1"), maintenance_amount=Decimal(4500)),
)
PERP = replace(
    BTC, symbol="BTC/USDT:USDT", settle="USDT", can_short=True, margin_tiers=TIERS, maker_fee=Decimal("0.0002"), taker_fee=Decimal("0.0005")
)
FREE = knobs(fee_bps=0, slippage_bps=0, maker_fee_bps=0, liquidation_fee_bps=0)
Step = Callable[[Any], Any]


def play(
    bars: pd.DataFrame, steps: dict[int, Step], settings: StrategySettings = FREE, *, facts: Any = None, rules: MarketRules = PERP
) -> Any:
    made = replace(feed(bars, rules=rules), facts=facts)
    return build_cerebro([made], settings, strategy=Script, strategy_params={"steps": steps}).run()[0]


def funded(bars: pd.DataFrame, rates: dict[int, float]) -> PerpetualSeries:
    """Facts of bars whose mark is twice their price, with funding at the open of some."""
    opened = bars.index.as_unit("ms").asi8 / 1000.0
    marks = 2.0 * bars[["open", "high", "low", "close"]].to_numpy()
    return PerpetualSeries(opened, marks, np.array([opened[bar] for bar in rates]), np.array(list(rates.values())))


def account(strategy: Any) -> Any:
    return strategy.broker.margin.account


def test_a_short_gains_what_the_price_falls() -> None:
    bars = flat()
    bars.loc[bars.index[4:], ["open", "close"]] = 99.5
    s = play(bars, {0: lambda s: s.sell(size=50)})
    assert s.position.size == -50
    assert s.broker.getvalue() == pytest.approx(10_025)
    assert s.broker.getcash() == pytest.approx(10_025 - 50 * 99.5)
    equity = record_of(s).equity
    assert equity["exposure"].iloc[-1] == pytest.approx(-50 * 99.5 / 10_025)


def test_what_the_margin_does_not_allow_comes_back_with_its_reason_and_is_counted() -> None:
    s = play(flat(), {0: lambda s: s.sell(size=101), 2: lambda s: s.buy(size=60), 3: lambda s: [s.buy(size=30), s.buy(size=30)]})
    assert [order.getstatusname() for order in s.orders] == ["Margin", "Completed", "Completed", "Margin"]
    assert "not enough free margin: 10,100.00 USDT are needed at leverage 1, and the account has 10,000.00" in s.orders[0].info.refusal
    assert s.position.size == 90
    assert sum(record_of(s).refused["BTC/USDT:USDT"].values()) == 2


def test_a_position_above_its_tier_is_refused_and_one_that_closes_never() -> None:
    settings = FREE.model_copy(update={"leverage": 20.0})
    s = play(flat(), {0: lambda s: s.buy(size=400), 2: lambda s: s.buy(size=200), 3: lambda s: s.sell(size=400)}, settings)
    assert [order.getstatusname() for order in s.orders] == ["Completed", "Margin", "Completed"]
    assert "above what BTC/USDT:USDT allows at leverage 20" in s.orders[1].info.refusal


def test_a_bracket_of_the_whole_account_needs_no_margin_for_its_children() -> None:
    s = play(flat(), {0: lambda s: s.buy_bracket(size=100, price=100.0, exectype=bt.Order.Market, stopprice=90.0, limitprice=100.5)})
    assert [order.getstatusname() for order in s.orders] == ["Completed", "Canceled", "Completed"]
    assert account(s).wallet == pytest.approx(10_050)


def test_funding_is_settled_at_the_mark_for_what_is_held_before_the_orders_of_the_bar() -> None:
    bars = flat()
    s = play(bars, {2: lambda s: s.sell(size=10), 5: lambda s: s.close()}, facts=funded(bars, {3: 0.5, 4: 0.001, 6: -0.002, 7: 0.5}))
    # sold at bar 3's open: its rate is not paid; bought back at bar 6's open: that of bar 6 still is
    assert account(s).tally.funding_short == pytest.approx(10 * 200 * (0.001 - 0.002))
    assert account(s).tally.funding_long == 0.0
    assert s.broker.getvalue() == pytest.approx(10_000 - 2.0)


def test_profit_that_is_not_realised_is_worked_out_at_the_mark() -> None:
    bars = flat()
    s = play(bars, {0: lambda s: s.buy(size=10)}, facts=funded(bars, {}))
    assert s.broker.getvalue() == pytest.approx(10_000 + 10 * 100)
    assert account(s).wallet == pytest.approx(10_000)


def test_resting_limits_pay_as_makers_and_all_else_as_takers() -> None:
    steps: dict[int, Step] = {
        0: lambda s: s.buy(size=10),
        1: lambda s: s.sell(size=5, exectype=bt.Order.Limit, price=100.5),
        3: lambda s: s.sell(size=5, exectype=bt.Order.Limit, price=99.5),  # the next open is above it: it never rests
        5: lambda s: s.buy(size=5, exectype=bt.Order.Stop, price=100.9),
    }
    s = play(flat(), steps, knobs(fee_bps=5, slippage_bps=0))
    tally = account(s).tally
    assert tally.maker_fees == pytest.approx(5 * 100.5 * 0.0002)
    assert tally.taker_fees == pytest.approx((10 * 100 + 5 * 100 + 5 * 100.9) * 0.0005)
    assert record_of(s).fills["fee"].sum() == pytest.approx(tally.maker_fees + tally.taker_fees)


def test_a_liquidation_happens_at_the_worst_mark_before_resting_orders_are_filled() -> None:
    bars = flat()
    bars.loc[bars.index[4], ["high", "low"]] = [120.0, 90.5]
    steps: dict[int, Step] = {0: lambda s: s.buy(size=1000), 1: lambda s: s.sell(size=1000, exectype=bt.Order.Limit, price=110.0)}
    s = play(
        bars, steps, knobs(fee_bps=0, slippage_bps=0, liquidation_fee_bps=10, leverage=10.0), rules=replace(PERP, margin_tiers=TIERS[:1])
    )
    assert (s.position.size, s.orders[1].getstatusname()) == (0, "Canceled")
    fills = record_of(s).fills
    assert fills["price"].to_list() == [100.0, 90.5]
    assert fills["reason"].iloc[-1].startswith("liquidated: equity 500.00 was not above the maintenance margin of 905.00")
    assert account(s).tally.liquidation_fees == pytest.approx(90.5)
    assert s.broker.getvalue() == pytest.approx(409.5)
    assert len(record_of(s).margin.liquidated) == 1


def test_an_account_beyond_bankruptcy_is_ruined_and_owes_nothing() -> None:
    bars = flat()
    bars.loc[bars.index[4:], ["open", "high", "low", "close"]] = 80.0
    s = play(bars, {0: lambda s: s.buy(size=1000)}, FREE.model_copy(update={"leverage": 10.0}), rules=replace(PERP, margin_tiers=TIERS[:1]))
    assert (s.broker.getvalue(), s.broker.is_ruined) == (0.0, True)
    assert account(s).tally.insured == pytest.approx(10_000)
    assert "the loss was 10,000.00 more than the account had" in record_of(s).margin.liquidated[0][1]


def test_a_liquidation_in_the_first_bar_held_is_one_like_any_other() -> None:
    bars = flat()
    bars.loc[bars.index[1], "low"] = 50.0
    s = play(bars, {0: lambda s: s.buy(size=400)}, FREE.model_copy(update={"leverage": 20.0}))
    assert s.position.size == 0
    assert account(s).tally.liquidations == 1


@pytest.mark.parametrize(("leverage", "rules", "words"), [
    (51.0, [PERP], "strategies.leverage 51 is above 50, the most that BTC/USDT:USDT allows"),
    (2.0, [BTC], "BTC/USDT is no perpetual and is traded without leverage; set strategies.leverage to 1"),
    (1.0, [PERP, BTC], "cannot share one account"),
])  # fmt: skip
def test_terms_that_no_venue_has_are_one_clear_line(leverage: float, rules: list[MarketRules], words: str) -> None:
    with pytest.raises(InvalidSetting, match=words):
        build_cerebro([feed(flat(), rules=rule) for rule in rules], FREE.model_copy(update={"leverage": leverage}), strategy=Script)


def test_money_is_conserved_over_a_run_of_our_own_strategy() -> None:
    bars = candles(1500, 3)
    facts = funded(bars, {bar: 0.0005 * (-1) ** bar for bar in range(0, 1500, 8)})
    facts = replace(facts, marks=facts.marks / 2.0)
    from tests.strategies.market import source

    made = replace(feed(bars, source(bars), PERP), facts=facts)
    chosen = knobs(allow_short=True, margin=0.2, premium=0.0, holding="0d", min_trade=0.1, fee_bps=5)
    s = build_cerebro([made], chosen).run()[0]
    own = account(s)
    assert own.wallet == pytest.approx(own.tally.balance, abs=1e-6)
    assert {"buy", "sell"} == set(record_of(s).fills["side"])
    assert own.tally.funding_long
    assert own.tally.funding_short
    held = s.broker.holdings.held[s.data]
    assert (own.stakes[0].size, own.stakes[0].entry) == (held.size, held.price)
