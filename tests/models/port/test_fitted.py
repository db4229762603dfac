"""What forecasters answer, in one form; and what is no answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest

from forwardtrader.core.errors import FingerprintMismatch, ForecasterFailed
from forwardtrader.models.port.base_forecaster import Answer, BaseForecaster
from forwardtrader.models.port.fitted import FittedForecaster, SampleForm, answered, load_fitted
from forwardtrader.models.port.sample_panel import SamplePanel
from tests.models.own_forecasters import Nearest, Ridge, Spread
from tests.models.port.test_sample_panel import panel

FORM = SampleForm(tuple("abcd"), (1, 4), ("A/USD", "B/USD"), 3600)


class Answers(BaseForecaster):
    """Answers what it is given."""

    def __init__(self, answer: Any = None, all_horizons: bool = False) -> None:
        self.answer = answer
        self.all_horizons = all_horizons

    def fit(self, panel: SamplePanel) -> Self:
        return self

    def predict(self, panel: SamplePanel) -> Answer:
        found: Answer = self.answer(panel) if callable(self.answer) else self.answer
        return found


def fitted(kind: BaseForecaster, rows_per_call: int = 4, look_back: int = 1) -> FittedForecaster:
    own = panel(look_back=look_back)
    each = (kind.clone().fit(own),) if kind.all_horizons else tuple(kind.clone().fit(own.at_horizon(h)) for h in (0, 1))
    return FittedForecaster((each,), FORM, np.zeros((1, 2, 5), np.float32) + np.array([-2, -1, 0, 1, 2], np.float32), rows_per_call)


def test_a_location_gets_the_spread_that_training_left() -> None:
    own = panel(look_back=1)
    raw = fitted(Ridge()).raw(own.features, np.arange(7), "A/USD")
    assert raw.shape == (7, 1, 2, 6)
    assert np.allclose(raw[..., 1:] - raw[..., :1], [-2, -1, 0, 1, 2], atol=1e-5)


def test_location_and_scale_are_a_normal_distribution() -> None:
    raw = answered(Answers((np.zeros(40), np.ones(40))), panel(look_back=1).at_horizon(0))
    assert np.allclose(raw[:, 0, 1:], [-1.645, -0.674, 0.0, 0.674, 1.645], atol=1e-3)


def test_quantiles_of_all_horizons_have_their_median_for_location() -> None:
    quantiles = np.sort(np.random.default_rng(1).normal(size=(40, 2, 5)), axis=-1)
    raw = answered(Answers(quantiles, all_horizons=True), panel(look_back=1))
    assert np.allclose(raw[..., 1:], quantiles, atol=1e-6)
    assert np.allclose(raw[..., 0], quantiles[..., 2], atol=1e-6)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (np.full(40, np.nan), "40 of 40 numbers are not finite"),
        (np.zeros(39), r"shape \[39\]; a location has \[40\] here, quantiles have \[40, 5\]"),
        (np.zeros((40, 2)), "shape"),
        (np.zeros((40, 5))[:, ::-1] - np.arange(5), "quantiles cross"),
        ((np.zeros(40), -np.ones(40)), "not below zero"),
        ((np.zeros(40),), "a tuple of 1"),
        (None, "an answer of type NoneType; answer an array of numbers"),
        ({"location": np.zeros(40)}, "an answer of type dict"),
        (lambda panel: (value for value in panel.X[:, 0]), "an answer of type generator"),
        (np.full(40, 1e300), "40 of 40 numbers are not finite, or too large"),
        (np.zeros(40).astype(bool), "of type bool; answer numbers"),
        ("up", "of type <U2; answer numbers"),
        (lambda panel: panel.X[:, 99], "IndexError"),
        (lambda panel: panel.X.__setitem__(0, 1.0), "read-only"),
    ],
)
def test_what_is_no_forecast_is_named(answer: object, words: str) -> None:
    with pytest.raises(ForecasterFailed, match=words) as caught:
        answered(Answers(answer), panel(look_back=1).at_horizon(0))
    assert caught.value.exit_code == 2


def test_quantiles_that_cross_by_rounding_are_let_pass() -> None:
    answered(Answers(np.zeros((40, 5)) - np.arange(5) * 1e-7), panel(look_back=1).at_horizon(0))


@pytest.mark.parametrize("kind", [Ridge(), Spread(), Nearest(drawn=30)], ids=lambda kind: type(kind).__name__)
def test_a_row_gets_the_same_forecast_alone_and_among_others_whatever_follows_it(kind: BaseForecaster) -> None:
    own = panel(look_back=8)
    model = fitted(kind, rows_per_call=4, look_back=8)
    rows = np.arange(8, 33)
    whole = model.raw(own.features, rows, "A/USD")
    for k, row in enumerate(rows):
        later = own.features.copy()
        later[row + 1 :] = 99.0
        assert np.allclose(model.raw(later, np.array([row]), "A/USD")[0], whole[k], atol=1e-5)


def test_a_forecaster_is_told_the_symbol() -> None:
    seen = []
    model = fitted(Answers(lambda panel: (seen.append(set(panel.symbol_of.tolist())), np.zeros(len(panel)))[1]))
    for symbol in ("B/USD", "Z/USD"):
        model.raw(panel(look_back=1).features, np.array([3]), symbol)
    assert seen == [{1}, {1}, {-1}, {-1}]


def test_files_give_the_same_forecasts_back(tmp_path: Path) -> None:
    own, model = panel(look_back=8), fitted(Nearest(drawn=30), look_back=8)
    model.save(tmp_path, tmp_path / "templates")
    model.save(tmp_path, tmp_path / "templates")
    loaded = load_fitted(tmp_path, Nearest(drawn=30))
    rows = np.arange(8, 20)
    assert np.array_equal(loaded.raw(own.features, rows, "A/USD"), model.raw(own.features, rows, "A/USD"))
    assert replace(loaded, members=()).form == FORM


class Linking(Ridge):
    def save(self, folder: Path) -> None:
        super().save(folder)
        (folder / "away").symlink_to("/etc/hostname")


def test_one_that_saves_a_link_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ForecasterFailed, match=r"Linking\.save: away is a link"):
        fitted(Linking()).save(tmp_path, tmp_path / "templates")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("harm", ["change", "remove", "add", "link", "meta"])
def test_files_that_were_changed_are_not_loaded(tmp_path: Path, harm: str) -> None:
    fitted(Ridge()).save(tmp_path, tmp_path / "templates")
    root = tmp_path / "forecaster"
    file = root / "0-0" / "learned.npz"
    if harm == "change":
        file.write_bytes(file.read_bytes()[:-1] + b"x")
    elif harm == "remove":
        file.unlink()
    elif harm == "add":
        (root / "0-0" / "more.py").write_text("raise SystemExit")
    elif harm == "link":
        (root / "0-0" / "away").symlink_to("/etc/hostname")
    else:
        (root / "forecaster.json").write_text("{}")
    with pytest.raises(FingerprintMismatch, match="train again"):
        load_fitted(tmp_path, Ridge())
