"""A forecaster of your own, walk-forward, in a plain script.

    python examples/own_forecaster.py

The same file works on the command line: `python run_backtest.py --from 2022-01-01 --forecaster examples/own_forecaster.py:Nearest`.
"""

from __future__ import annotations

import numpy as np

import forwardtrader as ft


class Nearest(ft.BaseForecaster):
    """What followed the bars that looked most like this one."""

    def __init__(self, neighbours: int = 50) -> None:
        self.neighbours = neighbours

    def fit(self, panel: ft.SamplePanel) -> Nearest:
        self.mean_, self.std_ = panel.X.mean(axis=0), panel.X.std(axis=0) + 1e-6  # of a column that never changes: zero
        self.known_, self.outcomes_ = self._scaled(panel)[::10], panel.y[::10].copy()
        return self

    def predict(self, panel: ft.SamplePanel) -> np.ndarray:
        distances = ((self._scaled(panel)[:, None, :] - self.known_) ** 2).sum(axis=2)
        nearest = np.argsort(distances, axis=1, kind="stable")[:, : self.neighbours]
        return np.quantile(self.outcomes_[nearest], [0.05, 0.25, 0.5, 0.75, 0.95], axis=1).T

    def _scaled(self, panel: ft.SamplePanel) -> np.ndarray:
        return np.clip((panel.X - self.mean_) / self.std_, -5.0, 5.0)


if __name__ == "__main__":
    candles = ft.load_candles("BTC/USDT", start="2021-09-01", end="2022-03-01", source="sample")
    walk = ft.WalkForward(Nearest(neighbours=40), train_window="60d", retrain_every="28d", horizons=(4,))
    forecasts = walk.fit_predict(candles, start="2022-01-01")
    print(f"{len(forecasts):,} forecasts out of sample by {forecasts['model_id'].nunique()} models")
    print(walk.score("ridge")[["rank_ic", "accuracy", "loss_skill", "coverage_90"]].round(3))
    run = ft.backtest(None, candles, forecasts=walk)
    print(f"verdict: {run.verdict}; the account is worth {run.equity['equity'].iloc[-1]:,.2f}")
