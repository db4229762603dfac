"""The documents of a session: what its files hold, as plain values under deterministic names, and complete: the files can be made of them.

Below `sessions/NAME`: `trading_logs` (one a bar), `orders`, `executions`, `payments`, `funding`, `fills`, `commands`, `errors` (one
a row), `positions` (one a symbol), and `state` (what a restart needs). Names are those of the rows: the same row is the same document,
whoever writes it, and however often.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from forwardtrader.core.types import OHLCV
from forwardtrader.live.output.perpetual_facts import PRICES
from forwardtrader.live.output.state_store import Body
from forwardtrader.live.sqlite_file import Row, SqliteFile
from forwardtrader.strategies.backtrader.bars_frame import epoch_seconds

_EPOCH_DAY: Final = 719163
_DAY_MS: Final = 86_400_000.0
_NEAR: Final = 0.4 / 86_400  # of a day, between a bar's time and Backtrader's number of it
FORECAST: Final = ("horizon", "location", "scale", "q05", "q25", "q50", "q75", "q95", "p_up", "model_id")
USAGE: Final = ("memory_mb", "cpu_percent", "iteration_ms")
DECISION: Final = ("id", "number", "symbol", "side", "size", "kind", "price", "lim", "reason", "refusal")


@dataclass(frozen=True)
class RowKind:
    """A table whose every row is one document.

    Attributes:
        collection: where its documents are.
        keys: columns that name a row, in this order.
        where: which rows are mirrored.
        most_recent: how many of the newest rows may yet change.
        begins: the number of the first row in its name, less the row's own.
    """

    table: str
    collection: str
    keys: tuple[str, ...]
    where: str = "1"
    most_recent: int = 0
    begins: int = 0

    def name(self, row: Mapping[str, Any]) -> str:
        """The document of a row, below its session."""
        values = [row[key] for key in self.keys]
        return f"{self.collection}/{'~'.join(f'{v + self.begins:08d}' if isinstance(v, int) else id_of(str(v)) for v in values)}"


# The journal's tables; those of the session's file.
INTENTS: Final = RowKind("intents", "orders", ("client_id",), most_recent=200)
EXECUTIONS: Final = RowKind("executions", "executions", ("symbol", "trade_id"), most_recent=200)
PAYMENTS: Final = RowKind("payments", "payments", ("id",))
FILLS: Final = RowKind("fills", "fills", ("id",), most_recent=50, begins=-1)
FUNDING: Final = RowKind("perpetual_funding", "funding", ("symbol", "at"), most_recent=200)
COMMANDS: Final = RowKind("commands", "commands", ("id",))
NOTES: Final = RowKind("notes", "errors", ("id",), "level <> 'info'")
PAPER_ORDERS: Final = RowKind("orders", "orders", ("id",))


def id_of(text: str) -> str:
    """A text as the id of a document."""
    return text.replace("/", "-") or "-"


def bar_name(at: int) -> str:
    """The document of the bar that opened at `at` (ms UTC), below its session."""
    return f"trading_logs/{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%dT%H:%M:%S}.{at % 1000:03d}Z"


def bar_of_name(name: str) -> int:
    """The opposite of `bar_name`."""
    return round(datetime.fromisoformat(name.rpartition("/")[2]).timestamp() * 1000)


def records(db: SqliteFile, sql: str, *values: object) -> list[dict[str, Any]]:
    """Rows as mappings."""
    cursor = db.run(sql, *values)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def row_documents(db: SqliteFile, kind: RowKind, after: int, most: int) -> tuple[list[tuple[str, Body]], int]:
    """Documents of at most `most` rows after a row's number, and the number of the last one."""
    sql = f"select rowid as row_number, * from {kind.table} where rowid > ? and ({kind.where}) order by rowid limit ?"
    rows = records(db, sql, after, most)
    last = int(rows[-1]["row_number"]) if rows else after
    return [(kind.name(row), _with_time({k: v for k, v in row.items() if k != "row_number"})) for row in rows], last


def keyed_documents(db: SqliteFile, kind: RowKind, chosen: str, *values: object) -> list[tuple[str, Body]]:
    """Documents of the rows that an end of a query chooses."""
    return [(kind.name(row), _with_time(row)) for row in records(db, f"select * from {kind.table} {chosen}", *values)]


