"""A universe: members by file or by volume, known at the moment and not later."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.core.errors import InvalidSetting
from forwardtrader.core.types import is_within
from forwardtrader.feeds.universe import TopByVolume, members_between, parse_universe, read_universe, top_by_volume

FIRST, LAST = datetime(2022, 1, 15, tzinfo=UTC), datetime(2022, 6, 10, tzinfo=UTC)


def written(folder: Path, text: str) -> Path:
    path = folder / "universe.csv"
    path.write_text(text, encoding="utf-8")
    return path


def market(worth: float, first: str = "2021-11-01", last: str = "2022-07-01") -> pd.DataFrame:
    index = pd.date_range(first, last, freq="1h", tz="UTC", inclusive="left")
    return pd.DataFrame({"close": 2.0, "volume": np.full(len(index), worth / 2.0)}, index=index)


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def test_a_file_gives_each_symbol_the_spans_in_which_it_is_a_member(tmp_path: Path) -> None:
    text = "symbol,from,to\n# majors\nBTC/USDT\n\nLUNA/USDT,2021-01-01,2022-05-12\nDOGE/USDT, 2022-03-01T12:00:00Z ,\nLUNA/USDT,2022-06-01,"
    members = read_universe(written(tmp_path, text))
    assert list(members) == ["BTC/USDT", "LUNA/USDT", "DOGE/USDT"]
    assert is_within(members["BTC/USDT"], 0.0) and is_within(None, 0.0)
    assert [is_within(members["LUNA/USDT"], at(day)) for day in ("2020-12-31", "2022-05-11", "2022-05-12", "2022-06-01")] == [
        False, True, False, True,
    ]  # fmt: skip
    assert not is_within(members["DOGE/USDT"], at("2022-03-01T11:59:59"))
    assert is_within(members["DOGE/USDT"], at("2022-03-01T12:00:00"))
    assert members_between(members, FIRST, datetime(2022, 2, 1, tzinfo=UTC)) == ["BTC/USDT", "LUNA/USDT"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "names no symbol"),
        ("symbol,from,to\n", "names no symbol"),
        ("BTC/USDT,tomorrow", "line 1: 'tomorrow' is no day"),
        ("BTC/USDT\nETH/USDT,2022-02-01,2022-01-01", "line 2: ETH/USDT leaves at 2022-01-01"),
        ("BTC/USDT,2022-01-01\nBTC/USDT,2023-01-01", "line 2: BTC/USDT is a member in this span already"),
        (",2022-01-01", "line 1 names no symbol"),
        ("BTC/USDT,2022-01-01,2022-02-01,0.5", "line 1 has 4 columns"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InvalidSetting, match=told):
        read_universe(written(tmp_path, text))


def test_the_form_of_a_universe_is_a_number_by_volume_or_a_file(tmp_path: Path) -> None:
    assert parse_universe("top:20") == TopByVolume(20) == parse_universe("top:20 by volume")
    assert parse_universe(str(written(tmp_path, "BTC/USDT"))) == tmp_path / "universe.csv"
    for wrong in ("top:0", "top:many", "top:5 by rank", str(tmp_path / "nowhere.csv")):
        with pytest.raises(InvalidSetting, match="top:20"):
            parse_universe(wrong)


def test_the_largest_are_chosen_at_each_month_by_the_days_before_it_listings_and_delistings_included() -> None:
    candles = {
        "A/USD": market(100.0),
        "NEW/USD": market(500.0, first="2022-03-20"),
        "GONE/USD": market(900.0, last="2022-03-28"),
        "SMALL/USD": market(1.0),
    }
    members = top_by_volume(candles, 2, FIRST, LAST)
    assert members["GONE/USD"] == ((at("2022-01-01"), at("2022-04-01")),), "no bar in the two days before April: it is delisted"
    assert members["NEW/USD"] == ((at("2022-04-01"), at("2022-07-01")),)
    assert members["A/USD"] == ((at("2022-01-01"), at("2022-07-01")),)
    assert "SMALL/USD" not in members


@settings(max_examples=15)
@given(st.lists(st.integers(1, 100), min_size=2, max_size=5), st.integers(1, 3), st.integers(0, 4000))
def test_what_comes_later_changes_no_membership_before(sizes: list[int], count: int, cut: int) -> None:
    rng = np.random.default_rng(cut)
    candles = {f"S{n}/USD": market(size) for n, size in enumerate(sizes)}
    moment = candles["S0/USD"].index[cut].to_pydatetime()
    later = {s: f.assign(volume=np.where(f.index < moment, f["volume"], rng.random(len(f)) * 200)) for s, f in candles.items()}
    before, after = (top_by_volume(each, count, FIRST, LAST) for each in (candles, later))
    for symbol in candles:
        for day in pd.date_range(FIRST, min(max(moment, FIRST), LAST), freq="5D"):
            known = day.to_pydatetime().replace(day=1, hour=0) <= moment
            if known:
                assert is_within(before.get(symbol, ()), day.timestamp()) == is_within(after.get(symbol, ()), day.timestamp())
