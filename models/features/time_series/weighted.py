"""Exponentially weighted means over the last `n` bars, equal bit for bit wherever the series begins."""

from __future__ import annotations

from forwardtrader.models.features.rolling import Series, lag


def ewma(x: Series, decay: float, n: int) -> Series:
    """Mean of the last `n` values with weights 1, decay, decay ** 2, ...: runs of doubling length, as in `models.features.rolling`."""
    total: Series | None = None
    covered, run, length = 0, x, 1
    while True:
        if n & length:
            part = lag(run, covered)
            total = part if total is None else total + part * decay**covered
            covered += length
        if length * 2 > n:
            assert total is not None
            return total * ((1.0 - decay) / (1.0 - decay**n))
        run = run + lag(run, length) * decay**length
        length *= 2
