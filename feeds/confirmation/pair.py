"""Two venues of one market: how far apart their prices usually lie, and how unusual the newest bar is."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Any, Final

from forwardtrader.core.rooms.confirmation import ConfirmationSettings
from forwardtrader.feeds.candles.bar import Bar
from forwardtrader.feeds.confirmation.running import RunningQuantile

LEARNED_AFTER: Final = 30  # common bars, before which a tolerance in basis points stands in for what is usual
_SIGMA: Final = 1.4826  # of a normal distribution in units of its median absolute deviation
_FLOOR: Final = 2e-4
_SINGLE: Final = 4.0  # opens, highs and lows may lie as many times farther apart than closes: one trade makes them

_LASTING: Final = 0.5  # of what is tolerated in one bar, in two bars in a row on the same side


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two venues in one bar: `apart` is the log ratio of their closes beyond the usual one, `strain` the largest difference of their
    prices in units of what is tolerated, so that they disagree above 1."""

    at: int
    apart: float
    strain: float


class VenuePair:
    """Learns from each common bar after it was compared, so that no bar is its own measure.

    Attributes:
        newest: the comparison in the newest common bar; None before the first.
    """

    def __init__(self, settings: ConfirmationSettings) -> None:
        self.newest: Comparison | None = None
        self._settings = settings
        self._before = 0.0  # how far apart in units of what is tolerated, in the bar before
        self._ratios, self._deviations, self._ranges = (RunningQuantile(settings.confirm_window) for _ in range(3))

    @property
    def basis(self) -> float:
        """Usual log ratio of the first venue's prices to the second one's: between two quotes such as USD and USDT it is no zero."""
        return self._ratios.value

    @property
    def is_learned(self) -> bool:
        """Whether enough common bars were seen."""
        return len(self._ratios) >= LEARNED_AFTER

    def compare(self, first: Bar, second: Bar) -> None:
        """Compare the bars of one time, then learn from them."""
        ratio, basis = log(first.close / second.close), self.basis
        span = min(log(first.high / first.low), log(second.high / second.low))  # that of the calmer venue: one tick widens the other
        usual = self._settings.confirm_spreads * _SIGMA * self._deviations.value if self.is_learned else self._tolerance
        limit = max(usual, _FLOOR) + self._settings.confirm_ranges * (self._ranges.value + span)
        single = max(abs(log(mine / theirs) - basis) for mine, theirs in zip(first[1:4], second[1:4], strict=True))
        apart, before = (ratio - basis) / limit, self._before
        lasting = min(abs(apart), abs(before)) / _LASTING if apart * before > 0.0 else 0.0
        self.newest, self._before = Comparison(first.at, ratio - basis, max(abs(apart), lasting, single / limit / _SINGLE)), apart
        for learned, value in ((self._ratios, ratio), (self._deviations, abs(ratio - basis)), (self._ranges, span)):
            learned.add(value)

    @property
    def _tolerance(self) -> float:
        return self._settings.confirm_tolerance_bps * 1e-4

    def as_dict(self) -> dict[str, Any]:
        """What must be kept across a restart; plain JSON values."""
        newest = None if self.newest is None else [self.newest.at, self.newest.apart, self.newest.strain]
        learned = [each.as_list() for each in (self._ratios, self._deviations, self._ranges)]
        return {"newest": newest, "before": self._before, "learned": learned}

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from what `as_dict` gave."""
        self.newest = None if saved["newest"] is None else Comparison(*saved["newest"])
        self._before = float(saved["before"])
        for learned, values in zip((self._ratios, self._deviations, self._ranges), saved["learned"], strict=True):
            learned.restore(values)
