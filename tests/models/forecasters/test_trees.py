"""Trees kept as arrays say what the library that grew them says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.core.errors import FingerprintMismatch
from forwardtrader.models.forecasters import trees
from forwardtrader.models.forecasters.lstm import Ensemble, LstmSpec, predict
from forwardtrader.models.forecasters.trainer import initial_weights
from forwardtrader.models.forecasters.trees import Trees, grow


def world(rows: int, columns: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(rows, columns)).astype(np.float32)
    target = 0.3 * np.sign(features[:, 0]) * features[:, 1] + rng.standard_t(3, rows).clip(-5, 5)
    return features, target.astype(np.float32)


@settings(max_examples=8, deadline=None)
@given(rows=st.integers(500, 3000), columns=st.integers(1, 9), seed=st.integers(0, 99))
def test_the_arrays_give_the_sums_of_lightgbm_bit_for_bit(rows: int, columns: int, seed: int) -> None:
    import lightgbm

    rng = np.random.default_rng(seed)
    features = rng.normal(size=(rows, columns)).astype(np.float32)
    target = (0.3 * features[:, 0] + rng.normal(size=rows)).astype(np.float32)
    parameters = {**trees.PARAMETERS, "seed": seed, "num_threads": 1}
    booster = lightgbm.train(parameters, lightgbm.Dataset(features, label=target, params=parameters), num_boost_round=trees.ROUNDS)
    ours = grow(features, target, seed=seed).predict(features)
    assert np.array_equal(ours, booster.predict(features, num_threads=1).astype(np.float32))


def test_one_row_gives_the_bits_it_has_among_many() -> None:
    features, target = world(2000)
    grown = grow(features, target, seed=0)
    together = grown.predict(features)
    assert all(grown.predict(features[n : n + 1])[0] == together[n] for n in range(0, 2000, 37))


def test_a_product_that_no_straight_line_sees_is_found() -> None:
    features, target = world(8000)
    said = grow(features[:6000], target[:6000], seed=0).predict(features[6000:])
    assert np.corrcoef(said, target[6000:])[0, 1] > 0.08


def test_too_few_rows_for_a_split_give_one_number() -> None:
    features, target = world(150)
    assert len(np.unique(grow(features, target, seed=0).predict(features))) == 1


def test_trees_survive_the_disk(tmp_path: Path) -> None:
    features, target = world(2000)
    grown = grow(features, target, seed=0)
    trees.save(grown, tmp_path / "trees.npz")
    assert np.array_equal(trees.load(tmp_path / "trees.npz").predict(features), grown.predict(features))


@pytest.mark.parametrize("damage", [None, b"", b"PK\x03\x04 not an archive"])
def test_a_damaged_file_is_said_in_one_line(tmp_path: Path, damage: bytes | None) -> None:
    if damage is not None:
        (tmp_path / "trees.npz").write_bytes(damage)
    with pytest.raises(FingerprintMismatch, match="train again"):
        trees.load(tmp_path / "trees.npz")


def constant(value: float) -> Trees:
    shape = (1, trees.LEAVES - 1)
    says = np.zeros((1, trees.LEAVES))
    says[0, 0] = value
    return Trees(np.zeros(shape, np.int32), np.full(shape, np.inf), np.zeros(shape, np.uint8), says)


def test_trees_move_the_first_horizon_by_their_share_and_no_other() -> None:
    spec = LstmSpec(features=5, units=4, horizons=2, context=6)
    alone = Ensemble(spec, np.zeros(5, np.float32), np.ones(5, np.float32), (initial_weights(spec, 0), initial_weights(spec, 1)))
    both = Ensemble(alone.spec, alone.mean, alone.std, alone.members, constant(2.0), 0.25)
    features, rows = world(40, 5)[0], np.arange(10, 40)
    before, after = predict(alone, features, rows), predict(both, features, rows)
    assert np.array_equal(before[:, :, 1], after[:, :, 1])
    assert after[:, :, 0, 0] == pytest.approx(0.75 * before[:, :, 0, 0] + 0.5, abs=1e-6)
    arms = [said[:, :, 0, 1:] - said[:, :, 0, :1] for said in (before, after)]
    assert arms[1] == pytest.approx(arms[0], abs=1e-5)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000))
def test_one_row_gives_the_bits_of_many(seed: int) -> None:
    draw = np.random.default_rng(seed)
    trees = Trees(
        draw.integers(0, 5, (9, 7)).astype(np.int32), np.where(draw.random((9, 7)) < 0.2, np.inf, draw.standard_normal((9, 7))),
        draw.integers(0, 128, (9, 7)).astype(np.uint8), draw.standard_normal((9, 8)),
    )  # fmt: skip
    rows = draw.standard_normal((20, 5)).astype(np.float32)
    np.testing.assert_array_equal([trees.predict_one(row) for row in rows], trees.predict(rows))
