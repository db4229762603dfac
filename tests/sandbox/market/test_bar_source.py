"""Bar sources: candle files, the seeded market, and the prints of a bar."""

from __future__ import annotations

import gzip
import itertools
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.core.clock import FixedClock
from forwardtrader.core.errors import CandleFileInvalid
from forwardtrader.sandbox.market.bar_source import file_bars, generated_bars, path_within
from forwardtrader.sandbox.orders.settings import SandboxSettings
from forwardtrader.sandbox.transport.host import Host
from forwardtrader.sandbox.venue import open_venue
from tests.sandbox.orders.made_orders import MINUTE, RULES, candle


def test_the_sample_market_repeats_with_its_seed_and_differs_with_another() -> None:
    def closes(seed: int) -> list[Any]:
        from datetime import UTC, datetime

        tree = {"speed": "lockstep", "history": 50, "seed": seed}
        venue = open_venue(SandboxSettings.model_validate(tree), Host(FixedClock(datetime(2026, 1, 1, tzinfo=UTC))))
        return venue.exchange.listings["BTC/USDT"].candles.closed

    assert closes(1) == closes(1)
    assert closes(1) != closes(2)


@given(prices=st.tuples(*[st.integers(100, 200)] * 4), ticks=st.integers(1, 40), seed=st.integers(0, 9), volume=st.integers(0, 1000))
def test_the_prints_of_a_bar_stay_inside_reach_both_extremes_and_add_up(
    prices: tuple[int, ...], ticks: int, seed: int, volume: int
) -> None:
    first, last = prices[:2]
    bar = candle(first, max(prices), min(prices), last, volume=volume)
    prints = path_within(bar, ticks, Decimal("0.5"), random.Random(seed))
    made = [price for price, _ in prints]
    assert (made[0], made[-1], min(made), max(made)) == (bar.open, bar.close, bar.low, bar.high)
    assert len(prints) == max(4, ticks)
    assert all(price % Decimal("0.5") == 0 for price in made)
    assert sum(size for _, size in prints) == bar.volume


def test_generated_bars_follow_each_other_on_the_grid_of_their_rules() -> None:
    bars = list(itertools.islice(generated_bars(RULES, 0, MINUTE, seed=1), 200))
    assert [bar.start for bar in bars] == [n * MINUTE for n in range(200)]
    assert all(abs(after.open - before.close) <= RULES.tick for before, after in itertools.pairwise(bars))
    assert all(bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in bars)
    assert all(price % RULES.tick == 0 for bar in bars for price in (bar.open, bar.high, bar.low, bar.close))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time,o,h,l,c,v\n", "must begin with the line"),
        ("timestamp,open,high,low,close,volume\n", "holds no candles"),
        ("timestamp,open,high,low,close,volume\n0,1,2,3,4,5\n", "line 2"),
        ("timestamp,open,high,low,close,volume\n60000,1,1,1,1,1\n60000,1,1,1,1,1\n", "line 3: times must rise"),
        ("timestamp,open,high,low,close,volume\n30000,1,1,1,1,1\n", "grid of the timeframe"),
    ],
)
def test_a_faulty_candle_file_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bars.csv").write_text(text)
    with pytest.raises(CandleFileInvalid, match=message):
        file_bars(tmp_path / "bars.csv", MINUTE)


def test_a_candle_file_has_times_in_either_notation_plain_or_compressed(tmp_path: Path) -> None:
    text = "timestamp,open,high,low,close,volume\n1970-01-01T00:01:00Z,1,2,0.5,1.5,10\n120000,1.5,2,1,2,3\n"
    (tmp_path / "bars.csv").write_text(text)
    (tmp_path / "bars.csv.gz").write_bytes(gzip.compress(text.encode()))
    plain = file_bars(tmp_path / "bars.csv", MINUTE)
    assert plain == file_bars(tmp_path / "bars.csv.gz", MINUTE)
    assert [(bar.start, bar.close) for bar in plain] == [(MINUTE, Decimal("1.5")), (2 * MINUTE, 2)]
