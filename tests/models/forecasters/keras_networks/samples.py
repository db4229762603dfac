"""A panel of samples whose first feature tells the next target, and small networks."""

from __future__ import annotations

import numpy as np

from forwardtrader.models.port.sample_panel import SamplePanel, sample_rows

NAMES = ("a", "b", "c", "d")


def samples(bars: int = 600, *, seed: int = 0, look_back: int = 12, symbols: int = 1) -> SamplePanel:
    """Symbols of `bars` rows each, features of another scale than 1, two horizons."""
    draw = np.random.default_rng(seed)
    features = (3.0 + 2.0 * draw.standard_normal((bars * symbols, len(NAMES)))).astype(np.float32)
    told = (features[:, :1] - 3.0) / 2.0
    targets = (0.5 * told * np.array([1.0, 0.5]) + draw.standard_normal((len(features), 2))).astype(np.float32)
    targets[-1] = np.nan
    rows = sample_rows(features, [(s * bars, (s + 1) * bars) for s in range(symbols)], look_back)
    return SamplePanel(
        features=features, targets=targets, rows=rows[np.isfinite(targets[rows]).any(axis=1)],
        symbol_of=np.repeat(np.arange(symbols), bars), look_back=look_back, names=NAMES, horizons=(1, 4),
        symbols=tuple(f"{chr(65 + s)}/USD" for s in range(symbols)), timeframe_s=3600,
    )  # fmt: skip
