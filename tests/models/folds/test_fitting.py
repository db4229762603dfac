"""A user's forecaster through folds, registry, retraining and serving: the same numbers everywhere, or one line that names it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forwardtrader.core.errors import ForecasterFailed, NotTrained, TooLittleHistory
from forwardtrader.core.settings import ModelSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.models.folds.retrain import assignment, train
from forwardtrader.models.folds.walk import WalkForward, walk_forward
from forwardtrader.models.online.walk_forward_source import WalkForwardSource
from forwardtrader.models.port.fitted import FittedForecaster
from forwardtrader.models.registry.store import ModelRegistry
from tests.models.bars import simulated_bars

HOUR = Timeframe.parse("1h")
FIRST, LAST = datetime(2020, 3, 14, tzinfo=UTC), datetime(2020, 4, 10, tzinfo=UTC)
CANDLES = {"A/USD": simulated_bars(24 * 101), "B/USD": simulated_bars(24 * 101, seed=1)}
OWN = "tests.models.own_forecasters"


def knobs(path: Path, name: str, **changes: Any) -> ModelSettings:
    small = {"horizons": (1, 4), "seeds": 2, "train_window": "20d", "retrain_every": "7d", "anew_every": 3, "save_path": str(path)}
    return ModelSettings.model_validate(small | {"forecaster": name if ":" in name else f"{OWN}:{name}"} | changes)


def run(path: Path, name: str, **changes: Any) -> WalkForward:
    return walk_forward(CANDLES, FIRST, LAST, settings=knobs(path, name, **changes), timeframe=HOUR)


@pytest.mark.parametrize(("name", "members"), [("Ridge", 1), ("Nearest", 2), ("Spread", 1)])
def test_history_registry_and_bar_by_bar_agree_to_the_bit(tmp_path: Path, name: str, members: int) -> None:
    walk, again = run(tmp_path, name), run(tmp_path, name)
    frame = walk.frame("A/USD", 4)
    assert all(served.cached for served in again.served) and not any(served.cached for served in walk.served)
    assert again.frame("A/USD", 4).equals(frame)
    assert walk.served[0].raw["A/USD"].shape[1:] == (members, 2, 6)
    assert walk.served[0].card.forecaster == name
    source = WalkForwardSource(again, "A/USD", 4, HOUR)
    known = frame.dropna(subset=["location"])
    assert len(known) > 24 * 25
    for at in known.index[:: len(known) // 20]:
        row = int(frame.index.get_loc(at))
        forecast = source.latest(CANDLES["A/USD"].iloc[row - source.warm_up + 1 : row + 1])
        assert forecast is not None
        assert (forecast.location, forecast.scale) == (frame["location"].iloc[row], frame["scale"].iloc[row])


def test_a_retraining_gives_the_model_of_the_backtest(tmp_path: Path) -> None:
    walk = run(tmp_path / "a", "Ridge")
    between = next(served.card for served in walk.served if served.card.goes_on_from)
    boundary = datetime.fromisoformat(between.boundary)
    known = {symbol: bars.loc[bars.index < boundary] for symbol, bars in CANDLES.items()}
    card = train(assignment(known, boundary, knobs(tmp_path / "b", "Ridge"), HOUR))
    assert (card.model_id, card.goes_on_from) == (between.model_id, between.goes_on_from)
    ours, theirs = (ModelRegistry.of(knobs(tmp_path / p, "Ridge")).network(card.model_id) for p in "ab")
    assert isinstance(ours, FittedForecaster) and isinstance(theirs, FittedForecaster)
    assert np.array_equal(vars(ours.members[0][1])["weights_"], vars(theirs.members[0][1])["weights_"])


def test_parameters_make_other_models_and_another_forecaster_cannot_read_them(tmp_path: Path) -> None:
    walk = run(tmp_path, "Ridge", params={"penalty": 1.0})
    other = run(tmp_path, "Ridge", params={"penalty": 500.0})
    ids = {served.card.model_id for served in walk.served}
    assert ids.isdisjoint(served.card.model_id for served in other.served)
    with pytest.raises(NotTrained, match="made by Ridge"):
        ModelRegistry.of(knobs(tmp_path, "Ridge", params={"penalty": 2.0})).network(next(iter(ids)))


def test_the_fold_and_the_line_of_the_users_are_named_and_finished_folds_stay(tmp_path: Path) -> None:
    file = tmp_path / "third_fold.py"
    file.write_text(
        "from tests.models.own_forecasters import Ridge\n\ncount = []\n\n\nclass Mine(Ridge):\n    def fit(self, panel):\n"
        "        count.append(1)\n        if len(count) > 4:\n            raise KeyError('lost')\n        return super().fit(panel)\n"
    )
    with pytest.raises(ForecasterFailed, match=r"Mine, fold 2020-0\d-\d\d of A/USD, B/USD: third_fold.py:10 in fit: KeyError: 'lost'"):
        run(tmp_path / "models", f"{file}:Mine", anew_every=1)
    assert len(ModelRegistry(tmp_path / "models").cards()) == 2


def test_a_forecaster_that_looks_back_further_than_the_window_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "looks_back.py"
    file.write_text("from tests.models.own_forecasters import Spread\n\n\nclass Far(Spread):\n    warm_up = 24 * 20\n")
    with pytest.raises(TooLittleHistory, match="samples to learn from"):
        run(tmp_path / "models", f"{file}:Far")


def test_rows_that_depend_on_those_beside_them_are_asked_about_one_at_a_time(tmp_path: Path) -> None:
    file = tmp_path / "ranks_rows.py"
    file.write_text(
        "from tests.models.own_forecasters import Ridge\n\n\nclass Ranked(Ridge):\n    def predict(self, panel):\n"
        "        found = super().predict(panel)\n        return found - found.mean()\n"
    )
    walk = run(tmp_path / "models", f"{file}:Ranked", horizons=(1,), retrain_every="14d")
    model = walk.network(walk.served[0].card.model_id)
    assert isinstance(model, FittedForecaster) and model.rows_per_call == 1
    assert not walk.frame("A/USD", 1)["location"].dropna().any()


def test_a_forecaster_that_draws_when_it_is_asked_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "draws_late.py"
    file.write_text(
        "import numpy as np\nfrom tests.models.own_forecasters import Spread\n\n\nclass Drawn(Spread):\n    def predict(self, panel):\n"
        "        return np.random.default_rng().normal(size=len(panel))\n"
    )
    with pytest.raises(ForecasterFailed, match="other numbers for the same row"):
        run(tmp_path / "models", f"{file}:Drawn")


def test_a_forecaster_gets_the_features_that_it_wants(tmp_path: Path) -> None:
    file = tmp_path / "wants_two.py"
    file.write_text("from tests.models.own_forecasters import Ridge\n\n\nclass Two(Ridge):\n    features = ('move_24', 'volatility_*')\n")
    walk = run(tmp_path / "models", f"{file}:Two", retrain_every="14d")
    assert walk.panel.names == ("move_24", "volatility_6", "volatility_24") == walk.served[0].card.features
    source = WalkForwardSource(walk, "A/USD", 4, HOUR)
    frame = walk.frame("A/USD", 4).dropna(subset=["location"])
    forecast = source.latest(CANDLES["A/USD"].loc[: frame.index[-1]].iloc[-source.warm_up :])
    assert forecast is not None and forecast.location == frame["location"].iloc[-1]
