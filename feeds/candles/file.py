"""One file of candles: Parquet, which carries a checksum of its values and of its own description."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from forwardtrader.core import atomic, fingerprint
from forwardtrader.core.types import FLOW, OHLCV
from forwardtrader.feeds.candles import schema as candles

_META: Final = b"forwardtrader.candles"
_FLOW_SUM: Final = "flow_sha256"


@dataclass(frozen=True, kw_only=True)
class StoredInfo:
    """Metadata of a candle file. Times are UTC.

    `covered_from` and `covered_to` bound the time range requested from the source (`covered_to` is exclusive): inside, a missing bar is
    missing at the source. `fetched_at` is the last moment a venue answered in full; None for a file import.
    """

    source: str
    covered_from: datetime
    covered_to: datetime
    fetched_at: datetime | None = None


@dataclass(frozen=True)
class Stored:
    """One file's candles and description, and on their index the columns of `FLOW` where any of them is known."""

    candles: pd.DataFrame
    info: StoredInfo
    flow: pd.DataFrame | None = None


class FileDamaged(Exception):
    """A candle file that is unreadable or fails its checksum."""


def read_file(path: Path) -> Stored | None:
    """The contents of a candle file, or None if it does not exist.

    Raises:
        FileDamaged: it cannot be read, or fails its checksum.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        return None
    try:
        # Opened once: given a name, Arrow opens it twice, and it may be replaced in between.
        with path.open("rb") as file:
            table = pq.read_table(file)
        held = json.loads((table.schema.metadata or {})[_META])
        columns = [table.column(name).to_numpy() for name in ("timestamp", *OHLCV)]
        flow = [table.column(name).to_numpy() for name in FLOW] if _FLOW_SUM in held else []
        info = _info_from(held["info"])
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError) as error:
        raise FileDamaged("cut short or not readable") from error
    if held["sha256"] != _checksum(columns, held["info"]) or (flow and held[_FLOW_SUM] != _checksum(flow, held["info"])):
        raise FileDamaged("its checksum does not match")
    return Stored(*_apart(candles.from_arrays(*columns, *flow), info))


def write_file(path: Path, stored: Stored) -> None:
    """Write the file atomically, replacing it as a whole.

    Raises:
        StorageFull: no room; the file is as it was.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    frame = stored.candles
    columns = [candles.times_of(frame).as_unit("ms").asi8, *(frame[name].to_numpy() for name in OHLCV)]
    flow = [] if stored.flow is None else [stored.flow[name].to_numpy() for name in FLOW]
    info = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in asdict(stored.info).items()}
    sums = {"sha256": _checksum(columns, info)} | ({_FLOW_SUM: _checksum(flow, info)} if flow else {})  # one that versions without it know
    meta = json.dumps({"info": info} | sums)
    names = ("timestamp", *OHLCV, *FLOW)[: 6 + len(flow)]
    table = pa.table(dict(zip(names, (*columns, *flow), strict=True))).replace_schema_metadata({_META: meta.encode()})
    atomic.write_atomically(path, lambda target: pq.write_table(table, target, compression="zstd", use_dictionary=False))


def _apart(frame: pd.DataFrame, info: StoredInfo) -> tuple[pd.DataFrame, StoredInfo, pd.DataFrame | None]:
    own, flow = candles.split_flow(frame)
    return own, info, flow


def _checksum(columns: Sequence[np.ndarray[Any, Any]], info: dict[str, Any]) -> str:
    return fingerprint.of_value([fingerprint.of_arrays(*columns), info])


def _info_from(held: dict[str, Any]) -> StoredInfo:
    fetched = held["fetched_at"]
    return StoredInfo(
        source=held["source"],
        covered_from=datetime.fromisoformat(held["covered_from"]),
        covered_to=datetime.fromisoformat(held["covered_to"]),
        fetched_at=None if fetched is None else datetime.fromisoformat(fetched),
    )
