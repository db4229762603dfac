"""What a factor tells the network is causal, and nothing at all where the factor is not known."""

from __future__ import annotations

from datetime import UTC

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.core.errors import FingerprintMismatch
from forwardtrader.models.features.bars import Bars
from forwardtrader.models.features.catalogue import FEATURES, all_names, matrix, warm_up
from forwardtrader.models.features.factor_features import CHANGES, CLIP, LONGEST, MEMORY, compute, feature_names
from forwardtrader.models.features.panel import Panel

NAMES = feature_names(["factor_f"])


def series(n: int, seed: int, level: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    value = level + np.cumsum(rng.normal(size=n))
    value[rng.random(n) < 0.05] = np.nan
    return value


def bars(n: int, seed: int = 0, **factors: np.ndarray) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0, 0.01, n)))
    index = pd.date_range("2024-01-01", periods=n, freq="h", tz=UTC)
    columns = {"open": close, "high": close * 1.01, "low": close * 0.99, "close": close, "volume": rng.uniform(1, 2, n)}
    return pd.DataFrame({**columns, **factors}, index=index)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 300), st.integers(0, 10_000), st.sampled_from([0.0, 50.0, 60_000.0]))
def test_a_feature_depends_on_its_last_bars_alone_to_the_last_bit(start: int, seed: int, level: float) -> None:
    value = series(LONGEST + 320, seed, level)
    for name in NAMES:
        whole, part = compute(name, value), compute(name, value[start : start + LONGEST])
        assert part[-1].tobytes() == whole[start + LONGEST - 1].tobytes(), name


@pytest.mark.parametrize("name", NAMES)
def test_a_feature_sees_nothing_later(name: str) -> None:
    value = series(900, 1)
    later = value.copy()
    later[700:] *= 1.5
    np.testing.assert_array_equal(compute(name, value)[:700], compute(name, later)[:700])
    assert (compute(name, value)[700:] != compute(name, later)[700:]).any()


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_known_is_neutral(name: str) -> None:
    value = series(900, 2)
    value[800:] = np.nan
    feature = compute(name, value)[LONGEST:]
    assert np.isfinite(feature).all()
    assert (feature[800 - LONGEST :] == 0.0).all()
    assert np.abs(feature).max() <= CLIP


def test_a_factor_that_stands_still_says_nothing() -> None:
    for value in (np.full(900, 12345.678), np.full(900, np.nan)):
        for name in NAMES:
            assert (compute(name, value)[LONGEST:] == 0.0).all()


def test_a_standing_is_a_z_score_and_a_change_is_in_usual_moves() -> None:
    value = np.random.default_rng(3).normal(50.0, 5.0, 1200)
    own = value[1199 - MEMORY + 1 :]
    assert compute("factor_f:standing", value)[-1] == pytest.approx((own[-1] - own.mean()) / own.std())
    moved = (value[24:] - value[:-24])[-MEMORY:]
    assert compute("factor_f:change_24", value)[-1] == pytest.approx(moved[-1] / np.sqrt(np.mean(moved**2)))


def test_factors_join_the_catalogue_without_more_history() -> None:
    assert all_names(["factor_f"]) == (*FEATURES, *NAMES)
    assert len(NAMES) == 1 + len(CHANGES)
    assert warm_up(all_names(["factor_f"])) == warm_up(tuple(FEATURES))


def test_a_panel_takes_the_factors_beside_its_candles() -> None:
    plain, with_factor = bars(700), bars(700, factor_f=series(700, 4))
    without, panel = Panel.of({"A": plain}, (1,)), Panel.of({"A": with_factor}, (1,))
    assert panel.names == (*without.names, *NAMES)
    np.testing.assert_array_equal(panel.features[:, : len(without.names)], without.features)
    assert np.isfinite(panel.features[warm_up(panel.names) :]).all()


def test_the_fingerprint_of_candles_covers_the_factors_beside_them() -> None:
    value = series(700, 5)
    other = value.copy()
    other[600] += 1.0
    prints = [
        Panel.of({"A": frame}, (1,)).fingerprint("A", 0, 700) for frame in (bars(700), bars(700, factor_f=value), bars(700, factor_f=other))
    ]
    assert len(set(prints)) == 3
    first = [Panel.of({"A": bars(700, factor_f=v)}, (1,)).fingerprint("A", 0, 600) for v in (value, other)]
    assert first[0] == first[1]


def test_a_model_of_a_factor_that_is_not_at_hand_is_refused() -> None:
    with pytest.raises(FingerprintMismatch, match="trained with the factor f, which is not at hand"):
        matrix(Bars.of(bars(700)), NAMES)
