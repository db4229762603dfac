"""A running session as status and terminal view see it, without a venue."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from forwardtrader.core.clock import FixedClock
from forwardtrader.core.types import DataKind, Forecast
from forwardtrader.live.monitoring.health import SessionHealth
from forwardtrader.live.monitoring.progress import SessionProgress
from forwardtrader.live.monitoring.status import RunningSession
from forwardtrader.live.monitoring.watchdog import Watchdog
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.request import read_request
from forwardtrader.live.retraining.stock import FixedSupply
from forwardtrader.strategies.trading_state.guard import TradingGuard

START = datetime(2024, 1, 1, tzinfo=UTC)
FORECAST = Forecast(at=START, horizon=24, location=0.001, scale=0.02, quantiles=(-0.03, -0.01, 0.0, 0.01, 0.03), p_up=0.55, model_id="m")


class Data:
    """One symbol with one bar."""

    def __init__(self, symbol: str, close: float) -> None:
        self._name, self.close = symbol, [close]

    def __len__(self) -> int:
        return 1


class Account:
    """Holds 2 BTC that were bought at 90, and nothing else."""

    guard: TradingGuard | None = None
    holdings: Any = SimpleNamespace(dust=lambda: [SimpleNamespace(symbol="ETH/USDT", units=0.00001)])

    def __init__(self) -> None:
        self.refused = {"ETH/USDT": {"the session is paused": 2}}

    def get_value(self) -> float:
        return 1_200.0

    def get_cash(self) -> float:
        return 1_000.0

    def getposition(self, data: Any) -> Any:
        return SimpleNamespace(size=2.0, price=90.0) if data._name == "BTC/USDT" else SimpleNamespace(size=0.0, price=0.0)

    def get_orders_open(self) -> list[Any]:
        order = SimpleNamespace(
            ref=7, info={}, data=Data("BTC/USDT", 100.0), isbuy=lambda: False, executed=SimpleNamespace(remsize=-2.0),
            created=SimpleNamespace(price=80.0, dt=738_886.0), getstatusname=lambda: "Accepted",
        )  # fmt: skip
        return [order]


def running_session(store: SessionStore, folder: Path, *, seen: bool = True, connected: bool = True) -> RunningSession:
    """`seen` says whether a bar was seen."""
    clock = FixedClock(START + timedelta(hours=2))
    request = read_request(["--session", "one", "--symbol", "BTC/USDT", "--symbol", "ETH/USDT", "--set", f"live.sessions_path={folder}"])
    progress = SessionProgress(START, bars=3)
    if seen:
        strategy = SimpleNamespace(
            datas=[Data("BTC/USDT", 100.0), Data("ETH/USDT", 10.0)], datetime=SimpleNamespace(datetime=lambda _n: START)
        )
        progress.last_bar, progress.strategy, progress.start_equity = int(START.timestamp() * 1000), strategy, 1_000.0
    markets = [SimpleNamespace(source=SimpleNamespace(reconnects=2), barrier=SimpleNamespace(missed=0), merge=None)]
    bridge: Any = SimpleNamespace(exchange="binance", is_connected=connected, markets=markets)
    watchdog = Watchdog(request.settings.risk, longest_bar_age_s=10.0, notify=lambda *_, **__: None, hold=None, monotonic=lambda: 0.0)
    return RunningSession(
        request=request, kind=DataKind.REAL, is_practice=False, clock=clock, progress=progress, broker=Account(), supply=FixedSupply({}),
        forecasts={"BTC/USDT": SimpleNamespace(newest=FORECAST)}, bridge=bridge, watchdog=watchdog, health=SessionHealth(store, clock),
    )  # fmt: skip
