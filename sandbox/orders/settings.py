"""Settings of the practice exchange, with ranges and defaults."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field

from forwardtrader.core.rooms.room import Room
from forwardtrader.sandbox.orders.order import OpenOrders

FASTEST: Final = 100_000  # times real time
FINEST: Final = Decimal("1e-12")  # of prices and sizes
LARGEST: Final = Decimal(10**12)
TIERS: Final = (
    (Decimal(0), Decimal(100), Decimal("0.005")), (Decimal(2_000_000), Decimal(50), Decimal("0.01")),
    (Decimal(10_000_000), Decimal(20), Decimal("0.025")), (Decimal(50_000_000), Decimal(5), Decimal("0.1")),
)  # fmt: skip
Coin: TypeAlias = Annotated[str, Field(pattern=r"^[A-Z0-9]{1,12}$")]
Key: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,128}$")]


class SymbolRules(Room):
    """The grid and limits of one symbol, in quote and base units."""

    tick: Decimal = Field(default=Decimal("0.01"), ge=FINEST, le=LARGEST)
    step: Decimal = Field(default=Decimal("0.00001"), ge=FINEST, le=LARGEST)
    min_size: Decimal = Field(default=Decimal("0.00001"), ge=FINEST, le=LARGEST)
    min_notional: Decimal = Field(default=Decimal(5), ge=0, le=LARGEST)
    max_market_size: Decimal = Field(default=Decimal(1000), ge=FINEST, le=LARGEST)


class BookSettings(Room):
    """The simulated book of the `book` fill mode."""

    spread_bps: float = Field(default=1.0, ge=0, le=1000)
    levels: int = Field(default=20, ge=1, le=1000)
    level_gap_bps: float = Field(default=0.5, gt=0, le=1000)
    level_value: float = Field(default=20_000.0, gt=0, le=1e12)  # quote units at each level
    participation: float = Field(default=0.5, gt=0, le=1)  # part of the traded volume that may fill resting orders
    latency_ms: float = Field(default=0.0, ge=0, le=60_000)


class SandboxSettings(Room):
    """All settings: protocol, symbols, market, fill model, fees, account, limits and faults."""

    protocol: Literal["binance", "bybit"] = "binance"
    port: int = Field(default=0, ge=0, le=65535)
    symbols: tuple[str, ...] = Field(default=("BTC/USDT",), min_length=1)
    market: tuple[str, ...] = ("sample",)  # "sample", FILE for the first symbol, or SYMBOL=FILE
    timeframe: str = "1m"
    speed: float | Literal["lockstep"] = 1.0
    history: int = Field(default=500, ge=1, le=1_000_000)  # bars that lie in the past at the start
    bars: int = Field(default=0, ge=0, le=10**9)  # the market ends after so many more; 0: when the file ends, or never
    rebase: bool = False  # move a file's times so that its history ends now
    ticks_per_bar: int = Field(default=0, ge=0, le=10_000)  # prints of a bar; 0: one a second of real time, in lockstep a few
    fills: Literal["bar", "book"] = "bar"
    slippage_bps: float = Field(default=0.0, ge=0, le=1000)  # bar mode: in full, as in a backtest
    volume_share: float = Field(default=0.0, ge=0, le=1)  # bar mode: of a bar's volume, for post-only orders beyond their limit; 0: a touch
    book: BookSettings = BookSettings()
    rules: dict[str, SymbolRules] = Field(default_factory=dict)
    maker_fee_bps: float = Field(default=10.0, ge=-100, le=1000)
    taker_fee_bps: float = Field(default=10.0, ge=0, le=1000)
    fee_asset: str = "received"  # "received", "quote", or a coin such as "BNB"
    leverage: Decimal = Field(default=Decimal(10), ge=1, le=125)  # of perpetuals, until the client sets another
    tiers: tuple[tuple[Decimal, Decimal, Decimal], ...] = Field(default=TIERS, min_length=1)  # notional from, leverage, maintenance rate
    funding_bps: Decimal = Field(default=Decimal(1), ge=-300, le=300)  # paid by longs at each settlement
    funding_hours: int = Field(default=8, ge=1, le=24)  # from one settlement to the next
    funding: dict[str, str] = Field(default_factory=dict)  # SYMBOL to a file of settlement times and rates
    mark: dict[str, str] = Field(default_factory=dict)  # SYMBOL to a candle file of its mark price
    mark_basis_bps: Decimal = Field(default=Decimal(0), ge=-1000, le=1000)  # of the mark to the last price, where there is no file
    liquidation_fee_bps: Decimal = Field(default=Decimal(50), ge=0, le=1000)
    hedged: bool = False  # the account is in hedge mode, with a long and a short side of each position
    isolated: bool = False  # margin is isolated by position
    balances: dict[Coin, Annotated[Decimal, Field(ge=0, le=10**15)]] = Field(default_factory=lambda: {"USDT": Decimal(10_000)})
    limits: Literal["auto", "on", "off"] = "auto"  # auto: enforced at real time only
    weight_per_minute: int = Field(default=6000, ge=1)
    orders_per_10s: int = Field(default=100, ge=1)
    orders_per_day: int = Field(default=200_000, ge=1)
    max_orders: int = Field(default=200, ge=1)  # open at once, of one symbol
    max_trigger_orders: int = Field(default=5, ge=1)  # of these, stops and take-profits
    faults: dict[str, dict[str, float | int | str]] = Field(default_factory=dict)
    state: str = ""  # the folder that keeps accounts, orders and market over a restart; "" for none
    waits: bool = False  # the market does not run until the control command `begin`
    owner: int = Field(default=0, ge=0)  # pid of the parent process that it ends with; 0: none
    orphan_s: float = Field(default=0.0, ge=0)  # how long it waits for a new parent process once that one is gone
    connection_life_s: float = Field(default=86_400.0, gt=0)
    withdrawals: Literal["no", "yes", "unanswered"] = "no"  # the answer to whether the key may withdraw
    trading: bool = True  # whether the key may place orders
    order_answers: Literal["full", "ids"] = "full"  # Binance: ids leaves the state of an order out of the answer, as Bybit always does
    read_lag_s: dict[Literal["order", "orders", "trades", "balance"], Annotated[float, Field(ge=0, le=3600)]] = Field(default_factory=dict)
    read_lag_bars: dict[Literal["order", "orders", "trades", "balance"], Annotated[int, Field(ge=0, le=10_000)]] = Field(
        default_factory=dict  # by how much queries of one order, of lists of orders, of executions and of balances are behind
    )
    page_limit: int = Field(default=0, ge=0)  # the most rows of a page of orders or executions; 0: the venue's own
    more_keys: dict[Key, Key] = Field(default_factory=dict)  # further keys of the account, with their secrets
    api_key: str = ""  # generated at the start where empty
    api_secret: str = ""
    admin_token: str = ""
    seed: int = Field(default=0, ge=0)

    @property
    def latency_s(self) -> float:
        """Latency of a request in seconds; 0 in bar mode."""
        return self.book.latency_ms / 1000 if self.fills == "book" else 0.0

    @property
    def lags(self) -> dict[str, tuple[float, int]]:
        """By kind of query: by how many seconds and how many bars it is behind."""
        kinds = sorted({*self.read_lag_s, *self.read_lag_bars})
        return {kind: (self.read_lag_s.get(kind, 0.0), self.read_lag_bars.get(kind, 0)) for kind in kinds}

    @property
    def most_open(self) -> OpenOrders:
        return OpenOrders(self.max_orders, self.max_trigger_orders)
