"""What finer bars cost in memory: a year of 1m under 1h, in processes of their own; `python -m benchmarks.detail` writes detail.md."""

from __future__ import annotations

import ctypes
import gc
import json
import resource
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import backtrader as bt
import numpy as np
import pandas as pd

from forwardtrader.core.clock import FixedClock, SystemClock
from forwardtrader.core.errors import NotTrained
from forwardtrader.core.types import OHLCV, Timeframe

PAGE: Final = Path(__file__).with_suffix(".md")
BARS: Final = 525_600
CLOCK: Final = FixedClock(datetime(2023, 6, 1, tzinfo=UTC))
STORE: Final = ("--set", "feeds.source=store", "--set", "feeds.store_path=candles")
CASES: Final = {
    "spot, from a file": "BTC/USDT",
    "spot, from the store": "BTC/USDT",
    "perpetual with its marks, from files": "BTC/USDT:USDT",
}
HEAD: Final = f"""# Finer bars: memory

`python -m benchmarks.detail` writes this page: the bytes a finer bar by which a run with `--detail 1m` is larger than one without, over a
year of 1h bars ({BARS:,} of 1m inside), each in a process of its own. A bar is a time and five numbers, 48 bytes; with its mark 80. What is
resident has besides the time of the bar that each is inside of, the times as Backtrader has them, and what the allocator keeps; the peak is
reading and checking them.

| case | once loaded | while it trades | at its peak |
|---|---|---|---|
"""


class Swinging(bt.Strategy):
    """A position with a stop and a target far away, so that every bar is looked into for them."""

    resident = 0

    def stop(self) -> None:
        Swinging.resident = _resident()

    def next(self) -> None:
        if not self.position and len(self) % 5 == 0:
            price = self.data.close[0]
            self.buy_bracket(size=0.1, exectype=bt.Order.Market, stopprice=price * 0.99, limitprice=price * 1.01)


def main() -> None:
    """Every case with and without finer bars, and the page."""
    with TemporaryDirectory(prefix="detail-") as folder:
        _write_candles(Path(folder))
        rows = [_row(name, Path(folder)) for name in CASES]
    PAGE.write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8")
    sys.stdout.write("\n".join(rows) + "\n")


def _row(name: str, folder: Path) -> str:
    plain, finer = (_measured(name, folder, detail=detail) for detail in (False, True))
    return f"| {name} | " + " | ".join(f"{(b - a) / BARS:.0f}" for a, b in zip(plain, finer, strict=True)) + " |"


def _measured(name: str, folder: Path, *, detail: bool) -> list[int]:
    command = [sys.executable, "-m", "benchmarks.detail", "child", name, str(int(detail)), str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: list[int] = json.loads(done.stdout)
    return found


def _child(name: str, *, detail: bool, folder: Path) -> list[int]:
    """Resident bytes once the markets are loaded and while they are traded, and the most there ever were."""
    from forwardtrader.backtest.command_line import read_request
    from forwardtrader.backtest.forecasting import Forecasts, untrained
    from forwardtrader.backtest.market_data import load_markets
    from forwardtrader.backtest.simulation import simulate

    symbol = CASES[name]
    words = ["--from", "2022-01-01", "--to", "2022-12-31", "--symbol", symbol, "--strategy", "benchmarks.detail:Swinging"]
    words += [
        word if word not in STORE else word.replace("candles", str(folder / "candles")) for word in (STORE if "store" in name else ())
    ]
    named = {"--data": "hours", "--mark": "hours", "--detail-data": "minutes", "--detail-mark": "minutes"}
    own = [] if "store" in name else [flag for flag in named if (detail or "detail" not in flag) and ("mark" not in flag or ":" in symbol)]
    words += ["--detail", "1m"] if detail else []
    request = read_request([*words, *(part for flag in own for part in (flag, f"{symbol}={folder / named[flag]}.csv"))], CLOCK)
    markets = load_markets(request, CLOCK)
    loaded = _resident()
    simulate(markets, Forecasts(untrained(markets, request.settings.models, NotTrained("none")), pd.DataFrame(), {}), request)
    from benchmarks.detail import Swinging as Traded  # this module as the strategy's loader found it

    return [loaded, Traded.resident, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024]


def _resident() -> int:
    """Bytes of this process that are in memory, without what Python and its libraries could give back."""
    import pyarrow as pa

    gc.collect()
    pa.default_memory_pool().release_unused()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()


def _write_candles(folder: Path) -> None:
    from forwardtrader.feeds.candles.file import StoredInfo
    from forwardtrader.feeds.candles.store import CandleKey, CandleStore

    draw = np.random.default_rng(1)
    index = pd.date_range("2022-01-01", periods=BARS, freq="min", tz="UTC", name="timestamp").as_unit("ns")
    close = (20_000 * np.exp(np.cumsum(draw.normal(0, 0.0008, BARS)))).round(2)
    opened = np.concatenate([[20_000.0], close[:-1]])
    high, low = np.maximum(opened, close) + 1.0, np.minimum(opened, close) - 1.0
    minutes = pd.DataFrame(dict(zip(OHLCV, (opened, high, low, close, draw.gamma(2.0, size=BARS).round(4)), strict=True)), index=index)
    joined = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    for name, step, frame in (("minutes", "1m", minutes), ("hours", "1h", minutes.resample("1h").agg(joined))):
        frame.to_csv(folder / f"{name}.csv")
        key, first = CandleKey("binance", "BTC/USDT", Timeframe.parse(step)), frame.index[0].to_pydatetime()
        info = StoredInfo(source="binance", covered_from=first, covered_to=frame.index[-1].to_pydatetime() + key.timeframe.delta)
        CandleStore(folder / "candles", SystemClock()).append(key, frame, info)


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        sys.stdout.write(json.dumps(_child(sys.argv[2], detail=sys.argv[3] == "1", folder=Path(sys.argv[4]))))
    else:
        main()
