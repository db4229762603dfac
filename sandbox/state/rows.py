"""The state as rows: the shapes that are written, with their reading and writing as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from forwardtrader.core.errors import StoreDamaged
from forwardtrader.sandbox.engine.events import Funded
from forwardtrader.sandbox.orders.account import AccountMode, PerpetualPosition
from forwardtrader.sandbox.orders.candle import Candle
from forwardtrader.sandbox.orders.order import ExchangeOrder, Trade
from forwardtrader.sandbox.orders.settings import SandboxSettings
from forwardtrader.sandbox.state.state_file import Row, Rows

T = TypeVar("T")


@dataclass(frozen=True)
class HeaderRow:
    """What is fixed at the first start; the keys are among the settings."""

    settings: SandboxSettings
    opened_at: int


@dataclass(frozen=True)
class AccountRow:
    free: dict[str, Decimal]
    locked: dict[str, Decimal]
    positions: dict[str, PerpetualPosition]
    insured: dict[str, Decimal]
    mode: AccountMode = field(default_factory=AccountMode)


@dataclass(frozen=True)
class ListRow:
    """An order list; its orders by their numbers."""

    id: int
    account: str
    symbol: str
    client_id: str
    placed_at: int
    working: int | None
    legs: list[int]
    done: bool


@dataclass(frozen=True)
class ListingRow:
    """A symbol, its running bar, and its position in the source of bars."""

    last: Decimal
    bar: Candle | None
    running: Candle | None
    halted: bool
    prints: int
    taken: dict[Decimal, Decimal]
    tick: Decimal
    step: Decimal
    min_size: Decimal
    after: int
    ahead: Candle | None
    waiting: list[Candle]
    factor: Decimal
    hidden: bool
    mark_price: Decimal | None = None


@dataclass(frozen=True)
class MarketRow:
    """The position of the market as a whole."""

    at: int
    played: int
    printed: int
    ended: bool
    fill_cap: Decimal | None
    paid_until: int
    skew_ms: int
    withdrawals: str
    trading: bool
    revoked: list[str]
    protected_s: int


@dataclass(frozen=True)
class SwitchRow:
    name: str
    values: dict[str, float | int | str]
    left: int | None
    fired: int


@dataclass(frozen=True)
class FaultsRow:
    """Armed faults, the state of their random numbers, and what they have started."""

    switches: list[SwitchRow]
    version: int
    internal: list[int]
    gauss: float | None
    halted: dict[str, int]
    foreign: int


class Shape(Generic[T]):
    """One kind of row."""

    def __init__(self, kind: str, type_: Any, leave_out: frozenset[str] = frozenset()) -> None:
        self.kind = kind
        self._adapter: TypeAdapter[T] = TypeAdapter(type_)
        self._leave_out = set(leave_out) or None

    def row(self, key: str | int, value: T) -> Row:
        """A row; numbers as keys keep their order as text."""
        text = f"{key:012d}" if isinstance(key, int) else key
        return self.kind, text, self._adapter.dump_json(value, exclude=self._leave_out)

    def found(self, rows: Rows) -> dict[str, T]:
        """All rows of this kind by key, in its order.

        Raises:
            StoreDamaged: one cannot be read.
        """
        try:
            return {key: self._adapter.validate_json(body) for key, body in sorted(rows.get(self.kind, {}).items())}
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors()[0]["loc"])
            raise StoreDamaged(f"the state of the exchange is damaged ({self.kind} {where}); move its folder away to start anew") from error


HEADER: Final[Shape[HeaderRow]] = Shape("header", HeaderRow)
PORT: Final[Shape[int]] = Shape("port", int)
ACCOUNT_ROW: Final[Shape[AccountRow]] = Shape("account", AccountRow)
ORDER: Final[Shape[ExchangeOrder]] = Shape("order", ExchangeOrder, frozenset({"trades"}))
TRADE: Final[Shape[Trade]] = Shape("trade", Trade)
FUNDED: Final[Shape[Funded]] = Shape("funded", Funded)
LIST: Final[Shape[ListRow]] = Shape("list", ListRow)
CANDLE: Final[Shape[Candle]] = Shape("candle", Candle)
LISTING: Final[Shape[ListingRow]] = Shape("listing", ListingRow)
PATH: Final[Shape[list[tuple[Decimal, Decimal]]]] = Shape("path", list[tuple[Decimal, Decimal]])
MARKET: Final[Shape[MarketRow]] = Shape("market", MarketRow)
FAULTS: Final[Shape[FaultsRow]] = Shape("faults", FaultsRow)
EVERY: Final = (HEADER, PORT, ACCOUNT_ROW, ORDER, TRADE, FUNDED, LIST, CANDLE, LISTING, PATH, MARKET, FAULTS)
ONLY: Final = "it"  # the key of a kind that has one row
