"""Training sequences: how many, and where they begin."""

from __future__ import annotations

from forwardtrader.models.features.sequences import LEAST_UPDATES, draw_starts, updates_per_fold


def test_updates_are_worth_the_epochs_asked_for_and_never_too_few() -> None:
    assert updates_per_fold(17_520, stride=64, batch=16, epochs=6) == round(17_520 * 6 / (64 * 16))
    assert updates_per_fold(300, stride=64, batch=16, epochs=6) == LEAST_UPDATES


def test_sequences_stay_inside_their_segments_and_cover_them() -> None:
    segments = [(100, 200), (500, 740)]
    starts = draw_starts(segments, length=20, stride=10, batch=8, updates=30, seed=0)
    assert starts.shape == (30, 8)
    inside = [any(first <= s and s + 20 <= last for first, last in segments) for s in starts.ravel()]
    assert all(inside)
    covered = {row for s in starts.ravel() for row in range(s, s + 20)}
    assert covered == set(range(100, 200)) | set(range(500, 740))
