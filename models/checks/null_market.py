"""Simulated markets of known predictability: none, or a planted signal of known strength.

Both keep the volatility, the volume and the calendar of real bars, so that whatever a pipeline earns on them comes from itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
VOLATILITY_BARS: Final = 168


@dataclass(frozen=True)
class PlantedMarket:
    """Bars in which the next return depends on `signal` (index of the bars, standard normal), which is written into their volume.

    `attainable` is the rank IC of a forecaster who knows the signal: that of the signal itself with the next log return.
    """

    bars: pd.DataFrame
    signal: pd.Series
    attainable: float


def null_market(bars: pd.DataFrame, seed: int) -> pd.DataFrame:
    """A martingale with the sizes of the real returns: every sign is a fresh toss of a fair coin.

    Prices are a martingale, not only their logs: each return is lowered by `log cosh |r|`, the gain that convexity would give. Volume and
    wicks stay with their bars; they know the size of their own move, but nothing of the next one's direction.
    """
    size = np.abs(_returns(bars))
    sign = np.random.default_rng(seed).choice([-1.0, 1.0], size=len(size))
    return rebuilt(bars, sign * size - np.log(np.cosh(size)))


def planted_market(bars: pd.DataFrame, ic: float, seed: int, *, persistence: float = 0.9, noise: Floats | None = None) -> PlantedMarket:
    """A market with a signal of known strength, in plain sight in the volume of each bar.

    The next return is the real volatility times a draw from the real distribution of returns over volatility, made symmetric; the draw's
    rank is that of `ic * signal + sqrt(1 - ic^2) * noise`.

    Args:
        ic: correlation of the signal with the next return before its tails are put on, 0 to 1.
        persistence: first autocorrelation of the signal; what lasts longer can pay for a trade.
        noise: standard normal, one less than there are bars; drawn where not given, or shared by markets that are to move together.
    """
    n, rng = len(bars), np.random.default_rng(seed)
    signal = _autoregression(rng.normal(size=n), persistence)
    noise = rng.normal(size=n - 1) if noise is None else noise
    score = np.append(0.0, ic * signal[:-1] + np.sqrt(1.0 - ic * ic) * noise)
    volatility = trailing_volatility(bars)
    returns = volatility * _symmetric_quantile(_returns(bars) / volatility, score)
    volume = float(bars["volume"].median()) * np.exp(0.5 * signal)
    made = rebuilt(bars.assign(volume=volume), np.append(0.0, returns[1:]))
    following = np.diff(np.log(made["close"].to_numpy(dtype=np.float64)))
    attainable = float(pd.Series(signal[:-1]).rank().corr(pd.Series(following).rank()))
    return PlantedMarket(made, pd.Series(signal, index=bars.index, name="signal"), attainable)


def rebuilt(bars: pd.DataFrame, returns: Floats) -> pd.DataFrame:
    """Bars that open at the last close and move by `returns` (logs), with the volume, the wicks and all other columns of the bars given."""
    close = float(bars["close"].iloc[0]) * np.exp(np.cumsum(returns))
    opened = np.append(float(bars["open"].iloc[0]), close[:-1])
    top, bottom = bars[["open", "close"]].max(axis=1), bars[["open", "close"]].min(axis=1)
    high = np.maximum(opened, close) * (bars["high"] / top).to_numpy(dtype=np.float64)
    low = np.minimum(opened, close) * (bars["low"] / bottom).to_numpy(dtype=np.float64)
    columns = {"open": opened, "high": high, "low": low, "close": close, "volume": bars["volume"].to_numpy(dtype=np.float64)}
    others = {str(name): bars[name] for name in bars.columns if name not in columns}
    return pd.DataFrame({**columns, **others}, index=bars.index)


def trailing_volatility(bars: pd.DataFrame) -> Floats:
    """Root mean square of the log returns of the last 168 bars, known one bar before; the first day has that of all bars."""
    squares = pd.Series(_returns(bars) ** 2)
    mean = squares.rolling(VOLATILITY_BARS, min_periods=24).mean().shift(1).fillna(squares.mean())
    return np.asarray(np.sqrt(np.maximum(mean.to_numpy(dtype=np.float64), 1e-12)))


def _returns(bars: pd.DataFrame) -> Floats:
    logs = np.log(bars["close"].to_numpy(dtype=np.float64))
    return np.asarray(np.diff(logs, prepend=logs[0]))


def _autoregression(noise: Floats, persistence: float) -> Floats:
    """A standard normal series whose neighbours correlate by `persistence`."""
    series = np.empty_like(noise)
    series[0] = noise[0]
    fresh = np.sqrt(1.0 - persistence**2)
    for t in range(1, len(noise)):
        series[t] = persistence * series[t - 1] + fresh * noise[t]
    return series


def _symmetric_quantile(sample: Floats, score: Floats) -> Floats:
    """Values of the symmetrised sample at the ranks of normal scores."""
    both = np.sort(np.concatenate([sample, -sample]))
    share = (pd.Series(score).rank().to_numpy(dtype=np.float64) - 0.5) / len(score)
    return np.asarray(np.interp(share, (np.arange(len(both)) + 0.5) / len(both), both))
