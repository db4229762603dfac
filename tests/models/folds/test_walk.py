"""A walk-forward on simulated bars: cached, reproducible, blind to the future, and the same bar by bar as all at once."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forwardtrader.core.errors import FingerprintMismatch, NotTrained
from forwardtrader.core.settings import ModelSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.models.folds.baseline_walk import baseline_frames
from forwardtrader.models.folds.walk import WalkForward, walk_forward
from forwardtrader.models.online.walk_forward_source import WalkForwardSource
from forwardtrader.models.registry.store import ModelRegistry
from tests.models.bars import simulated_bars

HOUR = Timeframe.parse("1h")
FIRST, LAST = datetime(2020, 3, 21, tzinfo=UTC), datetime(2020, 4, 10, tzinfo=UTC)
BARS = simulated_bars(24 * 101, reversal=0.25)
NAMES = ("return_1_ago", "return_2_ago", "move_6", "volatility_24", "close_in_bar", "day_1_sin")


def knobs(path: Path, **changes: object) -> ModelSettings:
    small = {"horizons": (1, 4), "units": 4, "seeds": 2, "epochs": 2, "train_window": "40d", "retrain_every": "7d", "context": 16}
    return ModelSettings.model_validate({**small, "save_path": str(path), **changes})


def run(path: Path, bars: pd.DataFrame | None = None, last: datetime = LAST, **changes: object) -> WalkForward:
    candles = {"A/USD": BARS if bars is None else bars}
    return walk_forward(candles, FIRST, last, settings=knobs(path, **changes), timeframe=HOUR, features=NAMES)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def walk(home: Path) -> WalkForward:
    return run(home)


def test_every_bar_of_the_run_is_forecast_by_one_model(walk: WalkForward) -> None:
    frame = walk.frame("A/USD", 1)
    spoken = frame.loc[frame["location"].notna()]
    assert set(spoken["model_id"]) == {served.card.model_id for served in walk.served}
    assert (spoken.index[1:] - spoken.index[:-1] == pd.Timedelta("1h")).all()
    assert (spoken["q05"] <= spoken["q50"]).all()
    assert spoken["p_up"].between(0, 1).all()


def test_it_finds_a_reversal_that_is_there(walk: WalkForward) -> None:
    frame = walk.frame("A/USD", 1).dropna()
    assert frame["location"].corr(frame["realised"], method="spearman") > 0.1


def test_a_second_run_trains_nothing_and_says_the_same(home: Path, walk: WalkForward) -> None:
    again = run(home)
    assert all(served.cached for served in again.served)
    pd.testing.assert_frame_equal(again.frame("A/USD", 4), walk.frame("A/USD", 4))


def test_training_elsewhere_gives_the_same_bits(tmp_path: Path, walk: WalkForward) -> None:
    other = run(tmp_path, jobs=1)
    assert not any(served.cached for served in other.served)
    pd.testing.assert_frame_equal(other.frame("A/USD", 1), walk.frame("A/USD", 1))


def test_bars_after_a_moment_change_no_forecast_before_it(tmp_path: Path, walk: WalkForward) -> None:
    moment = pd.Timestamp("2020-04-02 07:00", tz="UTC")
    shorter = run(tmp_path, BARS.loc[:moment], last=moment.to_pydatetime())
    told, whole = (w.frame("A/USD", 1).drop(columns="realised").loc[: moment - pd.Timedelta("1h")] for w in (shorter, walk))
    pd.testing.assert_frame_equal(told, whole)


def test_bar_by_bar_gives_the_bits_of_all_at_once(walk: WalkForward) -> None:
    source = WalkForwardSource(walk, "A/USD", 4, HOUR)
    batch = source.batch(BARS)
    rows = [BARS.index.get_loc(pd.Timestamp(FIRST)) + n for n in (2, 100, 168, 169, 170, 300)]
    for row in rows:
        told = source.latest(BARS.iloc[row - source.warm_up + 1 : row + 1])
        assert told is not None
        expected = batch.iloc[row]
        assert (told.location, told.scale, told.p_up) == (expected["location"], expected["scale"], expected["p_up"])
        assert told.quantiles == tuple(expected[["q05", "q25", "q50", "q75", "q95"]])
        assert told.model_id == expected["model_id"]


def test_candles_of_another_market_are_refused(walk: WalkForward) -> None:
    with pytest.raises(FingerprintMismatch):
        WalkForwardSource(walk, "A/USD", 1, HOUR).batch(BARS * 1.01)


def test_one_candle_in_the_training_window_makes_another_model(home: Path, walk: WalkForward) -> None:
    touched = BARS.copy()
    touched.iloc[1500, touched.columns.get_loc("volume")] += 1.0
    other = run(home, touched)
    assert {s.card.model_id for s in other.served}.isdisjoint({s.card.model_id for s in walk.served})


def test_a_damaged_forecast_cache_is_made_anew(home: Path, walk: WalkForward) -> None:
    served = walk.served[0]
    path = home / served.card.model_id / f"forecasts-{served.key}.npz"
    path.write_bytes(path.read_bytes()[:100])
    again = run(home)
    assert path.stat().st_size > 100
    pd.testing.assert_frame_equal(again.frame("A/USD", 1), walk.frame("A/USD", 1))


def test_one_model_learns_from_several_symbols_and_forecasts_each(tmp_path: Path) -> None:
    candles = {"A/USD": BARS, "B/USD": simulated_bars(24 * 101, seed=9, reversal=0.25)}
    both = walk_forward(candles, FIRST, LAST, settings=knobs(tmp_path), timeframe=HOUR, features=NAMES)
    for symbol in candles:
        frame = both.frame(symbol, 1).dropna()
        assert frame["location"].corr(frame["realised"], method="spearman") > 0.1
    assert both.served[0].card.symbols == ("A/USD", "B/USD")
    assert set(both.served[0].card.calibrations) == {"A/USD", "B/USD"}


def test_a_later_market_of_one_symbol_changes_no_forecast_of_the_other(tmp_path: Path) -> None:
    moment = pd.Timestamp("2020-04-02 07:00", tz="UTC")
    other = simulated_bars(24 * 101, seed=9)
    changed = other.copy()
    changed.loc[moment:] *= 1.1
    settings = knobs(tmp_path)
    one, two = (
        walk_forward({"A/USD": BARS, "B/USD": b}, FIRST, LAST, settings=settings, timeframe=HOUR, features=NAMES).frame("A/USD", 1)
        for b in (other, changed)
    )
    pd.testing.assert_frame_equal(one.loc[: moment - pd.Timedelta("1h")], two.loc[: moment - pd.Timedelta("1h")])


def test_baselines_speak_on_the_same_bars(home: Path, walk: WalkForward) -> None:
    frames = baseline_frames(walk, ["huber_linear", "zero"], 1, ModelRegistry(home))
    lstm = walk.frame("A/USD", 1)
    huber = frames["huber_linear"]["A/USD"]
    assert list(huber.index[huber["location"].notna()]) == list(lstm.index[lstm["location"].notna()])
    pd.testing.assert_series_equal(huber["realised"], lstm["realised"])
    again = baseline_frames(walk, ["huber_linear", "zero"], 1, ModelRegistry(home))
    pd.testing.assert_frame_equal(again["huber_linear"]["A/USD"], huber)


def test_an_unknown_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotTrained, match="no-such"):
        ModelRegistry(tmp_path).card("no-such")


def test_each_seed_can_be_heard_alone(walk: WalkForward) -> None:
    members = walk.member_locations("A/USD", 1)
    mean = walk.frame("A/USD", 1)["location"].to_numpy()
    known = np.isfinite(mean)
    np.testing.assert_allclose(members[known].mean(axis=1), mean[known], rtol=1e-4, atol=1e-9)
    assert (members[known].std(axis=1) > 0).all()
