"""Parameters, clones and files of a forecaster, in the manner of scikit-learn."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
import pytest

from forwardtrader.core.errors import FingerprintMismatch, ForecasterFailed, InvalidSetting
from forwardtrader.models.port.base_forecaster import Answer, BaseForecaster
from forwardtrader.models.port.sample_panel import SamplePanel
from tests.models.own_forecasters import Nearest, Ridge
from tests.models.port.test_sample_panel import panel


def test_parameters_are_those_of_init() -> None:
    assert Nearest(drawn=50).get_params() == {"drawn": 50, "seed": 0}
    assert repr(Nearest(drawn=50)) == "Nearest(drawn=50, seed=0)"
    assert Nearest().set_params(seed=4).seed == 4
    with pytest.raises(InvalidSetting, match="Ridge has no parameter alpha; it has penalty"):
        Ridge().set_params(alpha=1)


def test_a_clone_has_the_parameters_and_nothing_learned() -> None:
    fitted = Ridge(penalty=2.0).fit(panel())
    fitted.warm_up = 7
    clone = fitted.clone()
    assert (clone.penalty, clone.warm_up, hasattr(clone, "weights_")) == (2.0, 7, False)


def test_what_was_learned_comes_back_from_its_files(tmp_path: Path) -> None:
    fitted = Ridge().fit(panel())
    fitted.save(tmp_path)
    assert np.array_equal(Ridge().load(tmp_path).predict(panel()), fitted.predict(panel()))
    (tmp_path / "learned.npz").write_bytes(b"nothing")
    with pytest.raises(FingerprintMismatch, match="train again"):
        Ridge().load(tmp_path)


class Holder(BaseForecaster):
    def __init__(self, kept: object = None) -> None:
        self.kept = kept

    def fit(self, panel: SamplePanel) -> Self:
        self.inner_ = self.kept
        return self

    def predict(self, panel: SamplePanel) -> Answer:
        return np.zeros(len(panel))


@pytest.mark.parametrize("kept", [1, 2.5, "text", True, None, [1, 2], {"a": [np.float32(1.5), (2, None)]}, np.arange(3)])
def test_numbers_texts_and_arrays_are_saved_by_themselves(tmp_path: Path, kept: object) -> None:
    Holder(kept).fit(panel()).save(tmp_path)
    loaded = Holder().load(tmp_path).inner_
    assert np.array_equal(loaded, kept) if isinstance(kept, np.ndarray) else loaded is not ...


@pytest.mark.parametrize("kept", [object(), np.array([object()]), {"a": open}])
def test_anything_else_needs_save_and_load_of_its_own(tmp_path: Path, kept: object) -> None:
    with pytest.raises(ForecasterFailed, match="define save"):
        Holder(kept).fit(panel()).save(tmp_path)


@pytest.mark.parametrize("name", ["predict", "penalty", "_secret_", "penalty_of"])
@pytest.mark.parametrize("into", ["json", "npz"])
def test_a_file_sets_nothing_but_what_is_learned(tmp_path: Path, name: str, into: str) -> None:
    Ridge().fit(panel()).save(tmp_path)
    if into == "json":
        (tmp_path / "learned.json").write_text(f'{{"{name}": 1}}')
    else:
        np.savez(tmp_path / "learned.npz", **{name: np.zeros(3)})
    with pytest.raises(FingerprintMismatch, match="train again"):
        Ridge().load(tmp_path)


def test_a_file_that_would_unpack_to_more_than_it_is_is_refused(tmp_path: Path) -> None:
    Ridge().fit(panel()).save(tmp_path)
    np.savez_compressed(tmp_path / "learned.npz", weights_=np.zeros(10_000_000))
    with pytest.raises(FingerprintMismatch, match="train again"):
        Ridge().load(tmp_path)
