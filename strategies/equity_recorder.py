"""The account at the close of every bar, as rows."""

from __future__ import annotations

import math
from array import array
from typing import Any

import numpy as np
import pandas as pd

from strategies.bars_frame import utc_index
from strategies.bt_recorder import Recorder


class EquityRecorder(Recorder):
    """Collects equity, cash, exposure and closes; `frame()` gives them."""

    def start(self) -> None:
        self._clock = self.strategy.lines.datetime
        self._times, self._equity, self._cash = array("d"), array("d"), array("d")
        self._closes = [(data.lines.close, array("d")) for data in self.datas]

    def _notify_cashvalue(self, cash: float, value: float) -> None:
        self._times.append(self._clock[0])
        self._equity.append(value)
        self._cash.append(cash)
        for close, closes in self._closes:
            closes.append(close[0] if len(close) else math.nan)

    def frame(self) -> pd.DataFrame:
        """Indexed by the UTC open time of the bar at whose close it holds: equity, cash, exposure (share of equity that is not
        cash, negative for short), and `close:<SYMBOL>`. A time that was seen twice keeps its last row."""
        equity, cash = np.array(self._equity), np.array(self._cash)
        frame = pd.DataFrame({"equity": equity, "cash": cash, "exposure": 1.0 - cash / equity}, index=utc_index(np.array(self._times)))
        for data, (_, closes) in zip(self.datas, self._closes, strict=True):
            frame[f"close:{data._name}"] = np.array(closes)
        return frame[~frame.index.duplicated(keep="last")]

    def get_analysis(self) -> dict[str, Any]:
        return {"bars": len(self._times)}
