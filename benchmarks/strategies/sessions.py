"""The collection in sessions: on paper and with real orders at the practice exchange, each compared with its replay (`live.parity`).

A session is `run_live.py --sandbox --speed lockstep`, in this process; the exchange is a process of its own. What a user's script adds to
a cerebro of its own (sizers, observers) has no place in a session and is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pandas as pd
from rich.console import Console

from benchmarks.strategies.compared import Case
from forwardtrader.core.clock import SystemClock
from forwardtrader.core.errors import TradingError
from forwardtrader.live.monitoring.terminal import SessionView
from forwardtrader.live.parity.command import compare
from forwardtrader.live.request import read_request
from forwardtrader.live.retraining.stock import FixedSupply
from forwardtrader.live.session.session import LiveSession
from forwardtrader.models.forecaster import LastValueForecaster

BARS: Final = 100
MODES: Final = ("paper", "live")


@dataclass(frozen=True)
class Session:
    """What a session came to: orders and fills, and the first difference from its replay ("" where there is none)."""

    orders: int
    fills: int
    difference: str


def sessions(case: Case, markets: Mapping[str, pd.DataFrame], bars: int = BARS) -> Iterator[Session]:
    """The case on paper, then with real orders; nothing for one that is no class which a session can name.

    Args:
        markets: hourly bars by symbol; the newest of the first one are played where the case takes one symbol.
    """
    if case.strategy is None:
        return
    with TemporaryDirectory(prefix="sessions-", ignore_cleanup_errors=True) as folder:
        played = Path(folder) / "market.csv"
        first = next(iter(markets.values()))
        first.rename_axis("timestamp").set_index(first.index.as_unit("ms").asi8).rename_axis("timestamp").to_csv(played)  # type: ignore[attr-defined]
        for mode in MODES:
            yield _session(case, list(markets)[: case.symbols], mode, Path(folder), bars, played)


def _session(case: Case, symbols: list[str], mode: str, folder: Path, bars: int, played: Path) -> Session:
    assert case.strategy is not None
    words = ["--sandbox", "--speed", "lockstep", "--quiet", f"--{mode}", "--session", mode, "--bars", str(bars)]
    words += ["--strategy", f"{case.strategy.__module__}:{case.strategy.__name__}", "--set", f"live.sessions_path={folder}"]
    words += ["--set", f"live.state_path={folder / 'state.db'}", "--set", "models.train_window=30d", "--set", "models.retrain_every=7d"]
    if case.symbols == 1:
        words += ["--market", str(played)]
    for symbol in symbols:
        words += ["--symbol", symbol]
    for name, value in case.params.items():
        words += ["--param", f"{name}={value}"]
    sources = {symbol: LastValueForecaster() for symbol in symbols}
    try:
        LiveSession(read_request(words), SystemClock(), SessionView(Console(quiet=True), shown=False), supply=FixedSupply(sources)).run()
        parity = compare(folder / mode, SystemClock(), sources)
    except TradingError as error:
        return Session(0, 0, str(error))
    first = parity.first_difference
    what = "" if first is None else f"{first.what}: {first.session or 'nothing'} for {first.replay or 'nothing'}"
    return Session(parity.compared["orders"], parity.compared["fills"], what)
