"""Every setting there is: one small frozen class per room, with its range and its default."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field, JsonValue, model_validator

from forwardtrader.core.rooms.confirmation import ConfirmationSettings
from forwardtrader.core.rooms.factor import FactorSettings, located, read_entry
from forwardtrader.core.rooms.learning import LearningSettings as LearningSettings
from forwardtrader.core.rooms.room import OptionalSpan, Room, Span
from forwardtrader.core.types import Timeframe

Action = Literal["reduce", "halt", "flatten"]
AlertKind = Literal["fills", "stops", "halts", "data", "models", "orders", "commands", "summary", "other"]
ALERT_KINDS: tuple[AlertKind, ...] = get_args(AlertKind)


class FeedSettings(ConfirmationSettings):
    """What is traded and where its candles come from."""

    exchange: str = Field(default="binance", description="whose candles and market rules; any venue ccxt knows")
    exchange_url: str = Field(
        default="", description="another address for the venue, e.g. a practice exchange on loopback; empty for its own"
    )
    fallback_exchanges: tuple[str, ...] = Field(
        default=("kraken", "coinbase", "bybit"), description="venues asked for candles, in this order, when the first one cannot be reached"
    )
    symbols: tuple[str, ...] = Field(
        default=("BTC/USDT",), min_length=1, description="what to trade; several share one account and one model"
    )
    universe: str = Field(
        default="", description="backtests: which symbols may be traded when, a file with the columns symbol, from, to, or top:20 by volume"
    )
    timeframe: str = Field(default="1h", description="length of one bar: 1m, 15m, 1h, 4h, 1d")
    resample: tuple[str, ...] = Field(
        default=(), description="longer bars that a strategy sees as data1, data2, ... behind those traded; multiples of the timeframe"
    )
    detail: str = Field(
        default="",
        description="backtests: finer bars, such as 1m, by which resting orders and liquidations go inside each bar; empty for none",
    )
    source: Literal["auto", "store", "download", "sample"] = Field(default="auto", description="auto, store, download or sample")
    store_path: str = Field(default="var/candles", min_length=1, description="where candles are kept")
    cache_minutes: int = Field(default=60, ge=0, description="within so many minutes after a download no venue is asked again")
    request_timeout_s: float = Field(default=10.0, gt=0, description="seconds a venue may take to answer")
    max_file_mb: int = Field(default=512, ge=1, le=100_000, description="megabytes that a candle file may hold once it is unpacked")
    date_format: str = Field(
        default="", description="dates of candle files: `day first`, `month first` or a pattern like %d.%m.%Y; empty: the file decides"
    )
    file_zone: str = Field(default="", description="zone of times in candle files that state none, e.g. Europe/Berlin; empty for UTC")
    stamped: Literal["", "open", "end"] = Field(
        default="",
        description="which moment of a bar its time in a candle file is: open or end; empty: the open, unless a file shows it",
    )
    funding_prior_bps: float = Field(
        default=1.0, ge=-100, le=100, description="paid by longs to shorts each eight hours where the funding of a perpetual is not known"
    )
    sample_seed: int = Field(default=0, ge=0, description="which simulated market the sample is")
    factors: tuple[Annotated[FactorSettings, BeforeValidator(read_entry)], ...] = Field(
        default=(), description="facts from outside the candles, by kind; docs/factors.md has what an entry may say"
    )
    factor_path: str = Field(default="var/factors", min_length=1, description="where facts that are fetched are recorded")
    record_path: str = Field(default="var/recorded", min_length=1, description="where download --live records what a venue says")
    record_mb: int = Field(default=5000, ge=10, description="megabytes that it may take; the oldest days of trades and book tops go first")

    @model_validator(mode="after")
    def _bars_can_be_joined(self) -> FeedSettings:
        if len(set(self.resample)) != len(self.resample):
            raise ValueError("resample names a length twice; name each one once")
        for text in self.resample:
            length, step = Timeframe.parse(text).seconds, Timeframe.parse(self.timeframe).seconds
            if length <= step or length % step:
                raise ValueError(f"bars of {self.timeframe} cannot be joined to bars of {text}; choose a multiple of {self.timeframe}")
        return self

    @model_validator(mode="after")
    def _bars_can_be_split(self) -> FeedSettings:
        if self.detail:
            length, step = Timeframe.parse(self.timeframe).seconds, Timeframe.parse(self.detail).seconds
            if step >= length or length % step:
                raise ValueError(f"bars of {self.timeframe} are not made up of bars of {self.detail}; choose a finer one that divides them")
        return self

    @property
    def located_factors(self) -> tuple[FactorSettings, ...]:
        """The factors with the files that they are read from: their own, or their records."""
        return located(
            self.factors, root=self.factor_path, exchange=self.exchange, exchange_url=self.exchange_url, symbol=self.symbols[0],
            seconds=Timeframe.parse(self.timeframe).seconds,
        )  # fmt: skip


class ModelSettings(Room):
    """The forecaster and its walk-forward calendar."""

    save_path: str = Field(default="var/models", min_length=1, description="where trained models and their forecasts are kept")
    forecaster: str = Field(default="lstm", description="the forecaster: lstm, another that comes along, or MODULE:CLASS of your own")
    compared: tuple[str, ...] = Field(default=(), description="other forecasters, scored beside the one that is traded")
    params: dict[str, JsonValue] = Field(default={}, description="parameters of a forecaster other than the lstm, by name")
    horizons: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(1, 4), description="bars ahead that are forecast")
    features: Annotated[tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)] = Field(
        default=(), description="by name, * allowed; your own as MODULE:NAME or file.py:NAME; empty: the whole catalogue"
    )
    units: int = Field(default=48, ge=1, le=1024, description="width of the LSTM")
    dropout: float = Field(default=0.2, ge=0, lt=1, description="share of hidden states left out in training")
    burn_in: int = Field(default=8, ge=0, description="bars at the start of a training sequence that are not supervised")
    supervised: int = Field(default=64, ge=1, description="bars of a training sequence that are")
    context: int = Field(default=24, ge=1, description="bars the network sees when it forecasts")
    epochs: int = Field(default=4, ge=1, description="passes over the training window")
    batch: int = Field(default=16, ge=1, description="sequences per update")
    learning_rate: float = Field(default=2e-2, gt=0, description="step size of the training")
    averaged: float = Field(default=0.25, gt=0, le=1, description="share of the updates whose weights are averaged")
    linear_ridge: float = Field(default=0.1, gt=0, description="penalty on the linear rule that a network starts from")
    skip_rate: float = Field(default=0.1, ge=0, description="step size of that rule, as a share of the network's")
    trees: float = Field(default=0.5, ge=0, lt=1, description="share of boosted trees in the forecast of the first horizon")
    shrink: float = Field(default=0.6, gt=0, le=1, description="share of the network's location that is believed at one bar ahead")
    weight_decay: float = Field(default=0.0, ge=0, description="pull of the weights towards zero")
    huber_delta: float = Field(default=1.0, gt=0, description="where the loss turns from square to straight, in usual moves")
    horizon_weights: tuple[Annotated[float, Field(ge=0)], ...] = Field(
        default=(), description="weight of each horizon in the loss; empty for equal ones"
    )
    seeds: int = Field(default=3, ge=1, description="networks averaged in each model")
    seed: int = Field(default=0, ge=0, description="of all randomness")
    train_window: Span = Field(default=timedelta(days=730), description="history each model learns from")
    expanding: bool = Field(default=False, description="learn from all history before each boundary instead")
    retrain_every: Span = Field(
        default=timedelta(days=28), description="time between boundaries, which stand at fixed distances from 2000-01-01"
    )
    anew_every: int = Field(
        default=4, ge=1, description="every so many-th model learns from nothing; those between go on from it, for fewer updates"
    )
    refresh: float = Field(default=0.25, gt=0, le=1, description="updates of one that goes on, as a share of the usual ones")
    embargo: int = Field(default=0, ge=0, description="bars left out before a boundary, beyond the longest horizon")
    deployment_lag: int = Field(default=1, ge=1, description="bars from a boundary until its model is in force")
    baselines: tuple[str, ...] = Field(default=("all",), description="forecasters fitted beside the network: all, none, or names")
    jobs: int = Field(default=0, ge=0, description="folds trained at a time; 0 for one per core")
    cluster: str = Field(default="", description="address of a Dask scheduler; empty to train here")
    cache: bool = Field(default=True, description="use models trained before on the same candles with the same settings")


class StrategySettings(Room):
    """The account, its costs and how forecasts become positions. Exposures and losses are shares of equity."""

    # The account. A fill is `slippage_bps` worse than the price it refers to; the spread is what the decision must earn on top.
    cash: float = Field(default=10_000.0, gt=0, description="starting cash, in quote currency")
    fee_bps: float = Field(default=10.0, ge=0, le=1000, description="fee per side, in basis points")
    slippage_bps: float = Field(default=2.0, ge=0, le=1000, description="how much worse than its reference price a fill is, in bp")
    spread_bps: float = Field(default=1.0, ge=0, le=1000, description="what a trade must earn on top, in basis points")
    allow_short: bool | None = Field(default=None, description="sell short where the market allows it; unset: perpetuals only")
    # Perpetuals. A market or stop order pays `fee_bps`, a resting limit order `maker_fee_bps`; on spot, post-only entries do.
    leverage: float = Field(default=1.0, ge=1, le=125, description="largest leverage at which perpetuals are held")
    maker_fee_bps: float | None = Field(
        default=None, ge=-100, le=1000, description="fee of a resting order, in basis points; unset: fee_bps, or that of the venue's list"
    )
    liquidation_fee_bps: float = Field(default=50.0, ge=0, le=1000, description="fee of a liquidation, in basis points")
    # Entries. A resting one is filled where the price trades through it by a tick, up to `volume_share` of each bar's volume.
    entry: Literal["market", "maker"] = Field(
        default="market", description="market, or maker: a post-only limit order where that is expected to save more than waiting costs"
    )
    entry_deadline: int = Field(default=1, ge=1, le=1000, description="bars that such an entry rests")
    entry_then: Literal["market", "give_up"] = Field(default="market", description="what follows then: market or give_up")
    volume_share: float = Field(default=0.1, gt=0, le=1, description="share of a bar's volume that fills a resting entry at most")
    limit_fills: Literal["touch", "through"] = Field(
        default="touch", description="limit orders of your own strategy: filled as in Backtrader, or through as resting entries are"
    )
    # When to trade: `horizon` bars ahead is the forecast that is traded, `holding` the time over which gain is counted: as far as the
    # forecast reaches what it says, beyond it `premium` (0d: only as far as the forecast reaches).
    horizon: int = Field(default=4, ge=1, description="bars ahead of the forecast that is traded")
    holding: Span = Field(default=timedelta(days=14), description="time over which a position's gain is counted; 0d for the horizon")
    premium: float = Field(
        default=0.5, ge=0, le=3, description="yearly Sharpe ratio that holding is expected to have where no forecast reaches"
    )
    margin: float = Field(default=1.25, ge=0, description="round trips the edge must be worth before exposure grows")
    leave: float = Field(default=0.0, ge=0, description="round trips the edge must be below zero before exposure shrinks")
    min_trade: float = Field(default=0.5, ge=0, le=1, description="changes smaller than this share of the risk limit are not made")
    # All symbols of a bar together (`rule: portfolio`): `horizon` is traded, and turnover follows from costs instead of `holding`; of what
    # is above only `leave` counts. No position is larger than `portfolio_share` equal shares of `max_exposure`.
    rule: Literal["auto", "single", "portfolio"] = Field(
        default="auto",
        description="single: each symbol by itself; portfolio: all together; auto: portfolio for several symbols and for perpetuals",
    )
    portfolio_margin: float = Field(default=2.0, ge=0, description="round trips a position must be expected to gain before it grows")
    portfolio_aversion: float = Field(default=3.0, gt=0, description="weight of the account's variance against its gain")
    portfolio_share: float = Field(default=1.0, gt=0, description="largest position, in equal shares of max_exposure among the symbols")
    portfolio_net: float = Field(default=1.0, gt=0, description="largest difference of long and short positions, as a share of equity")
    portfolio_volatility: float = Field(default=0.7, gt=0, description="annual volatility that is expected of the account at no time")
    portfolio_min_trade: float = Field(default=0.1, ge=0, lt=1, description="changes smaller than this share of the largest are not made")
    portfolio_stop: float = Field(default=10.0, gt=0, description="distance of the stop, in forecast scales of a day")
    portfolio_memory: Span = Field(default=timedelta(days=14), description="half-life of the moves that correlations are learned from")
    portfolio_shrinkage: float = Field(default=0.5, ge=0, le=1, description="share of the mean correlation in each correlation")
    # How much: the smallest of what edge over variance, volatility, the stop and the exposure limit allow.
    risk_aversion: float = Field(default=1.0, gt=0, description="weight of variance against edge; 1 is growth-optimal")
    target_volatility: float = Field(default=0.40, gt=0, description="annual volatility the account is held to")
    max_exposure: float = Field(
        default=1.0, gt=0, le=125, description="largest share of equity in the market; above 1 for perpetuals at a leverage only"
    )
    risk_tolerance: float = Field(default=0.02, gt=0, le=1, description="share of equity that may be lost at the stop")
    stop_scales: float = Field(default=3.0, gt=0, description="distance of the stop, in forecast scales of a day")
    scale_memory: Span = Field(default=timedelta(days=7), description="half-life of the forecast scale that sizes and stops go by")
    cash_reserve: float = Field(default=0.01, ge=0, lt=1, description="share of equity never spent")
    # When to stop: after a stop was hit, after a drawdown, after a bad day.
    cooldown: Span = Field(default=timedelta(days=1), description="how long no new position is taken after a stop")
    max_drawdown: float = Field(default=0.35, gt=0, le=1, description="loss from the peak that halts trading")
    halt_for: Span = Field(default=timedelta(days=14), description="how long such a halt lasts")
    max_daily_loss: float = Field(default=0.10, gt=0, le=1, description="loss within a UTC day that locks new positions")

    @model_validator(mode="after")
    def _exposure_is_margined(self) -> StrategySettings:
        if self.max_exposure > max(self.leverage, 1.0):
            raise ValueError(
                f"strategies.max_exposure {self.max_exposure:g} is above strategies.leverage {self.leverage:g}; lower it or raise that"
            )
        return self

    def decides_together(self, symbols: int, *, perpetual: bool) -> bool:
        """Whether an account of so many symbols is decided on as one."""
        return self.rule == "portfolio" or (self.rule == "auto" and (symbols > 1 or perpetual))

    def sells_short(self, *, perpetual: bool) -> bool:
        """Whether symbols that can be sold short are."""
        return perpetual if self.allow_short is None else self.allow_short


class ReportSettings(Room):
    """Where results go and how they are judged."""

    output: str = Field(default="reports/output", min_length=1, description="where run folders go")
    ledger_path: str = Field(default="reports/output/trials.sqlite", min_length=1, description="where trials are counted")
    periods_per_year: int = Field(default=0, ge=0, description="trading days in a year; 0 for what the market says (365 or 252)")
    bootstrap_samples: int = Field(default=1000, ge=100, description="draws behind each interval")
    confidence: float = Field(default=0.95, gt=0.5, lt=1, description="of each interval")


class LiveSettings(Room):
    """The live session: its files, notifications, and when it stops."""

    sessions_path: str = Field(default="var/sessions", min_length=1, description="where sessions are kept")
    state_path: str = Field(
        default="var/state.db", min_length=1, description="the database of what is mirrored, and of what the mirror lacks"
    )
    poll_seconds: float = Field(default=30.0, gt=0, description="base wait between polls where there is no socket")
    stale_after_bars: float = Field(default=2.0, gt=0, description="bars without an update after which a feed counts as stale")
    firestore_project: str = Field(default="", description="mirror state and audit there; empty for none")
    firestore_writes_per_day: int = Field(default=20_000, ge=0, description="what is beyond waits for the next day; 0 for no limit")
    firestore_lag_s: float = Field(default=300.0, gt=0, description="seconds that a document may wait for Firestore before an alert")
    firestore_outage: Literal["trade", "hold"] = Field(
        default="trade", description="where Firestore does not answer: trade on and alert, or no start and no new exposure without a lease"
    )
    telegram: bool = Field(default=True, description="send alerts where a token is set")
    telegram_commands: bool = Field(default=True, description="obey commands from the configured chat; one session for each bot")
    telegram_level: Literal["info", "warning", "error"] = Field(default="info", description="the least that is sent; errors always are")
    telegram_kinds: tuple[AlertKind, ...] = Field(
        default=ALERT_KINDS, description="what is sent besides errors: some of these kinds; summary is one a day, with the equity's curve"
    )
    metrics_port: int = Field(default=0, ge=0, le=65535, description="port of metrics for Prometheus, on this machine only; 0 for none")
    start_patience_s: float = Field(default=30.0, ge=0, description="how long a venue that cannot be reached is tried at the start")
    practice_fills: Literal["bar", "book"] = Field(
        default="bar", description="how the practice exchange fills real orders: as a backtest does, or from a book with a spread"
    )
    heartbeat_url: str = Field(default="", description="called every 30 seconds while a session turns, for a service that misses it")
    orders_at_stop: Literal["keep", "cancel"] = Field(
        default="keep", description="what becomes of real orders that rest when a session is stopped: keep or cancel"
    )


class RiskSettings(Room):
    """Limits that no strategy gets past: on the account's losses in every run, on the orders of a real account.

    Losses and exposures are shares of equity, values in the quote currency of each symbol; a limit of null is none.
    """

    # Every strategy, in backtests, on paper and live alike.
    gate: bool = Field(default=True, description="whether the limits below hold; those of the strategy hold besides")
    max_drawdown: float | None = Field(default=None, gt=0, lt=1, description="every run: loss from the highest equity; null for no limit")
    on_drawdown: Action = Field(default="flatten", description="then: reduce (only exits), halt (only stops) or flatten (sell all, halt)")
    drawdown_rearm: OptionalSpan = Field(default=None, description="trade again after that time; null: only by hand (--resume)")
    max_daily_loss: float | None = Field(default=None, gt=0, lt=1, description="every run: loss within a UTC day; null for no limit")
    on_daily_loss: Action = Field(default="reduce", description="then, until the next UTC day: reduce, halt or flatten")
    max_losing_streak: int | None = Field(default=None, ge=1, description="every run: losing trades in a row; null for no limit")
    on_losing_streak: Action = Field(default="reduce", description="then: reduce, halt or flatten")
    losing_streak_rearm: Span = Field(default=timedelta(days=1), description="trade again after that time")
    max_gross_exposure: float | None = Field(
        default=None, gt=0, description="every run: all positions and resting entries; null for no limit"
    )
    max_symbol_exposure: float | None = Field(default=None, gt=0, description="every run: the same of one symbol; null for no limit")
    max_orders_per_bar: int | None = Field(default=None, ge=1, description="every run: twice as many where they reduce; null for no limit")
    max_orders_per_hour: int | None = Field(default=None, ge=1, description="every run: the same within an hour of bars; null for no limit")
    max_model_age: OptionalSpan = Field(default=None, description="every run: of the model in force, then reduce; null for no limit")
    # A real account.
    max_order_value: float = Field(default=25_000.0, gt=0, description="largest order that adds to a position")
    max_position_value: float = Field(default=100_000.0, gt=0, description="largest position, orders that rest included")
    max_orders_per_minute: int = Field(default=60, ge=1, description="more are refused; twice as many where they make a position smaller")
    on_missing_stop: Literal["close", "hold"] = Field(
        default="close", description="a stop stays refused though it was sent again: close its position at the market, or hold it"
    )
    price_collar: float = Field(default=0.05, ge=0, lt=1, description="how far a limit may lie beyond the last price; 0 for any distance")
    on_trouble: Literal["hold", "alert"] = Field(
        default="hold", description="bars overdue, loop stalled or clock off: hold (add to no position) or only alert"
    )
    max_stall_s: float = Field(default=60.0, gt=0, description="seconds a turn of the session may take before that is trouble")
    max_clock_offset_s: float = Field(default=1.0, gt=0, description="seconds this machine's clock may differ from the venue's")
    max_mark_gap: float = Field(default=0.05, gt=0, le=1, description="share by which a perpetual's mark may be off its last price")

    @model_validator(mode="after")
    def _agree(self) -> RiskSettings:
        _require_order("risk.max_symbol_exposure", self.max_symbol_exposure, "risk.max_gross_exposure", self.max_gross_exposure)
        _require_order("risk.max_orders_per_bar", self.max_orders_per_bar, "risk.max_orders_per_hour", self.max_orders_per_hour)
        for name in ("drawdown_rearm", "losing_streak_rearm", "max_model_age"):
            if getattr(self, name) == timedelta(0):
                raise ValueError(f"risk.{name} is no time at all; give a span such as 1d")
        return self


def _require_order(lower: str, small: float | None, upper: str, large: float | None) -> None:
    if small is not None and large is not None and small > large:
        raise ValueError(f"{lower} ({small:g}) is above {upper} ({large:g}) and would never be reached; lower it, or leave it out")


class Settings(Room):
    """All rooms together; each object is given only its own part."""

    feeds: FeedSettings = FeedSettings()
    models: ModelSettings = ModelSettings()
    learning: LearningSettings = LearningSettings()
    strategies: StrategySettings = StrategySettings()
    reports: ReportSettings = ReportSettings()
    live: LiveSettings = LiveSettings()
    risk: RiskSettings = RiskSettings()

    @model_validator(mode="after")
    def _windows_fit(self) -> Settings:
        if self.models.train_window <= self.models.retrain_every / 4:
            raise ValueError("models.train_window is shorter than a quarter of models.retrain_every; make it longer")
        oldest = self.risk.max_model_age
        if oldest is not None and oldest <= self.models.retrain_every:
            raise ValueError("risk.max_model_age is not longer than models.retrain_every, so that every model would expire; make it longer")
        return self
