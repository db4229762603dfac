"""The files of one run: `run.json` and Parquet tables. Pages are made from these alone.

| table | index or key | columns |
|---|---|---|
| forecasts | timestamp (bar open, UTC), symbol, horizon | location, scale, q05, q25, q50, q75, q95, p_up, model_id, realised |
| fills | timestamp (UTC), in order | symbol, side, size, price, fee, fee_currency, order_ref, reason [, slippage] |
| equity | timestamp (bar open, UTC) is the index | equity, cash, exposure, `close:<SYMBOL>` for each, buy_and_hold, volatility_targeted |
| stops | symbol, since, in order of time | side, kind, price, until |
| candles | timestamp (bar open, UTC), symbol | open, high, low, close, volume, in single precision: to be drawn, not to be traded |

Forecasts and `realised` are plain log returns over the horizon. `exposure` is the signed share of equity in the market. `slippage`
(optional) is what one fill cost against the price it was meant to get, in quote currency, positive when it hurt. Equity and benchmark
columns are worth at the bar's close, in quote currency. `since` is the open time of the bar at whose close a stop began to rest at its
price, `until` that of the bar in which it was executed, or at whose close it was moved or cancelled; NaT where it rests on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import pandas as pd

from forwardtrader.core import atomic, fingerprint
from forwardtrader.core.errors import RunUnreadable
from forwardtrader.reports import manifest as manifests
from forwardtrader.reports.manifest import RunManifest

FORECASTS: Final = "forecasts.parquet"
FILLS: Final = "fills.parquet"
EQUITY: Final = "equity.parquet"
CANDLES: Final = "candles.parquet"
STOPS: Final = "stops.parquet"

FORECAST_COLUMNS: Final = [
    "timestamp",
    "symbol",
    "horizon",
    "location",
    "scale",
    "q05",
    "q25",
    "q50",
    "q75",
    "q95",
    "p_up",
    "model_id",
    "realised",
]
FILL_COLUMNS: Final = ["timestamp", "symbol", "side", "size", "price", "fee", "fee_currency", "order_ref", "reason"]
STOP_COLUMNS: Final = ["symbol", "side", "kind", "price", "since", "until"]
CANDLE_COLUMNS: Final = ("open", "high", "low", "close", "volume")
EQUITY_COLUMNS: Final = ["equity", "cash", "exposure"]
BENCHMARKS: Final = ("buy_and_hold", "volatility_targeted")
CLOSE: Final = "close:"


@dataclass(frozen=True)
class RunArtefacts:
    """All artefacts of a run."""

    manifest: RunManifest
    forecasts: pd.DataFrame
    fills: pd.DataFrame
    equity: pd.DataFrame
    stops: pd.DataFrame = field(default_factory=lambda: empty_stops())

    @property
    def symbols(self) -> list[str]:
        """The symbols that have prices in the equity table, in its order."""
        return [str(name).removeprefix(CLOSE) for name in self.equity.columns if str(name).startswith(CLOSE)]


def save(run_dir: Path, artefacts: RunArtefacts) -> RunArtefacts:
    """Write all files atomically, `run.json` last: a folder that has one is whole.

    Returns:
        The same artefacts with the fingerprints of the three tables in the manifest.
    """
    done = replace(artefacts, manifest=with_fingerprints(artefacts))
    for name, frame in ((FORECASTS, done.forecasts), (FILLS, done.fills), (EQUITY, done.equity), (STOPS, done.stops)):
        write_table(run_dir / name, frame)
    manifests.write(run_dir, done.manifest)
    return done


def load(run_dir: Path, *, forecasts: bool = True) -> RunArtefacts:
    """Read a run folder; a table that is absent comes back empty, with its columns.

    Args:
        forecasts: leave the largest table out where False; it comes back as if absent.

    Raises:
        RunUnreadable: there is no readable `run.json`, or a table is damaged.
    """
    return RunArtefacts(
        manifest=manifests.read(run_dir),
        forecasts=read_table(run_dir / FORECASTS, empty_forecasts()) if forecasts else empty_forecasts(),
        fills=read_table(run_dir / FILLS, empty_fills()),
        equity=read_table(run_dir / EQUITY, empty_equity()),
        stops=read_table(run_dir / STOPS, empty_stops()),
    )


def save_candles(run_dir: Path, candles: Mapping[str, pd.DataFrame], index: pd.DatetimeIndex) -> None:
    """Write the traded bars of each symbol, from the first to the last time of `index`, for the page's charts."""
    first, last = (index[0], index[-1]) if len(index) else (pd.NaT, pd.NaT)
    parts = [
        frame.loc[first:last, list(CANDLE_COLUMNS)].astype("float32").assign(symbol=symbol).rename_axis("timestamp").reset_index()
        for symbol, frame in candles.items()
        if len(index)
    ]
    if parts:
        write_table(run_dir / CANDLES, pd.concat(parts, ignore_index=True))


