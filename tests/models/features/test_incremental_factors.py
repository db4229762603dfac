"""A model with factors is followed bar by bar to the bits of the plain path, whatever becomes known of the past in between."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.core.errors import FingerprintMismatch
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.factors.book import PREFIX
from forwardtrader.feeds.factors.series import FactorList, Observation, join_as_of
from forwardtrader.live.session.factors import LiveFactors
from forwardtrader.models.features.bars import Bars
from forwardtrader.models.features.catalogue import FEATURES, all_names, matrix, warm_up
from forwardtrader.models.features.factor_features import feature_names
from forwardtrader.models.features.incremental_factors import FactorRows
from forwardtrader.models.forecasters.calibration import Calibration
from forwardtrader.models.forecasters.lstm import Ensemble, LstmSpec
from forwardtrader.models.online.serving import ServingModels, ServingTerm
from forwardtrader.models.registry.card import ModelCard, code_version
from tests.models.bars import heard, simulated_bars

HOUR = Timeframe.parse("1h")
FACTORS = ("factor_mood", "factor_funding")
NAMES, CONTEXT = all_names(FACTORS), 6
NEEDED = warm_up(NAMES) + CONTEXT - 1
BARS = simulated_bars(NEEDED + 60, seed=4)
MODEL_NAMES = (*feature_names(FACTORS[1:]), "return_1_ago", "move_24", *feature_names(FACTORS[:1]), "volatility_24", "same_hour_return")


@dataclass
class News:
    """What has been published of two factors so far; `columns` is what a file with that content would give."""

    seen: dict[str, list[Observation]] = field(default_factory=dict)
    asked: int = 0

    @classmethod
    def of(cls, seed: int) -> News:
        """Months of it before the first bar that is followed, every third hour and every eighth."""
        draw, news = np.random.default_rng(seed), cls()
        for name, every in zip(FACTORS, (3, 8), strict=True):
            moments = BARS.index[: NEEDED - 2 : every]
            values = 50.0 + np.cumsum(draw.normal(size=len(moments)))
            news.seen[name] = [Observation(at.to_pydatetime(), at.to_pydatetime(), float(v)) for at, v in zip(moments, values, strict=True)]
        return news

    def publish(self, name: str, row: int, delay_h: int, value: float) -> None:
        """A value about the bar of `row`, known `delay_h` hours after it; an earlier one about it is revised."""
        at = BARS.index[row].to_pydatetime()
        self.seen[name].append(Observation(at, at + timedelta(hours=delay_h), value))

    def columns(self, index: pd.DatetimeIndex) -> pd.DataFrame:
        self.asked += 1
        known = {}
        for name, observations in self.seen.items():
            told = join_as_of(index, HOUR, FactorList(name, observations))
            age = (index + HOUR.delta) - pd.DatetimeIndex(told["known_at"])
            known[name] = np.where(np.asarray(age <= pd.Timedelta("20h")), told["value"].to_numpy(dtype=np.float64), np.nan)
        return pd.DataFrame(known, index=index)

    def __bool__(self) -> bool:
        return True


def in_force(facts: Any) -> ServingModels:
    spec, draw = LstmSpec(features=len(MODEL_NAMES), units=8, horizons=1, context=CONTEXT), np.random.default_rng(3)
    members = tuple({n: (0.2 * draw.standard_normal(s)).astype(np.float32) for n, s in spec.shapes().items()} for _ in range(2))
    network = Ensemble(spec, np.zeros(spec.features, np.float32), np.ones(spec.features, np.float32), members)
    card = ModelCard(
        model_id="m", symbols=("BTC/USDT",), timeframe="1h", horizons=(1,), features=MODEL_NAMES, boundary="", train_from="", train_to="",
        train_bars=1, seeds=(0, 1), train_loss=0.0, seconds=0.0, reason="", calibrations={"BTC/USDT": (Calibration(shrink=0.5),)},
        code_version=code_version(),
    )  # fmt: skip
    terms = [ServingTerm(BARS.index[0].to_pydatetime(), card)]
    return ServingModels("BTC/USDT", 1, HOUR, terms, lambda _id: network, context=CONTEXT, facts=facts)


class Told:
    """What a session was told about its factors."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, str]] = []

    def __call__(self, kind: str, level: str = "", **facts: Any) -> None:
        self.lines.append((kind, facts["factor"], facts["bar"]))


# About a bar some rows back, or of the newest; known so many hours after it.
PUBLISHED = st.tuples(st.sampled_from(FACTORS), st.sampled_from([0, 0, 0, 1, 3, 7, 30, 200, 470]), st.integers(0, 12), st.floats(-9, 99))


