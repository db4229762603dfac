"""What the checks of a user's code are given, and what they come to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pandas as pd

from forwardtrader.core.errors import CandleFileInvalid
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.candles.schema import Origin, validate
from forwardtrader.models.checks.look_ahead import LookAheadResult, Proof

_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "m"))
_ORIGIN: Final = Origin("candles")


@dataclass(frozen=True)
class CheckReport:
    """What `check_strategy` or `check_forecaster` found, one row a check; `print(report)` shows it.

    Attributes:
        name: of the class that was checked.
        checks: each with `name`, `result` (passed, failed, not testable) and `detail`, a sentence.
    """

    name: str
    checks: tuple[Proof, ...]

    @property
    def passed(self) -> bool:
        """Whether all checks passed: one that was not testable clears nothing."""
        return all(check.passed for check in self.checks)

    @property
    def failed(self) -> tuple[Proof, ...]:
        """The checks that found something."""
        return tuple(check for check in self.checks if check.result is LookAheadResult.FAILED)

    @property
    def told(self) -> str:
        """One line that names every check that failed, and what to do."""
        found = "; ".join(f"{check.name}: {check.detail}" for check in self.failed)
        return f"{self.name} failed {len(self.failed)} of {len(self.checks)} checks: {found}"

    def __str__(self) -> str:
        name, result = (max(map(len, column)) for column in zip(*((c.name, c.result) for c in self.checks), strict=True))
        rows = (f"{check.name:<{name}}  {check.result:<{result}}  {check.detail}" for check in self.checks)
        return "\n".join((self.name, *rows))


def checked_candles(candles: pd.DataFrame) -> tuple[pd.DataFrame, Timeframe]:
    """The candles in the schema, and their timeframe, which is their commonest step."""
    index = candles.index
    if not isinstance(index, pd.DatetimeIndex) or len(index) < 2:
        raise CandleFileInvalid("candles: at least two bars are needed, indexed by their open times (a DatetimeIndex)")
    named = candles.rename(columns=lambda name: str(name).lower())
    named.index = (index.tz_localize("UTC") if index.tz is None else index.tz_convert("UTC")).as_unit("ns").rename("timestamp")
    seconds = int(pd.Series(named.index).diff().mode().iloc[0].total_seconds())
    unit = next(((length, letter) for length, letter in _UNITS if seconds > 0 and seconds % length == 0), None)
    if unit is None:
        raise CandleFileInvalid(f"candles: bars are {seconds} seconds apart; rising whole minutes are needed")
    timeframe = Timeframe.parse(f"{seconds // unit[0]}{unit[1]}")
    return validate(named, timeframe, origin=_ORIGIN, own_grid=True), timeframe
