"""The account at the close of every bar, as rows."""

from __future__ import annotations

from array import array
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd

from strategies.bars_frame import utc_index


class EquityRecorder(bt.Analyzer):
    """Collects equity, cash, exposure and closes; `frame()` gives them."""

    def start(self) -> None:
        self._broker = self.strategy.broker
        self._times, self._equity, self._cash = array("d"), array("d"), array("d")
        self._positions = [(data, data.lines.close, array("d"), array("d")) for data in self.datas]

    def prenext(self) -> None:
        self.next()

    def next(self) -> None:
        broker = self._broker
        self._times.append(self.strategy.lines.datetime[0])
        self._equity.append(broker.get_value())
        self._cash.append(broker.get_cash())
        for data, close, closes, sizes in self._positions:
            closes.append(close[0] if len(data) else float("nan"))
            sizes.append(broker.getposition(data).size)

    def frame(self) -> pd.DataFrame:
        """Indexed by the UTC open time of the bar at whose close it holds: equity, cash, exposure (share of equity, negative for
        short), and `close:<SYMBOL>`. A time that was seen twice keeps its last row."""
        equity = np.array(self._equity)
        columns: dict[str, Any] = {"equity": equity, "cash": np.array(self._cash), "exposure": np.zeros(len(equity))}
        for data, _, closes, sizes in self._positions:
            close = np.array(closes)
            columns["exposure"] = columns["exposure"] + np.nan_to_num(close) * np.array(sizes) / equity
            columns[f"close:{data._name}"] = close
        frame = pd.DataFrame(columns, index=utc_index(np.array(self._times)))
        return frame[~frame.index.duplicated(keep="last")]

    def get_analysis(self) -> dict[str, Any]:
        return {"bars": len(self._times)}
