"""One forecaster of many symbols: better than each alone, the same in any order, and at hand for one it never saw."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from forwardtrader.core.errors import FingerprintMismatch, InvalidSetting
from forwardtrader.core.settings import ModelSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.models.features.cross_section import MARKET
from forwardtrader.models.features.panel import selected_beside
from forwardtrader.models.forecasters.shipped.lightgbm_forecaster import LightGBMForecaster
from forwardtrader.models.forecasters.shipped.panel_forecaster import PanelForecaster
from forwardtrader.models.port.sample_panel import SamplePanel
from tests.models.forecasters.shipped.samples import asked, rank_ic, samples, world

SMALL = PanelForecaster(n_estimators=30, own_estimators=20, min_data_in_leaf=100)
ROWS = 2400


def world_of(symbols: int, rows: int = ROWS) -> SamplePanel:
    features, target = world(symbols * rows)
    return samples(features, target, symbols=symbols)


def in_order(panel: SamplePanel, order: list[int]) -> SamplePanel:
    """The same samples with the symbols in another order."""
    blocks = [np.flatnonzero(panel.symbol_of == code) for code in order]
    rows = np.concatenate(blocks)
    return replace(
        panel, features=panel.features[rows], targets=panel.targets[rows], symbols=tuple(panel.symbols[code] for code in order),
        symbol_of=np.repeat(np.arange(len(order)), [len(block) for block in blocks]),
    )  # fmt: skip


def test_the_order_in_which_a_run_names_its_symbols_decides_no_bit() -> None:
    panel = world_of(3)
    other = in_order(panel, [2, 0, 1])
    first, second = SMALL.clone().fit(panel), SMALL.clone().fit(other)
    for code, symbol in enumerate(panel.symbols):
        here = asked(panel, code * ROWS, code * ROWS + 50)
        there = asked(other, other.symbols.index(symbol) * ROWS, other.symbols.index(symbol) * ROWS + 50)
        np.testing.assert_array_equal(first.predict(here), second.predict(there))


def test_many_symbols_together_are_ranked_better_than_one_alone() -> None:
    panel, unseen = world_of(6, 400), samples(*world(3000, seed=8))
    alone = LightGBMForecaster(min_data_in_leaf=50).fit(replace(panel, rows=panel.rows[:400]))
    together = PanelForecaster(n_estimators=60, min_data_in_leaf=100, feature_fraction=1.0).fit(panel)
    blank = asked(unseen, 0, 3000)
    assert rank_ic(together.predict(blank)[:, 0], unseen.y) > 0.02 + rank_ic(np.asarray(alone.predict(blank)), unseen.y)


def test_a_symbol_that_was_not_there_is_forecast_by_the_trees_of_all() -> None:
    panel = world_of(2)
    fitted = SMALL.clone().fit(panel)
    known = asked(panel, 0, 40)
    unknown = replace(known, symbol_of=np.full(len(known.symbol_of), -1))
    elsewhere = replace(known, symbols=("X", "Y"))
    np.testing.assert_array_equal(fitted.predict(unknown), fitted.predict(elsewhere))
    assert (fitted.predict(unknown) != fitted.predict(known)).any()
    np.testing.assert_array_equal(fitted.predict(unknown), SMALL.clone().set_params(own=0.0).fit(panel).predict(known))


def test_one_symbol_works_and_a_young_one_has_no_trees_of_its_own() -> None:
    assert SMALL.clone().fit(world_of(1)).symbols_ == ["", "A"]
    panel = world_of(2)
    young = replace(panel, rows=panel.rows[: ROWS + 400])
    assert SMALL.clone().fit(young).symbols_ == ["", "A"]


def test_rows_of_several_symbols_have_the_bits_that_each_has_alone() -> None:
    panel = world_of(3)
    fitted = SMALL.clone().fit(panel)
    mixed = replace(asked(panel, 0, 1), rows=np.array([5, ROWS + 5, 2 * ROWS + 5, 6]))
    together = fitted.predict(mixed)
    for k, row in enumerate(mixed.rows):
        np.testing.assert_array_equal(fitted.predict(replace(mixed, rows=np.array([row])))[0], together[k])


def test_two_horizons_have_trees_each() -> None:
    panel = world_of(2)
    both = replace(panel, targets=np.column_stack([panel.targets[:, 0], -panel.targets[:, 0]]), horizons=(1, 4))
    found = SMALL.clone().fit(both).predict(asked(both, 0, 200))
    assert found.shape == (200, 2) and np.corrcoef(found.T)[0, 1] < -0.8


def test_between_anchors_the_trees_of_all_go_on_and_a_symbols_own_are_grown_anew() -> None:
    panel = world_of(2)
    later = replace(panel, targets=panel.targets[::-1].copy())
    fitted, known = SMALL.clone().fit(panel), asked(panel, 0, 50)
    unknown = replace(known, symbol_of=np.full(len(known.symbol_of), -1))
    before = fitted.predict(known), fitted.predict(unknown)
    fitted.update(later)
    assert (fitted.predict(known) != before[0]).any()
    np.testing.assert_array_equal(fitted.predict(unknown), before[1])


def test_files_that_were_tampered_with_are_refused(tmp_path: Path) -> None:
    fitted = SMALL.clone().fit(world_of(2))
    fitted.save(tmp_path)
    learned = json.loads((tmp_path / "learned.json").read_text())
    for key, value in (("features_", 1), ("horizons_", 2), ("symbols_", ["", "A", "B", "C"]), ("symbols_", ["A", "", "B"])):
        (tmp_path / "learned.json").write_text(json.dumps(learned | {key: value}))
        with pytest.raises(FingerprintMismatch, match="damaged"):
            SMALL.clone().load(tmp_path)


@pytest.mark.parametrize("params", [{"own": 1.5}, {"num_leaves": 31}])
def test_a_parameter_that_is_none_is_refused(params: dict[str, float]) -> None:
    with pytest.raises(InvalidSetting, match="PanelForecaster"):
        SMALL.clone().set_params(**params).fit(world_of(2))


def test_it_asks_for_the_features_of_the_market() -> None:
    hour = Timeframe.parse("1h")
    assert set(MARKET) <= set(selected_beside((), ModelSettings(forecaster="panel"), hour))
    narrow = ModelSettings(forecaster="panel", params={"features": ["move_*"]})
    assert set(selected_beside((), narrow, hour)) == {f"move_{n}" for n in (6, 24, 72, 168, 336)}
