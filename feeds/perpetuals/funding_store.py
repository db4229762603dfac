"""Stored funding rates: one Parquet file per venue and symbol, beside the candles, replaced as a whole, with a checksum."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pandas as pd

from forwardtrader.core import atomic, fingerprint
from forwardtrader.core.errors import CandleFileInvalid, StoreDamaged
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.candles.store import CandleKey, CandleStore
from forwardtrader.feeds.perpetuals.funding import no_rates, rates

_META: Final = b"forwardtrader.funding"
_ANY: Final = Timeframe.parse("1h")


class FundingStore:
    """Rates under `root/<venue>/<symbol>/funding/rates.parquet`."""

    def __init__(self, root: Path | str) -> None:
        self._candles = CandleStore(root)

    def path(self, venue: str, symbol: str) -> Path:
        return self._candles.path(CandleKey(venue, symbol, _ANY)).parent / "funding" / "rates.parquet"

    def read(self, venue: str, symbol: str) -> pd.Series[float]:
        """The stored rates; empty where there are none.

        Raises:
            StoreDamaged: the file cannot be read, or fails its checksum.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self.path(venue, symbol)
        if not path.is_file():
            return no_rates()
        try:
            with path.open("rb") as file:
                table = pq.read_table(file)
            found = rates(pd.to_datetime(table.column("timestamp").to_numpy(), unit="ms", utc=True), table.column("rate").to_numpy())
            known = json.loads((table.schema.metadata or {})[_META])["sha256"]
        except (pa.ArrowException, OSError, KeyError, ValueError, TypeError) as error:
            raise StoreDamaged(f"{path} is damaged; delete it, and download or import the funding again") from error
        if known != _checksum(found):
            raise StoreDamaged(f"{path} fails its checksum; delete it, and download or import the funding again")
        return found

    def append(self, venue: str, symbol: str, fresh: pd.Series[float]) -> int:
        """Add the settlements that are not stored yet; how many were added. A stored one never changes.

        Raises:
            CandleFileInvalid: a rate differs from the one that is stored.
            StorageFull: no room; what was stored is intact.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq
        from filelock import FileLock

        path = self.path(venue, symbol)
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock"), timeout=120):
            stored = self.read(venue, symbol)
            both = stored.index.intersection(fresh.index)
            differs = (stored[both] - fresh[both]).abs() > 1e-12
            if differs.any():
                at = both[differs.to_numpy()][0]
                raise CandleFileInvalid(
                    f"the funding of {symbol} at {at:%Y-%m-%d %H:%M} differs from what is stored of {venue}; "
                    "import it under another --exchange name"
                )
            new = fresh[~fresh.index.isin(stored.index)]
            joined = pd.concat([stored, new]).sort_index() if len(stored) else new
            meta = {_META: json.dumps({"sha256": _checksum(joined)}).encode()}
            table = pa.table(
                {"timestamp": pd.DatetimeIndex(joined.index).as_unit("ms").asi8, "rate": joined.to_numpy()}
            ).replace_schema_metadata(meta)
            atomic.write_atomically(path, lambda target: pq.write_table(table, target, compression="zstd"))
        return len(new)


def _checksum(found: pd.Series[float]) -> str:
    return fingerprint.of_frame(found.to_frame())
