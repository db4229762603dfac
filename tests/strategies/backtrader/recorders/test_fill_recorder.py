"""Every execution becomes one row, once."""

from __future__ import annotations

from typing import Any

import pytest

from forwardtrader.strategies.backtrader.recorders.fill_recorder import COLUMNS, fills_frame
from tests.strategies.backtrader.test_broker import flat, play
from tests.strategies.market import knobs

COSTS = knobs(fee_bps=10, slippage_bps=2)


@pytest.fixture(scope="module")
def recorder() -> Any:
    strategy = play(flat(10), {0: lambda s: s.buy(size=2, reason="why"), 4: lambda s: s.sell(size=1)}, settings=COSTS)
    return strategy.analyzers.fills


def test_a_row_holds_size_price_fee_and_reason_of_its_fill(recorder: Any) -> None:
    bought, sold = recorder.frame().itertuples()
    assert (bought.side, bought.size, bought.reason, bought.order_ref) == ("buy", 2, "why", "1")
    assert bought.price > sold.price
    assert bought.fee == pytest.approx(0.001 * 2 * bought.price)
    assert bought.slippage == pytest.approx(2 * 0.0002 * bought.price / 1.0002)
    assert sold.side == "sell" and str(sold.timestamp.tz) == "UTC"


def test_rows_are_taken_once(recorder: Any) -> None:
    rows = recorder.take()
    assert len(rows) == 2 and recorder.take() == []
    assert list(fills_frame([]).columns) == list(COLUMNS)
