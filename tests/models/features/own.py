"""A file of a user's features, as the tests of this room write it."""

from __future__ import annotations

SOURCE = '''
import numpy as np
import pandas as pd
import forwardtrader as ft


@ft.feature(warm_up=24)
def squeeze(bars):
    """This bar's range in that of the last 24."""
    span = ft.window_max(bars.high, 24) - ft.window_min(bars.low, 24)
    return np.where(span > 0, (bars.high - bars.low) / np.where(span > 0, span, 1.0), 0.0)


@ft.feature(warm_up=9 * 4 + 3)
def trend_4h(bars):
    four = bars.resample("4h")
    return 20.0 * four.align(np.log(four.close / ft.lag(four.close, 8)))


@ft.feature(warm_up=21)
def rank(bars):
    """pandas, for what it can do exactly."""
    return pd.Series(bars.close).rolling(21).rank(pct=True)


@ft.feature(warm_up=31)
def up_day(bars):
    """Branches on the numbers and loops: nothing that could be recorded."""
    out = np.zeros(len(bars))
    for t in range(30, len(bars)):
        out[t] = 1.0 if bars.close[t] > bars.close[t - 30] else -1.0
    return out


for n in (3, 5):
    @ft.feature(warm_up=n, name=f"mean_of_{n}")
    def mean(bars, n=n):
        return ft.window_mean(bars.high - bars.low, n) / bars.close


def unmarked(bars):
    return bars.close
'''
NAMES = ("squeeze", "trend_4h", "rank", "up_day", "mean_of_3", "mean_of_5")
