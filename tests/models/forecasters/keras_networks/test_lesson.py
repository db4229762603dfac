"""What is learned from: runs of one symbol without a gap, worked out once for all members of a fold."""

from __future__ import annotations

import gc
from dataclasses import replace

import numpy as np
import pytest

from forwardtrader.core.errors import TooLittleHistory
from forwardtrader.models.forecasters.keras_networks.lesson import Lesson, OncePerPanel
from tests.models.forecasters.keras_networks.samples import samples


def test_no_sequence_crosses_a_gap_or_into_another_symbol() -> None:
    panel = samples(100, symbols=2)
    features = panel.features.copy()
    features[40:43, 1] = np.nan
    features[0] = np.nan
    lesson = Lesson.of(replace(panel, features=features))
    assert lesson.segments == ((1, 40), (43, 100), (100, 200))
    starts = lesson.starts(length=30, supervised=20, batch=4, updates=20, seed=0)
    inside = [any(first <= s and s + 30 <= last for first, last in lesson.segments) for s in starts.ravel()]
    assert all(inside)
    with pytest.raises(TooLittleHistory, match="the 101 bars on end"):
        lesson.starts(length=101, supervised=20, batch=4, updates=20, seed=0)


def test_what_several_ask_of_a_panel_is_worked_out_once_and_forgotten_with_it() -> None:
    shared, made = OncePerPanel(), []
    panel = samples(50)
    for key in ("a", "a", "b"):
        assert shared.of(panel, key, lambda key=key: made.append(key) or len(made)) == (1 if key == "a" else 2)
    del panel
    gc.collect()
    assert made == ["a", "b"]
    assert not shared._known
