"""One factor of a run: a file, or a source that is fetched and recorded, and where its record lies."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal, get_args
from urllib.parse import quote, urlsplit

from pydantic import Field, model_validator

from forwardtrader.core.rooms.room import OptionalSpan, Room

FactorKind = Literal[
    "file", "calendar", "json", "fear_greed", "funding", "mark", "index", "basis", "open_interest", "long_short_ratio", "taker_volume"
]
KINDS: Final[tuple[str, ...]] = get_args(FactorKind)
FILES: Final = ("file", "calendar")
# What a venue is asked for, and in which of its markets: the perpetual, or the symbol that is traded.
OF_PERPETUALS: Final = ("funding", "mark", "index", "basis", "open_interest", "long_short_ratio")
OF_VENUES: Final = (*OF_PERPETUALS, "taker_volume")
_WEB: Final = ("json", "fear_greed")
_MINIMUM_EVERY: Final = timedelta(minutes=1)


class FactorSettings(Room):
    """Facts from outside the candles. What is left out follows from the kind, or from the columns of a file (docs/factors.md).

    `known_after` is how long after its time stamp a value became known; one older than `max_age` counts as not known.
    """

    kind: FactorKind = Field(default="file", description=f"one of {', '.join(KINDS)}")
    file: str = Field(default="", description="of a file or calendar: CSV, plain or gzipped, or Parquet, with a column of times")
    name: str = Field(default="", pattern="^[a-z0-9_]*$", description="lower-case letters, digits and _")
    column: str = Field(default="", description="the column of values; of JSON the key of the value in a row, as a.b or 0")
    known_after: OptionalSpan = None
    max_age: OptionalSpan = None
    exchange: str = Field(default="", description="of a venue's facts: whose; empty for feeds.exchange")
    symbol: str = Field(default="", description="of a venue's facts: empty for the first symbol traded, or its perpetual")
    url: str = Field(default="", description="of JSON: its address; ${NAME} stands for a variable of the environment")
    rows: str = Field(default="", description="of JSON: the key of the list of rows, as a.b; empty for the whole answer")
    time: str = Field(default="timestamp", description="of JSON: the key of the time in a row")
    known_at: str = Field(default="", description="of JSON: the key of the time of publication in a row, where there is one")
    known_before: OptionalSpan = Field(
        default=None, description="of a calendar without a column known_at: how long before it an event is known"
    )
    every: OptionalSpan = Field(default=None, description="live: how often a source is asked")

    @model_validator(mode="after")
    def _says_enough(self) -> FactorSettings:
        if self.kind in FILES and not self.file:
            raise ValueError(f"a factor of the kind {self.kind} needs a file; or name another kind: {', '.join(KINDS)}")
        if self.kind == "json" and not (self.url and self.column and self.name):
            raise ValueError("a factor of the kind json needs a name, a url and a column: the key of the value in a row")
        if self.kind == "json" and self.known_after is None and not self.known_at:
            raise ValueError(
                "say how long after its time stamp a value of the kind json becomes known, as known_after: 1h, or name known_at"
            )
        if self.every is not None and self.every < _MINIMUM_EVERY:
            raise ValueError("every is shorter than a minute; give 1m or more")
        if self.url and (urlsplit(self.url).scheme not in ("http", "https") or "@" in urlsplit(self.url).netloc):
            raise ValueError("url is not of the form https://host/path; keep keys in the environment and write ${NAME} where they stand")
        return self

    @property
    def is_fetched(self) -> bool:
        """Whether it is asked for and recorded, not read from a file of the user's."""
        return self.kind not in FILES

    @property
    def title(self) -> str:
        """Its name, or that of its kind."""
        return self.name or ("fear_and_greed" if self.kind == "fear_greed" else "funding_rate" if self.kind == "funding" else self.kind)


def read_entry(value: object) -> object:
    """An entry of `feeds.factors` as a mapping: a text is a kind that needs nothing else, or a file."""
    if not isinstance(value, str):
        return value
    return {"kind": value} if value in KINDS and value not in (*FILES, "json") else {"file": value}


def located(
    entries: Iterable[FactorSettings], *, root: str, exchange: str, exchange_url: str, symbol: str, seconds: int
) -> tuple[FactorSettings, ...]:
    """The entries as they are fetched and read: with exchange and symbol, and for `file` the path of their record below `root`.

    Args:
        seconds: length of the bars traded; facts of a venue come each hour, or each five minutes where bars are shorter.
    """
    return tuple(_located(entry, Path(root), exchange, exchange_url, symbol, seconds) for entry in entries)


def step_of(seconds: int) -> str:
    """The spacing of a venue's facts beside bars of so many seconds."""
    return "1h" if seconds >= 3600 else "5m"


def _located(entry: FactorSettings, root: Path, exchange: str, exchange_url: str, symbol: str, seconds: int) -> FactorSettings:
    if not entry.is_fetched or entry.file:
        return entry
    if entry.kind in _WEB:
        said = [entry.url, entry.rows, entry.time, entry.column, entry.known_at]
        own = f"-{hashlib.sha256(repr(said).encode()).hexdigest()[:8]}" if entry.url else ""
        return entry.model_copy(update={"file": str(root / entry.kind / f"{entry.title}{own}.csv")})
    own_venue = entry.exchange in ("", exchange)
    symbol = entry.symbol or (_perpetual(symbol) if entry.kind in OF_PERPETUALS else symbol)
    venue = entry.exchange or exchange
    place = f"{venue}@{urlsplit(exchange_url).netloc}" if own_venue and exchange_url else venue
    spaced = entry.kind if entry.kind == "funding" else f"{entry.kind}-{step_of(seconds)}"
    file = root / quote(place, safe="@") / quote(symbol, safe="") / f"{spaced}.csv"
    return entry.model_copy(update={"file": str(file), "exchange": venue, "symbol": symbol})


def _perpetual(symbol: str) -> str:
    quoted = symbol.partition("/")[2]
    return symbol if ":" in symbol or not quoted else f"{symbol}:{quoted}"
