"""Forecasts heard bar by bar are those of the plain path, through a change of models, a gap, and a bar that was passed over."""

from __future__ import annotations

import gc
import weakref
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from forwardtrader.core.settings import LearningSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.live.session.forecasts import SessionForecasts
from forwardtrader.models.features.catalogue import FEATURES, warm_up
from forwardtrader.models.forecaster import NUMBERS, LastValueForecaster
from forwardtrader.models.forecasters.calibration import Calibration
from forwardtrader.models.forecasters.lstm import Ensemble, LstmSpec
from forwardtrader.models.online.adaptation import OnlineCorrector, Past, Rates
from forwardtrader.models.online.serving import ServingModels, ServingTerm
from forwardtrader.models.registry.card import ModelCard, code_version
from tests.models.bars import heard, simulated_bars

HOUR = Timeframe.parse("1h")
NAMES, CONTEXT, HORIZONS = tuple(FEATURES), 6, (1, 24)
NEEDED = warm_up(NAMES) + CONTEXT - 1
BARS = simulated_bars(NEEDED + 60, seed=4)


def network(model_id: str) -> Ensemble:
    spec, draw = LstmSpec(features=len(NAMES), units=8, horizons=2, context=CONTEXT), np.random.default_rng(len(model_id))
    members = tuple({n: (0.2 * draw.standard_normal(s)).astype(np.float32) for n, s in spec.shapes().items()} for _ in range(2))
    return Ensemble(spec, np.zeros(spec.features, np.float32), np.ones(spec.features, np.float32), members)


def card(model_id: str) -> ModelCard:
    fitted = (Calibration(shrink=0.5), Calibration(stretch=(0.9, 1.0, 1.0, 1.1, 1.2), shrink=0.7))
    return ModelCard(
        model_id=model_id, symbols=("BTC/USDT",), timeframe="1h", horizons=HORIZONS, features=NAMES, boundary="", train_from="",
        train_to="", train_bars=1, seeds=(0, 1), train_loss=0.0, seconds=0.0, reason="", calibrations={"BTC/USDT": fitted},
        code_version=code_version(),
    )  # fmt: skip


def source(horizon: int, frame: pd.DataFrame, *, adaptive: bool = False) -> ServingModels:
    terms = [ServingTerm(frame.index[0].to_pydatetime(), card("a")), ServingTerm(frame.index[NEEDED + 20].to_pydatetime(), card("bb"))]
    made = ServingModels("BTC/USDT", horizon, HOUR, terms, network, context=CONTEXT)
    if adaptive:
        nothing = Past(pd.DatetimeIndex([], tz="UTC"), np.zeros((0, len(NUMBERS))), np.zeros(0), np.zeros(0))
        made.follow(OnlineCorrector(horizon, Rates.of(LearningSettings(), HOUR), lambda _at: nothing))
    return made


@pytest.mark.parametrize("horizon", HORIZONS)
@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("gap", [False, True])
@pytest.mark.parametrize("prepared", [False, True])
def test_what_is_heard_bar_by_bar_is_what_the_plain_path_says(horizon: int, adaptive: bool, gap: bool, prepared: bool) -> None:
    frame = BARS.drop(BARS.index[NEEDED + 9 : NEEDED + 14]) if gap else BARS
    plain, quick = source(horizon, frame, adaptive=adaptive), source(horizon, frame, adaptive=adaptive)
    ids = set()
    for row in [*range(NEEDED, NEEDED + 30), *range(NEEDED + 33, NEEDED + 45)]:
        said = quick.on_bar(heard(frame, row, NEEDED))
        assert said == plain.latest(frame.iloc[row + 1 - NEEDED : row + 1])
        assert said is not None
        ids.add(said.model_id)
        for _ in range(2 * prepared):
            quick.prepare()
    assert ids == {"a", "bb"}


def test_networks_of_the_past_are_let_go() -> None:
    made: list[weakref.ref[Ensemble]] = []

    def loaded(model_id: str) -> Ensemble:
        fresh = network(model_id)
        made.append(weakref.ref(fresh))
        return fresh

    terms = [ServingTerm(BARS.index[NEEDED + 2 * n].to_pydatetime(), card("a" * (n + 1))) for n in range(8)]
    session = ServingModels("BTC/USDT", 1, HOUR, terms, loaded, context=CONTEXT)
    assert len({said.model_id for row in range(NEEDED, NEEDED + 16) if (said := session.on_bar(heard(BARS, row, NEEDED)))}) == 8
    gc.collect()
    assert len(made) == 8 and sum(one() is not None for one in made) == 3


def test_a_model_is_as_old_as_its_boundary_and_a_new_one_makes_that_younger() -> None:
    first, second = BARS.index[5].to_pydatetime(), BARS.index[20].to_pydatetime()
    terms = [ServingTerm(at, card("a").model_copy(update={"boundary": at.isoformat()})) for at in (first, second)]
    serving = ServingModels("BTC/USDT", 1, HOUR, terms, network, context=CONTEXT)
    asked = (BARS.index[0], BARS.index[19], BARS.index[20], BARS.index[-1])
    assert [serving.trained_at(at.to_pydatetime()) for at in asked] == [None, first, second, second]
    session = SessionForecasts(serving, lambda _at: None, first)
    assert session.trained_at(second) == second
    assert SessionForecasts(LastValueForecaster(), lambda _at: None, first).trained_at(second) is None


def test_nothing_is_said_where_no_model_is_in_force() -> None:
    early = source(1, BARS)
    early._terms = [ServingTerm(BARS.index[-1].to_pydatetime() + timedelta(days=1), card("a"))]
    assert early.on_bar(heard(BARS, NEEDED, NEEDED)) is None