def bar_documents(db: SqliteFile, times: Sequence[int], first: int) -> Iterator[tuple[str, Body]]:
    """One document for each bar time (ms UTC, ascending, without gaps among those recorded); `first` is the number of the first one."""
    if not times:
        return
    by_bar = _BarRows(db, times[0], times[-1])
    for iteration, at in enumerate(times, first):
        yield bar_name(at), {"iteration": iteration, "timestamp": moment(at), "at": at, **by_bar.facts(at)}


class _BarRows:
    """All rows of a stretch of bars, by bar."""

    def __init__(self, db: SqliteFile, first: int, last: int) -> None:
        self._db = db
        self._span = (first, last)
        self._numbers = (_number(first) - _NEAR, _number(last) + _NEAR)
        self._bars = self._read(f"select at, symbol, {', '.join(OHLCV)} from bars where at between ? and ?")
        self._forecasts = self._read(f"select at, symbol, {', '.join(FORECAST)} from forecasts where at between ? and ?")
        self._marks = self._read(f"select at, symbol, {', '.join(PRICES)} from perpetual_marks where at between ? and ?")
        self._usage = self._read("select * from usage where at between ? and ?")
        self._doubts = self._read("select * from doubts where at between ? and ?")
        self._late = self._read("select at, symbol, turn from late where at between ? and ?")
        self._orders = self._numbered(f"select {', '.join(DECISION)} from orders where number between ? and ? order by id")
        self._equity = self._numbered("select * from equity where number between ? and ?")
        self._closes = self._numbered("select * from closes where number between ? and ?")

    def facts(self, at: int) -> Body:
        usage, equity = self._usage.get(at), self._equity.get(at)
        return {
            "bars": {r["symbol"]: {name: r[name] for name in OHLCV} for r in self._bars.get(at, [])},
            "marks": {r["symbol"]: {name: r[name] for name in PRICES} for r in self._marks.get(at, [])},
            "predictions": {r["symbol"]: {name: r[name] for name in FORECAST} for r in self._forecasts.get(at, [])},
            "decisions": self._orders.get(at, []),
            "system_metrics": {} if usage is None else {name: usage[0][name] for name in USAGE},
            "account": {} if equity is None else equity[-1],
            "closes": {r["symbol"]: r["close"] for r in self._closes.get(at, [])},
            "blocked": {r["symbol"]: r["reason"] for r in self._doubts.get(at, [])},
            "late": {r["symbol"]: r["turn"] for r in self._late.get(at, [])},
        }

    def _read(self, sql: str) -> dict[int, list[dict[str, Any]]]:
        return _grouped(records(self._db, sql, *self._span), lambda row: int(row["at"]))

    def _numbered(self, sql: str) -> dict[int, list[dict[str, Any]]]:
        return _grouped(records(self._db, sql, *self._numbers), lambda row: round(epoch_seconds(row["number"]) * 1000))


def positions_of(fills: Sequence[Row]) -> Iterator[tuple[str, Body]]:
    """One document for each symbol that was ever held, from rows of symbol, side, size, price, fee and fee currency in order of time."""
    held: dict[str, tuple[float, float]] = {}
    for symbol, side, size, price, fee, currency in fills:
        signed = abs(float(size)) * (1 if side == "buy" else -1)
        units, average = held.get(symbol, (0.0, 0.0))
        if units * signed >= 0:
            average = (abs(units) * average + abs(signed) * float(price)) / (abs(units) + abs(signed) or 1.0)
        elif abs(signed) > abs(units):
            average = float(price)
        base = float(fee or 0.0) if currency == str(symbol).partition("/")[0] else 0.0
        held[symbol] = (units + signed - base, average)
    for symbol, (units, average) in held.items():
        size = round(units, 10)
        yield f"positions/{id_of(symbol)}", {"symbol": symbol, "size": size, "price": round(average, 10) if size else 0.0}


def moment(at: int) -> str:
    """A time (ms UTC) as text."""
    return datetime.fromtimestamp(at / 1000, UTC).isoformat()


def _with_time(row: dict[str, Any]) -> Body:
    """A row with its time as a person reads it, beside the number that the file holds."""
    if isinstance(row.get("number"), float):
        return {**row, "timestamp": moment(round(epoch_seconds(row["number"]) * 1000))}
    at = row.get("at") or row.get("bar")
    return {**row, "timestamp": moment(at)} if isinstance(at, int) else row


def _grouped(rows: list[dict[str, Any]], key: Any) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(key(row), []).append({name: value for name, value in row.items() if name != "at"})
    return found


def _number(at: int) -> float:
    """A time (ms UTC) as Backtrader's number."""
    return at / _DAY_MS + _EPOCH_DAY
