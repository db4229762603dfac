"""Every setting there is: one small frozen class per room, with its range and its default."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from core.types import parse_span


def _read_span(value: object) -> object:
    return parse_span(value) if isinstance(value, str) else value


def _write_span(value: timedelta) -> str:
    seconds = int(value.total_seconds())
    for unit, size in (("d", 86400), ("h", 3600)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds // 60}m"


Span = Annotated[timedelta, BeforeValidator(_read_span), PlainSerializer(_write_span)]


class Room(BaseModel):
    """The manners of every settings class: frozen, closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FeedSettings(Room):
    """What is traded and where its candles come from."""

    exchange: str = "binance"
    exchange_url: str = ""
    fallback_exchanges: tuple[str, ...] = ("kraken", "coinbase", "bybit")
    symbols: tuple[str, ...] = Field(default=("BTC/USDT",), min_length=1)
    timeframe: str = "1h"
    source: Literal["auto", "store", "download", "sample"] = "auto"
    store_path: str = "var/candles"
    cache_minutes: int = Field(default=60, ge=0)
    request_timeout_s: float = Field(default=10.0, gt=0)
    sample_seed: int = 0


class ModelSettings(Room):
    """The forecaster and its walk-forward calendar."""

    save_path: str = "var/models"
    horizons: tuple[int, ...] = (1, 24)
    units: int = Field(default=32, ge=1, le=1024)
    dropout: float = Field(default=0.2, ge=0, lt=1)
    burn_in: int = Field(default=16, ge=0)
    supervised: int = Field(default=64, ge=1)
    context: int = Field(default=32, ge=1)
    epochs: int = Field(default=6, ge=1)
    batch: int = Field(default=16, ge=1)
    learning_rate: float = Field(default=1e-2, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    huber_delta: float = Field(default=1.0, gt=0)
    horizon_weights: tuple[float, ...] = ()
    seeds: int = Field(default=3, ge=1)
    seed: int = 0
    train_window: Span = timedelta(days=730)
    expanding: bool = False
    retrain_every: Span = timedelta(days=28)
    embargo: int = Field(default=0, ge=0)
    deployment_lag: int = Field(default=1, ge=1)
    baselines: tuple[str, ...] = ("all",)
    jobs: int = Field(default=0, ge=0)
    cluster: str = ""
    cache: bool = True


class StrategySettings(Room):
    """The account, its costs and how forecasts become positions. Exposures and losses are shares of equity."""

    # The account. A fill is `slippage_bps` worse than the price it refers to; the spread is what the decision must earn on top.
    cash: float = Field(default=10_000.0, gt=0)
    fee_bps: float = Field(default=10.0, ge=0, le=1000)
    slippage_bps: float = Field(default=2.0, ge=0, le=1000)
    spread_bps: float = Field(default=1.0, ge=0, le=1000)
    allow_short: bool = False
    # When to trade: `horizon` bars ahead is the forecast that is traded, `holding` the bars over which its edge is counted (0: horizon).
    horizon: int = Field(default=24, ge=1)
    holding: int = Field(default=0, ge=0)
    margin: float = Field(default=1.5, ge=0)
    leave: float = Field(default=0.0, ge=0)
    min_trade: float = Field(default=0.1, ge=0, le=1)
    # How much: the smallest of what edge over variance, volatility, the stop and the exposure limit allow.
    risk_aversion: float = Field(default=1.0, gt=0)
    target_volatility: float = Field(default=0.30, gt=0)
    max_exposure: float = Field(default=1.0, gt=0, le=1)
    risk_tolerance: float = Field(default=0.02, gt=0, le=1)
    stop_scales: float = Field(default=2.0, gt=0)
    cash_reserve: float = Field(default=0.01, ge=0, lt=1)
    # When to stop: after a stop was hit, after a drawdown, after a bad day.
    cooldown: int = Field(default=24, ge=0)
    max_drawdown: float = Field(default=0.35, gt=0, le=1)
    halt_for: Span = timedelta(days=14)
    max_daily_loss: float = Field(default=0.10, gt=0, le=1)


class ReportSettings(Room):
    """Where results go and how they are judged."""

    output: str = "reports/output"
    ledger_path: str = "reports/output/trials.sqlite"
    periods_per_year: int = Field(default=0, ge=0)
    bootstrap_samples: int = Field(default=1000, ge=100)
    confidence: float = Field(default=0.95, gt=0.5, lt=1)


class LiveSettings(Room):
    """The session: what it keeps, whom it tells, when it stops."""

    sessions_path: str = "var/sessions"
    state_path: str = "var/state.db"
    poll_seconds: float = Field(default=30.0, gt=0)
    stale_after_bars: float = Field(default=2.0, gt=0)
    firestore_project: str = ""
    telegram: bool = True


class Settings(Room):
    """All rooms together; each object is given only its own part."""

    feeds: FeedSettings = FeedSettings()
    models: ModelSettings = ModelSettings()
    strategies: StrategySettings = StrategySettings()
    reports: ReportSettings = ReportSettings()
    live: LiveSettings = LiveSettings()

    @model_validator(mode="after")
    def _windows_fit(self) -> Settings:
        if self.models.train_window <= self.models.retrain_every / 4:
            raise ValueError("models.train_window is shorter than a quarter of models.retrain_every; make it longer")
        return self
