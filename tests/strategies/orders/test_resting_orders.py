"""Orders that rest at the simulated broker: what fills them, what refuses them, and the record of both."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import pandas as pd
import pytest

from forwardtrader.core.settings import StrategySettings
from forwardtrader.strategies.backtrader.assembly import Record, build_cerebro, record_of
from forwardtrader.strategies.orders.entries import CROSSED, POST_ONLY
from tests.strategies.market import feed, knobs, run

BAR = {"open": 100.0, "high": 101.0, "low": 99.0, "close": 100.0, "volume": 10.0}


class OneLimit(bt.Strategy):
    """Sends one limit buy on its first bar."""

    params: Any = (("price", 99.0), ("size", 2.0), ("terms", {}))

    def next(self) -> None:
        if len(self) == 1:
            self.buy(size=self.p.size, exectype=bt.Order.Limit, price=self.p.price, **self.p.terms)


def bars(*changes: dict[str, float]) -> pd.DataFrame:
    index = pd.date_range("2021-01-01", periods=len(changes), freq="h", tz="UTC", name="timestamp")
    return pd.DataFrame([{**BAR, **change} for change in changes], index=index)


def traded(frame: pd.DataFrame, chosen: StrategySettings, **params: Any) -> Record:
    costless = chosen.model_copy(update={"slippage_bps": 0.0})
    return record_of(build_cerebro([feed(frame)], costless, strategy=OneLimit, strategy_params=params).run()[0])


def test_a_limit_of_a_users_strategy_is_filled_at_a_touch_unless_the_settings_ask_for_more() -> None:
    frame = bars({}, {}, {"low": 98.99}, {})
    assert traded(frame, knobs()).fills["timestamp"].to_list() == [frame.index[1]]
    strict = traded(frame, knobs(limit_fills="through", volume_share=0.5)).fills
    assert strict[["timestamp", "size", "price"]].to_numpy().tolist() == [[frame.index[2], 2.0, 99.0]]


def test_a_limit_beyond_the_open_is_filled_there_whatever_the_rule() -> None:
    frame = bars({}, {"open": 98.5, "low": 98.5})
    for chosen in (knobs(), knobs(limit_fills="through", volume_share=0.01)):
        assert traded(frame, chosen).fills["price"].to_list() == [98.5]


def test_a_bar_fills_its_share_of_the_volume_and_the_next_one_goes_on() -> None:
    frame = bars({}, {"low": 98.0}, {"low": 98.0}, {}, {"low": 98.0})
    fills = traded(frame, knobs(limit_fills="through", volume_share=0.08)).fills
    assert fills["size"].to_list() == pytest.approx([0.8, 0.8, 0.4])
    assert fills["timestamp"].to_list() == [frame.index[1], frame.index[2], frame.index[4]]


def test_a_post_only_order_that_would_take_is_refused_on_arrival() -> None:
    record = traded(bars({}, {"open": 98.9, "low": 98.0}, {"low": 97.0}), knobs(), terms={POST_ONLY: "market"})
    assert record.fills.empty
    assert record.refused == {"BTC/USDT": {CROSSED: 1}}
    assert record.entries is not None
    assert (record.entries.crossed, record.entries.rested) == (1, 0)


def test_an_entry_pays_as_a_maker_what_it_made_and_as_a_taker_what_went_to_the_market() -> None:
    frame = bars({}, {"low": 98.0}, {"open": 103.0, "high": 104.0}, {})
    terms = {POST_ONLY: "market", "valid": pd.Timedelta(minutes=90).to_pytimedelta()}
    chosen = knobs(volume_share=0.05, fee_bps=10.0, maker_fee_bps=1.0)
    record = traded(frame, chosen, terms=terms)
    assert record.fills[["size", "price"]].to_numpy().tolist() == [[0.5, 99.0], [1.5, 103.0]]
    assert record.fills["fee"].to_list() == pytest.approx([0.5 * 99 * 1e-4, 1.5 * 103 * 1e-3])
    entries = record.entries
    assert entries is not None
    assert (entries.rested, entries.filled, entries.handed_over, entries.given_up) == (1, 1, 1, 0)
    assert entries.made / entries.asked == pytest.approx(0.25)
    assert (entries.maker_fees, entries.taker_fees) == pytest.approx((0.5 * 99 * 1e-4, 1.5 * 103 * 1e-3))


def test_what_is_given_up_ends_with_the_deadline() -> None:
    frame = bars({}, {"low": 98.0}, {"low": 98.0}, {})
    terms = {POST_ONLY: "give_up", "valid": pd.Timedelta(minutes=90).to_pytimedelta()}
    record = traded(frame, knobs(volume_share=0.05), terms=terms)
    assert record.fills["size"].to_list() == [0.5]
    assert record.entries is not None
    assert (record.entries.given_up, record.entries.handed_over) == (1, 0)


def test_what_a_resting_entry_has_built_has_its_stop_before_the_entry_is_over(small_parts: Any) -> None:
    """Every bar that ends with a position, an entry resting still, ends with a stop for the whole of it."""
    watched, guarded = small_parts
    assert watched > 10
    assert guarded == watched


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    from forwardtrader.strategies.position_manager import PositionManager
    from tests.strategies.market import candles

    seen = [0, 0]
    attend = PositionManager.attend

    def watch(self: PositionManager, size: float, *rest: Any) -> None:
        attend(self, size, *rest)
        if self.entering and size and self.without_dust(size, rest[1]):
            seen[0] += 1
            seen[1] += self.resting and self.guarded == size

    monkeypatch.setattr(PositionManager, "attend", watch)
    chosen = knobs(entry="maker", entry_deadline=6, volume_share=0.01, margin=0.2, premium=0.0, holding="0d", cooldown="0d")
    run(candles(400), chosen)
    return seen[0], seen[1]
