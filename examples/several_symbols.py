"""One model and one account for several symbols, and two strategies side by side.

python examples/several_symbols.py
"""

from __future__ import annotations

import backtrader as bt

import forwardtrader as ft

SYMBOLS = ("BTC/USDT", "ETH/USDT")


class Strongest(bt.Strategy):
    """Holds the symbol that is most likely to rise, while any is more likely than not."""

    params = (("least", 0.51),)

    def __init__(self) -> None:
        self.forecasts = {data: ft.LSTMForecast(data) for data in self.datas}

    def next(self) -> None:
        best = max(self.datas, key=lambda data: self.forecasts[data].p_up[0])
        wanted = best if self.forecasts[best].p_up[0] > self.p.least else None
        for data in self.datas:
            if self.getposition(data).size and data is not wanted:
                self.close(data)
        if wanted is not None and not self.getposition(wanted).size:
            self.order_target_percent(wanted, target=0.5)


class Trend(bt.Strategy):
    """Reads no forecast."""

    def __init__(self) -> None:
        self.averages = {data: bt.ind.SMA(data, period=48) for data in self.datas}

    def next(self) -> None:
        for data in self.datas:
            above = data.close[0] > self.averages[data][0]
            if above and not self.getposition(data).size:
                self.order_target_percent(data, target=0.4)
            elif not above and self.getposition(data).size:
                self.close(data)


if __name__ == "__main__":
    candles = {symbol: ft.load_candles(symbol, start="2021-10-01", end="2022-03-01", source="sample") for symbol in SYMBOLS}
    walk = ft.WalkForward("lightgbm", train_window="60d", retrain_every="28d", horizons=(4,))
    walk.fit_predict(candles, start="2022-01-01")
    runs = {
        "strongest": ft.backtest(Strongest, candles, forecasts=walk, params={"least": 0.52}),
        "trend": ft.backtest(Trend, candles, start="2022-01-01"),
    }
    print(ft.compare(runs))
    print(f"the account is worth {runs['strongest'].equity['equity'].iloc[-1]:,.2f}")