def load_candles(run_dir: Path) -> dict[str, pd.DataFrame]:
    """The candles beside a run by symbol, indexed by bar open; none where there are none, or where they cannot be drawn.

    Raises:
        RunUnreadable: the file is damaged.
    """
    table = read_table(run_dir / CANDLES, pd.DataFrame())
    if not {"timestamp", "symbol", *CANDLE_COLUMNS} <= set(table.columns):
        return {}
    return {str(symbol): rows.drop(columns="symbol").set_index("timestamp") for symbol, rows in table.groupby("symbol", sort=False)}


def with_fingerprints(artefacts: RunArtefacts) -> RunManifest:
    """The manifest with the hashes of the three tables' values: equal for equal runs, whatever the file format."""
    hashes = {
        "forecasts": fingerprint.of_frame(artefacts.forecasts),
        "fills": fingerprint.of_frame(artefacts.fills),
        "equity": fingerprint.of_frame(artefacts.equity),
    }
    return artefacts.manifest.model_copy(update={"fingerprints": artefacts.manifest.fingerprints | hashes})


def write_table(path: Path, frame: pd.DataFrame) -> None:
    """Write one Parquet file atomically."""
    atomic.write_atomically(path, lambda target: frame.to_parquet(target, compression="zstd"))


def whole_table(path: Path) -> pd.DataFrame:
    """A table as it stood at one moment: opened once, since by its name it would be opened twice, and may be replaced in between."""
    with path.open("rb") as file:
        return pd.read_parquet(file)


def read_table(path: Path, absent: pd.DataFrame) -> pd.DataFrame:
    """Read one Parquet file, or return `absent`.

    Raises:
        RunUnreadable: the file is there but cannot be read.
    """
    if not path.is_file():
        return absent
    try:
        return whole_table(path)
    except (OSError, ValueError) as error:
        raise RunUnreadable(f"{path} is damaged ({type(error).__name__}); run the backtest again") from error


def empty_forecasts() -> pd.DataFrame:
    """A forecasts table without rows."""
    text, moment = {"symbol", "model_id"}, {"timestamp"}
    return _empty(FORECAST_COLUMNS, text, moment).astype({"horizon": "int64"})


def empty_fills() -> pd.DataFrame:
    """A fills table without rows."""
    return _empty(FILL_COLUMNS, {"symbol", "side", "fee_currency", "order_ref", "reason"}, {"timestamp"})


def empty_stops() -> pd.DataFrame:
    """A table of stops without rows."""
    return _empty(STOP_COLUMNS, {"symbol", "side", "kind"}, {"since", "until"})


def empty_equity() -> pd.DataFrame:
    """An equity table without rows or symbols."""
    index = pd.DatetimeIndex([], tz="UTC", name="timestamp")
    return pd.DataFrame({name: pd.Series(dtype="float64", index=index) for name in EQUITY_COLUMNS}, index=index)


def _empty(columns: list[str], text: set[str], moments: set[str]) -> pd.DataFrame:
    def kind(name: str) -> str:
        return "datetime64[ns, UTC]" if name in moments else "str" if name in text else "float64"

    return pd.DataFrame({name: pd.Series(dtype=kind(name)) for name in columns})
