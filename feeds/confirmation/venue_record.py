"""The newest bars of one venue, and how long it usually stands still."""

from __future__ import annotations

from math import isfinite
from typing import Any, Final

from forwardtrader.core.rooms.confirmation import ConfirmationSettings
from forwardtrader.feeds.candles.bar import Bar
from forwardtrader.feeds.confirmation.running import RunningQuantile

_KEPT: Final = 4  # bars, for others that come later
_UNUSUAL: Final = 2  # bars without any change beyond what is usual


def is_sound(bar: Bar) -> bool:
    """Whether the numbers of a candle can be those of one: finite and positive prices, open and close between low and high."""
    prices = (bar.open, bar.high, bar.low, bar.close)
    if not all(isfinite(price) and price > 0.0 for price in prices) or not isfinite(bar.volume) or bar.volume < 0.0:
        return False
    return bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high


class VenueRecord:
    """What a venue showed lately.

    Attributes:
        bars: the newest ones by open time.
        last: open time of the newest, -1 before the first.
        streak: how many of the newest bars repeat what stood before.
        behind: at how many verdicts in a row it had no bar of their time.
        is_out_of_order: whether a bar came that was no newer than the last one, since the last verdict.
    """

    def __init__(self, settings: ConfirmationSettings) -> None:
        self.bars: dict[int, Bar] = {}
        self.last, self.streak, self.behind, self.is_out_of_order = -1, 0, 0, False
        self._streaks = RunningQuantile(settings.confirm_window, 0.95)
        self._volumes = RunningQuantile(settings.confirm_window)

    def add(self, bar: Bar) -> bool:
        """Take in the next bar; returns whether it is newer than the last one, for else it is left out."""
        if bar.at <= self.last:
            self.is_out_of_order |= self.bars.get(bar.at) != bar  # what a request repeats is no fault
            return False
        before = self.bars.get(self.last)
        self.streak = self.streak + 1 if before is not None and _repeats(bar, before) else 0
        self.bars[bar.at], self.last = bar, bar.at
        while len(self.bars) > _KEPT:
            del self.bars[min(self.bars)]
        self._volumes.add(bar.volume if isfinite(bar.volume) else 0.0)
        return True

    def settle(self) -> None:
        """A verdict was found: what it rested on is usual from now on."""
        self._streaks.add(float(self.streak))
        self.is_out_of_order = False

    @property
    def newest(self) -> Bar:
        """The newest bar; there must be one."""
        return self.bars[self.last]

    @property
    def usual_volume(self) -> float:
        return self._volumes.value

    @property
    def stands_still(self) -> bool:
        """Whether it repeats itself for longer than it usually does."""
        return self.streak >= self._streaks.value + _UNUSUAL

    def as_dict(self) -> dict[str, Any]:
        """What must be kept across a restart; plain JSON values."""
        return {
            "bars": [list(bar) for bar in self.bars.values()], "last": self.last, "streak": self.streak,
            "behind": self.behind, "is_out_of_order": self.is_out_of_order, "streaks": self._streaks.as_list(),
            "volumes": self._volumes.as_list(),
        }  # fmt: skip

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from what `as_dict` gave."""
        self.bars = {int(row[0]): Bar(int(row[0]), *(float(number) for number in row[1:])) for row in saved["bars"]}
        self.last, self.streak, self.behind = int(saved["last"]), int(saved["streak"]), int(saved["behind"])
        self.is_out_of_order = bool(saved["is_out_of_order"])
        self._streaks.restore(saved["streaks"])
        self._volumes.restore(saved["volumes"])


def _repeats(bar: Bar, before: Bar) -> bool:
    """Whether a bar is a copy of the one before, or its last price drawn on."""
    return bar[1:5] == before[1:5] or bar.open == bar.high == bar.low == bar.close == before.close
