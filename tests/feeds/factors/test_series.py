"""A factor value is never seen before it was published."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.core.errors import CandleFileInvalid, FactorNotYetPublished
from forwardtrader.core.rooms.factor import FactorSettings
from forwardtrader.feeds.factors.book import read_factor
from forwardtrader.feeds.factors.series import FactorList, FactorSource, Observation, join_as_of
from tests.feeds.made_candles import HOUR, START, made
from tests.real_data import real_candles

HOURS = made(100).index


def of_file(path: Path) -> FactorSource:
    return read_factor(FactorSettings(file=str(path))).source


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(-20, 110), st.integers(0, 3000), st.floats(-5, 5)), max_size=30))
def test_no_joined_value_was_published_after_its_bar_closed(made_up: list[tuple[int, int, float]]) -> None:
    observations = [Observation(at(h), at(h) + timedelta(minutes=delay), value) for h, delay, value in made_up]
    joined = join_as_of(HOURS, HOUR, FactorList("made up", observations))
    closes = HOURS + HOUR.delta
    seen = joined["known_at"].notna()
    assert (joined["known_at"][seen] <= closes[seen]).all()
    assert (joined["value"].notna() == seen).all()
    for bar in (0, 17, 60, 99):  # and it is the newest one known: of the latest moment described, the latest revision
        known = [o for o in observations if o.known_at <= closes[bar]]
        if known:
            newest = max(o.describes for o in known)
            revised = max(o.known_at for o in known if o.describes == newest)
            assert joined["value"].iloc[bar] in [o.value for o in known if (o.describes, o.known_at) == (newest, revised)]


def test_a_later_publication_leaves_earlier_bars_as_they_were() -> None:
    early = [Observation(at(0), at(5), 1.0), Observation(at(8), at(9), 2.0)]
    before = join_as_of(HOURS, HOUR, FactorList("f", early))
    after = join_as_of(HOURS, HOUR, FactorList("f", [*early, Observation(at(8), at(50), 3.0), Observation(at(60), at(60), 4.0)]))
    pd.testing.assert_frame_equal(before[:49], after[:49])
    assert after["value"].iloc[[3, 4, 7, 8, 48, 49, 58, 59]].fillna(-1).tolist() == [-1.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0]


def test_an_observation_known_before_what_it_describes_is_refused() -> None:
    with pytest.raises(FactorNotYetPublished, match="would be known before its time"):
        FactorList("leak", [Observation(at(2), at(1), 1.0)]).observations()


def test_funding_is_known_at_its_settlement_and_mood_the_day_after(tmp_path: Path) -> None:
    (tmp_path / "funding.csv").write_text("timestamp,funding_rate\n2024-01-01T00:00:00Z,0.0001\n2024-01-01T08:00:00Z,-0.0002\n")
    (tmp_path / "mood.csv").write_text("timestamp,value,classification\n2024-01-01T00:00:00Z,30,Fear\n")
    assert join_as_of(HOURS, HOUR, of_file(tmp_path / "funding.csv"))["value"].iloc[[0, 6, 7]].tolist() == [0.0001, 0.0001, -0.0002]
    mood = join_as_of(HOURS, HOUR, of_file(tmp_path / "mood.csv"))["value"]
    assert np.isnan(mood.iloc[22])
    assert mood.iloc[23] == 30.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "missing, empty or cut short"),
        ("date of it,rate\n2024-01-01,1\n", "needs a column 'timestamp'; found are date of it, rate"),
        ("timestamp,funding_rate\n2024-01-01,1\nsoon,2\n", "line 3: timestamp 'soon' is not a time"),
        ("timestamp,funding_rate\n2024-01-01,high\n", "line 2: funding_rate cannot be read"),
    ],
)
def test_a_faulty_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "funding.csv"
    path.write_text(text)
    with pytest.raises(CandleFileInvalid, match=message):
        of_file(path).observations()


def test_real_factors_are_read() -> None:
    funding = of_file(real_candles("binance_perp_BTCUSDT_funding_8h.csv.gz"))
    mood = of_file(real_candles("fear_greed_daily.csv.gz"))
    hours = pd.date_range("2024-01-01", periods=1000, freq="h", tz=UTC, unit="ns")
    for source in (funding, mood):
        assert join_as_of(hours, HOUR, source)["value"].notna().all()