@settings(max_examples=12, deadline=None)
@given(
    st.integers(0, 3),
    st.lists(st.lists(PUBLISHED, max_size=2), min_size=8, max_size=16),
    st.booleans(),
    st.sets(st.integers(3, 12), max_size=2),
)
def test_revisions_and_late_news_between_bars_give_the_bits_of_the_plain_path(
    seed: int, news_by_bar: list[list[tuple[str, int, int, float]]], prepared: bool, passed_over: set[int]
) -> None:
    news, told = News.of(seed), (Told(), Told())
    quick, plain = (in_force(LiveFactors(news, each)) for each in told)  # type: ignore[arg-type]
    for n, published in enumerate(news_by_bar):
        row = NEEDED + n
        if n in passed_over:
            continue
        for name, back, delay, value in published:
            news.publish(name, row - back, delay, value)
        assert quick.on_bar(heard(BARS, row, NEEDED)) == plain.latest(BARS.iloc[row + 1 - NEEDED : row + 1])
        for _ in range(2 * prepared):
            quick.prepare()
    assert told[0].lines == told[1].lines


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 3), st.lists(st.lists(PUBLISHED, max_size=1), min_size=8, max_size=16))
def test_every_row_of_the_window_is_that_of_the_whole_frame(seed: int, news_by_bar: list[list[tuple[str, int, int, float]]]) -> None:
    news = News.of(seed)
    rows = FactorRows(NAMES, CONTEXT, 1, news.columns, NEEDED)
    rows.fill(BARS.iloc[:NEEDED])
    for n, published in enumerate(news_by_bar):
        row = NEEDED + n
        for name, back, delay, value in published:
            news.publish(name, row - back, delay, value)
        rows.prepare(BARS.index[row].to_pydatetime())
        rows.follow(heard(BARS, row, NEEDED))
        frame = BARS.iloc[row + 1 - NEEDED : row + 1]
        whole = matrix(Bars.of(frame.join(news.columns(pd.DatetimeIndex(frame.index)))), NAMES)
        np.testing.assert_array_equal(rows.window, whole[-CONTEXT:])


@pytest.mark.parametrize("late", [False, True])
def test_the_context_walked_ahead_serves_where_the_past_stands_and_not_where_it_changed(late: bool) -> None:
    news = News.of(0)
    rows = FactorRows(MODEL_NAMES, CONTEXT, 1, news.columns, NEEDED)
    rows.fill(BARS.iloc[:NEEDED])
    rows.follow(heard(BARS, NEEDED, NEEDED))
    before, key = rows.before, rows.key
    if late:
        news.publish("factor_mood", (NEEDED - 40) // 3 * 3 + 1, 0, 500.0)  # between two that are published on time
    rows.follow(heard(BARS, NEEDED + 1, NEEDED))
    assert before != rows.before
    assert (rows.before == key) is not late


def test_a_bar_at_which_the_factors_cannot_be_read_leaves_the_rows_as_they_were() -> None:
    news = News.of(0)
    broken = {"is": False}

    def facts(index: pd.DatetimeIndex) -> pd.DataFrame:
        if broken["is"]:
            raise OSError("half a file")
        return news.columns(index)

    quick, plain = in_force(facts), in_force(news.columns)
    quick.on_bar(heard(BARS, NEEDED, NEEDED))
    broken["is"] = True
    with pytest.raises(OSError, match="half"):
        quick.on_bar(heard(BARS, NEEDED + 1, NEEDED))
    broken["is"] = False
    for row in (NEEDED + 2, NEEDED + 3):
        assert quick.on_bar(heard(BARS, row, NEEDED)) == plain.latest(BARS.iloc[row + 1 - NEEDED : row + 1])


def test_a_factor_that_is_not_at_hand_is_named() -> None:
    news = News.of(0)
    del news.seen["factor_mood"]
    with pytest.raises(FingerprintMismatch, match="with the factor mood, which is not at hand"):
        in_force(news.columns).on_bar(heard(BARS, NEEDED, NEEDED))


def test_a_model_without_factors_goes_on_in_a_session_that_has_some() -> None:
    news, names = News.of(0), ("return_1_ago", "move_24")
    rows = FactorRows(names, CONTEXT, 1, news.columns, NEEDED)
    rows.fill(BARS.iloc[:NEEDED])
    rows.follow(heard(BARS, NEEDED, NEEDED))
    np.testing.assert_array_equal(rows.window, matrix(Bars.of(BARS.iloc[: NEEDED + 1]), names)[-CONTEXT:])
    assert news.asked == 2  # late and lost values are told all the same


def test_names_stand_as_the_session_and_the_book_have_them() -> None:
    assert all(name.startswith(PREFIX) for name in FACTORS) and len(NAMES) == len(FEATURES) + 6
