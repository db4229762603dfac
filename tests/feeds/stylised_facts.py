"""What hourly prices look like: a handful of numbers that hold in every liquid coin market."""

from __future__ import annotations

import numpy as np
import pandas as pd

# Ranges that hold for hourly BTC/USDT and ETH/USDT on a large exchange, 2019 to 2025, with room for another draw of the same market.
RANGES: dict[str, tuple[float, float]] = {
    "volatility": (0.004, 0.012),  # standard deviation of one hour's log return
    "kurtosis": (8.0, 80.0),
    "tail_index_up": (2.4, 4.2),
    "tail_index_down": (2.4, 4.2),
    "acf_return_1": (-0.10, 0.02),
    "rank_acf_return_1": (-0.09, -0.03),
    "acf_abs_1": (0.20, 0.36),
    "acf_abs_24": (0.09, 0.25),
    "acf_abs_168": (0.06, 0.18),
    "busiest_over_quietest_hour": (1.4, 2.0),
    "weekend_over_week": (0.65, 0.85),
    "range_over_move": (1.9, 2.5),  # mean of log(high / low) over mean |return|
    "volume_volatility_correlation": (0.55, 0.90),
    "acf_log_volume_24": (0.40, 0.75),
}


def facts(candles: pd.DataFrame) -> dict[str, float]:
    """The numbers of `RANGES` for an hourly candle frame."""
    returns = np.log(candles["close"]).diff().dropna()
    moves = returns.abs()
    hours = moves.groupby(moves.index.hour).mean()
    days = moves.groupby(moves.index.day_of_week).mean()
    span = np.log(candles["high"] / candles["low"])
    volume = np.log(candles["volume"].clip(lower=1e-6))
    return {
        "volatility": float(returns.std()),
        "kurtosis": float(returns.kurt()),
        "tail_index_up": tail_index(returns.to_numpy()),
        "tail_index_down": tail_index(-returns.to_numpy()),
        "acf_return_1": returns.autocorr(1),
        "rank_acf_return_1": returns.rank().autocorr(1),
        "acf_abs_1": moves.autocorr(1),
        "acf_abs_24": moves.autocorr(24),
        "acf_abs_168": moves.autocorr(168),
        "busiest_over_quietest_hour": float(hours.max() / hours.min()),
        "weekend_over_week": float(days.loc[5:].mean() / days.loc[:4].mean()),
        "range_over_move": float(span.mean() / moves.mean()),
        "volume_volatility_correlation": float(volume.corr(np.log(span.clip(lower=1e-6)))),
        "acf_log_volume_24": volume.autocorr(24),
    }


def tail_index(values: np.ndarray, share: float = 0.01) -> float:
    """Hill's estimate over the largest `share` of the positive values."""
    largest = np.sort(values[values > 0])[::-1]
    count = int(len(largest) * share)
    return float(1 / np.mean(np.log(largest[:count] / largest[count])))


def hourly_shape(candles: pd.DataFrame) -> np.ndarray:
    """Mean |return| for each hour of the day, relative to the mean of all."""
    moves = np.log(candles["close"]).diff().abs().dropna()
    return (moves.groupby(moves.index.hour).mean() / moves.mean()).to_numpy()
