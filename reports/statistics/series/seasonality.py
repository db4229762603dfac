"""What hours of the day and days of the week bring: mean return and mean size of returns, with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

_NORMAL_95: Final = 1.959964
_LEAST: Final = 20  # returns in a season


@dataclass(frozen=True)
class Season:
    """Returns of one hour or weekday. `size` is the mean absolute return against that of all, 1 where they are the same."""

    name: str
    returns: int
    mean: float
    mean_ci: tuple[float, float]
    size: float


def by_hour(returns: pd.Series) -> list[Season]:
    """Of the hours (UTC) in which bars open; none for bars of a day or longer."""
    hours = pd.DatetimeIndex(returns.index).hour
    return _seasons(returns, hours, {hour: f"{hour:02d}" for hour in range(24)}) if len(set(hours)) > 1 else []


def by_weekday(returns: pd.Series) -> list[Season]:
    """Of the days of the week (UTC) in which bars open."""
    days = pd.DatetimeIndex(returns.index).day_of_week
    return _seasons(returns, days, dict(enumerate(("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"))))


def _seasons(returns: pd.Series, keys: pd.Index, names: dict[int, str]) -> list[Season]:
    values, whole = returns.to_numpy(dtype=np.float64), float(np.nanmean(np.abs(returns)))
    found = []
    for key, name in names.items():
        own = values[(np.asarray(keys) == key) & np.isfinite(values)]
        if len(own) >= _LEAST:
            error = _NORMAL_95 * float(own.std(ddof=1)) / np.sqrt(len(own))
            mean = float(own.mean())
            size = float(np.abs(own).mean()) / whole if whole else 1.0
            found.append(Season(name, len(own), mean, (mean - error, mean + error), size))
    return found
