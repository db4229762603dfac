"""Samples with something to be learned from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from forwardtrader.models.port.sample_panel import SamplePanel

NAMES = ("return_1_ago", "move_24", "noise")


def world(n: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The last return is taken back, the trend goes on, with tails that pull at a squared loss."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, 3)).astype(np.float32)
    target = -0.15 * features[:, 0] + 0.1 * features[:, 1] + np.clip(rng.standard_t(3, n), -5, 5)
    return features, target.astype(np.float32)


def samples(features: np.ndarray, target: np.ndarray, *, look_back: int = 1, symbols: int = 1) -> SamplePanel:
    """A panel of rows, in equal parts of so many symbols, that follow one another."""
    codes = np.repeat(np.arange(symbols), len(features) // symbols)
    rows = np.flatnonzero(np.arange(len(features)) % (len(features) // symbols) >= look_back - 1)
    return SamplePanel(
        features=features, targets=target[:, None], rows=rows, symbol_of=codes, look_back=look_back,
        names=(*NAMES, *map(str, range(3, features.shape[1]))), horizons=(1,), symbols=tuple("ABCDEF"[:symbols]), timeframe_s=3600,
    )  # fmt: skip


def learnable(n: int = 4000, seed: int = 0) -> SamplePanel:
    return samples(*world(n, seed))


def asked(panel: SamplePanel, first: int, last: int) -> SamplePanel:
    """Some of the samples, as `predict` gets them."""
    return replace(panel, targets=np.full_like(panel.targets, np.nan), rows=panel.rows[first:last])


def rank_ic(x: np.ndarray, y: np.ndarray) -> float:
    ranks = [np.argsort(np.argsort(v)).astype(float) for v in (x, y)]
    return float(np.corrcoef(*ranks)[0, 1])
