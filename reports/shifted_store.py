"""Results of runs on shifted forecasts, kept by the fingerprint of everything that decides them, so that the same run need not trade anew.

A file that cannot be read, or that is kept under another fingerprint than its own, is none; what cannot be written costs time and no more.
"""

from __future__ import annotations

import io
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from forwardtrader.core.atomic import write_bytes
from forwardtrader.core.errors import StorageFull
from forwardtrader.reports.statistics.shifted_forecasts import ShiftedForecasts

KEPT: Final = 50  # runs; the oldest go first


class ShiftedStore:
    """One file a run in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str) -> ShiftedForecasts | None:
        """What was kept under `key`, to the bit; None where there is nothing that can be read."""
        try:
            with np.load(io.BytesIO(self._path(key).read_bytes()), allow_pickle=False) as kept:
                if str(kept["key"]) != key:
                    return None
                equity, fills = (pd.read_parquet(io.BytesIO(kept[name].tobytes())) for name in ("equity", "fills"))
                return ShiftedForecasts(
                    own=float(kept["own"]), planned=int(kept["planned"]), sharpes=kept["sharpes"], total_returns=kept["total_returns"],
                    equity=equity, fills=fills,
                )  # fmt: skip
        except (OSError, ValueError, KeyError, EOFError, MemoryError, zipfile.BadZipFile):
            return None

    def put(self, key: str, runs: ShiftedForecasts) -> None:
        """Keep them, and let the oldest ones go."""
        equity, fills = (np.frombuffer(table.to_parquet(None, compression="zstd"), dtype=np.uint8) for table in (runs.equity, runs.fills))
        file = io.BytesIO()
        np.savez(
            file, key=np.array(key), own=np.array(runs.own), planned=np.array(runs.planned), sharpes=runs.sharpes,
            total_returns=runs.total_returns, equity=equity, fills=fills,
        )  # fmt: skip
        with suppress(OSError, StorageFull):
            write_bytes(self._path(key), file.getvalue())
            kept = sorted(self.folder.glob("*.npz"), key=lambda path: path.stat().st_mtime_ns)
            for path in kept[:-KEPT]:
                path.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.npz"
