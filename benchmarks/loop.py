"""What the indicator and the strategy add to Backtrader's bare loop: `python -m benchmarks.loop`.

Bare: a cerebro with an SMA crossover that trades, `BackBroker` with the same commission and slippage, no observers, no
analyzers. Ours: what `build_cerebro` puts together (venue broker, `LSTMForecast`, `LSTMStrategy`, both recorders), forecasts read
from a record, so that training and prediction are left out. Both read the same bars through the same kind of feed, one after
the other in turn; the ratio is the median of the paired ratios.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd

from forwardtrader.core.settings import StrategySettings
from forwardtrader.core.types import MarketRules, Timeframe
from forwardtrader.feeds.backtrader_data import frame_data
from forwardtrader.models.forecaster import RecordedForecasts, normal_frame
from forwardtrader.strategies.backtrader.assembly import Feed, build_cerebro

SETTINGS = StrategySettings(holding=timedelta(0), min_trade=0.1)  # trades more often than the defaults do
RULES = MarketRules(symbol="BTC/USDT", base="BTC", quote="USDT", tick=Decimal("0.01"), step=Decimal("0.00001"), min_notional=Decimal(5))
BAR = Timeframe.parse("1h")


class Crossover(bt.Strategy):
    """The bare loop: long while the fast average is above the slow one."""

    params = (("fast", 24), ("slow", 96))

    def __init__(self) -> None:
        self.signal = bt.indicators.CrossOver(bt.indicators.SMA(period=self.p.fast), bt.indicators.SMA(period=self.p.slow))

    def next(self) -> None:
        if self.signal[0] > 0 and not self.position:
            self.buy(size=0.4 * self.broker.get_value() / self.data.close[0])
        elif self.signal[0] < 0 and self.position:
            self.close()


def market(rows: int, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Random hourly bars, and forecasts that make the strategy trade about as often as the crossover."""
    draw = np.random.default_rng(seed)
    close = 20_000 * np.exp(np.cumsum(draw.normal(0, 0.005, rows)))
    opened = np.concatenate([[20_000.0], close[:-1]])
    index = pd.date_range("2022-01-01", periods=rows, freq="h", tz="UTC", name="timestamp")
    high, low = np.maximum(opened, close) * 1.001, np.minimum(opened, close) * 0.999
    bars = pd.DataFrame({"open": opened, "high": high, "low": low, "close": close, "volume": 1.0}, index=index)
    slow = pd.Series(draw.normal(size=rows)).ewm(halflife=24).mean().to_numpy()
    return bars, normal_frame(bars.index, 0.004 * slow / slow.std(), np.full(rows, 0.005 * 24**0.5), "recorded")


def bare(data: Any, **options: Any) -> bt.Cerebro:
    cerebro = bt.Cerebro(stdstats=False, **options)
    cerebro.adddata(data)
    cerebro.broker.setcash(SETTINGS.cash)
    cerebro.broker.setcommission(SETTINGS.fee_bps / 1e4)
    cerebro.broker.set_slippage_perc(SETTINGS.slippage_bps / 1e4)
    cerebro.addstrategy(Crossover)
    return cerebro


def ours(data: Any, source: RecordedForecasts, **options: Any) -> bt.Cerebro:
    return build_cerebro([Feed(data=data, rules=RULES, timeframe=BAR, source=source)], SETTINGS, **options)


def pandas_feed(bars: pd.DataFrame) -> Any:
    """Backtrader's own feed of a frame."""
    return bt.feeds.PandasData(dataname=bars.tz_localize(None), timeframe=bt.TimeFrame.Minutes, compression=60)


def frame_feed(bars: pd.DataFrame) -> Any:
    """This project's feed of a frame, which copies the bars at once."""
    return frame_data(bars, BAR)


FEEDS: dict[str, Callable[[pd.DataFrame], Any]] = {"FrameData": frame_feed, "PandasData": pandas_feed}


def _seconds(build: Callable[[], bt.Cerebro]) -> float:
    cerebro = build()
    gc.collect()
    begun = time.process_time()
    cerebro.run()
    return time.process_time() - begun


def compare(rows: int, rounds: int, feed: Callable[[pd.DataFrame], Any], **options: Any) -> tuple[float, float, float]:
    """Median seconds of the bare loop, of ours, and the median ratio of the pairs."""
    bars, forecasts = market(rows)
    source = RecordedForecasts(forecasts, horizon=24, timeframe_s=BAR.seconds)
    pairs = [(_seconds(lambda: bare(feed(bars), **options)), _seconds(lambda: ours(feed(bars), source, **options))) for _ in range(rounds)]
    return (
        statistics.median(b for b, _ in pairs),
        statistics.median(o for _, o in pairs),
        statistics.median(o / b for b, o in pairs),
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loop", description="cost of indicator and strategy on top of Backtrader")
    parser.add_argument("--bars", type=int, default=32_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--all-modes", action="store_true", help="also runonce off and exactbars=1, where each bar is forecast by itself")
    args = parser.parse_args()
    modes: dict[str, dict[str, Any]] = {"runonce": {}}
    if args.all_modes:
        modes |= {"runonce=False": {"runonce": False}, "exactbars=1": {"exactbars": 1}}
    print(f"{args.bars} bars, {args.rounds} interleaved rounds\n")
    print("| mode | feed of both | bare SMA crossover | indicator + strategy + recorders | ratio |\n|---|---|---|---|---|")
    for name, options in modes.items():
        for kind, feed in FEEDS.items():
            plain, full, ratio = compare(args.bars, args.rounds, feed, **options)
            print(f"| {name} | {kind} | {plain:.2f} s | {full:.2f} s | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
