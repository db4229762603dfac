"""The page of one run, verdict first; made from the files in its folder alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from forwardtrader.core.types import Verdict
from forwardtrader.reports import artefacts
from forwardtrader.reports.artefacts import RunArtefacts
from forwardtrader.reports.manifest import RunManifest
from forwardtrader.reports.pages import contributions, glossary, run_charts, run_tables
from forwardtrader.reports.pages.charts import Chart
from forwardtrader.reports.pages.render import write_page
from forwardtrader.reports.pages.tearsheet import trouble_with

FILE_NAME: Final = "index.html"
TONES: Final = {Verdict.EDGE: "good", Verdict.NO_EDGE: "none", Verdict.NOT_ENOUGH_DATA: "wait", None: "plain"}
_FILES: Final = (
    "tearsheet.html", "run.json", "forecasts.parquet", "fills.parquet", "equity.parquet", "stops.parquet", "candles.parquet", "log.jsonl",
)  # fmt: skip


@dataclass(frozen=True)
class SymbolView:
    """What the page shows of one symbol's forecasts; parts are empty and `horizon` None where nothing is known."""

    symbol: str
    horizon: int | None
    forecasters: list[dict[str, Any]]
    compared: bool
    details: dict[str, Any]
    quantiles: list[tuple[float, float]]
    charts: frozenset[str]


def render_run_page(run_dir: Path) -> Path:
    """Write `run_dir/index.html` and return its path. A part that was not computed is marked so; nothing outside the folder is read.

    Raises:
        RunUnreadable: the folder holds no readable run.
    """
    return prepare_run_page(run_dir)()


def prepare_run_page(run_dir: Path) -> Callable[[], Path]:
    """Read the run and draw its charts; what is returned writes the page, with links to the files that are there by then.

    Raises:
        RunUnreadable: the folder holds no readable run.
    """
    run = artefacts.load(run_dir)
    views, figures = _symbols(run)
    payload = run_charts.time_payload(run, _horizon(run), artefacts.load_candles(run_dir))
    figures += [*_fold_charts(run), *_parameter_charts(run)]
    payload["charts"] += figures
    payload["trips"] = run_tables.trip_columns(run)
    return lambda: write_page(run_dir / FILE_NAME, "run_page.html.j2", _context(run, run_dir, views, payload["charts"]), payload)


def reason_for(manifest: RunManifest, path: str, otherwise: str) -> str:
    """Why a part of the manifest is absent: the reason recorded for it or for what holds it."""
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        reason = manifest.not_computed.get(".".join(parts[:length]))
        if reason:
            return reason
    return otherwise


def _context(run: RunArtefacts, run_dir: Path, views: list[SymbolView], charts: list[Chart]) -> dict[str, Any]:
    manifest = run.manifest
    return {
        "run": manifest,
        "tone": TONES[manifest.verdict],
        "gate_meanings": glossary.GATES,
        "terms": glossary.TERMS,
        "accounts": run_tables.accounts(manifest),
        "account_rows": run_tables.ACCOUNT_ROWS,
        "live_sharpe": _live_sharpe(manifest),
        "monthly": run_tables.monthly(run),
        "views": views,
        "charts": {chart["id"]: chart for chart in charts},
        "symbols": run.symbols,
        "quote": _quote(run.symbols or list(manifest.data.symbols)),
        "folds": sorted(manifest.walk_forward.folds, key=lambda fold: (fold.symbol, fold.effective_from)),
        "fold_symbols": list(dict.fromkeys(fold.symbol for fold in manifest.walk_forward.folds)),
        "contributions": contributions.tables(manifest.importance),
        "trips": run_tables.trips(run),
        "paid_bps": run_tables.paid_bps(manifest.strategy) if manifest.strategy else None,
        "settings": list(run_tables.settings_rows(manifest.config)),
        "stages": [(name, seconds) for name, seconds in manifest.timing_s.items() if name != "total" and seconds is not None],
        "luck": run_tables.luck_rows(manifest.strategy, manifest.strategy.days / manifest.data.periods_per_year)
        if manifest.strategy
        else [],
        "first": run.equity.index[0] if len(run.equity) else None,
        "last": run.equity.index[-1] if len(run.equity) else None,
        "bars": len(run.equity),
        "files": [name for name in _FILES if (run_dir / name).is_file()],
        "no_tearsheet": trouble_with(run_dir),
        "why": lambda path, otherwise="this run did not record it": reason_for(manifest, path, otherwise),
    }


def _symbols(run: RunArtefacts) -> tuple[list[SymbolView], list[Chart]]:
    forecast_symbols = run.forecasts["symbol"].unique().tolist()
    views, charts = [], []
    for symbol in dict.fromkeys([*run.manifest.forecast, *forecast_symbols]):
        view, own = _symbol(run, symbol)
        views.append(view)
        charts += own
    return views, charts


def _symbol(run: RunArtefacts, symbol: str) -> tuple[SymbolView, list[Chart]]:
    details = run_tables.details_of(run, symbol)
    counted = details.get("calibration", {})
    charts = []
    if counted.get("reliability"):
        charts.append(run_charts.reliability_chart(counted["reliability"], symbol))
    if counted.get("pit"):
        charts.append(run_charts.transform_chart(counted["pit"], symbol))
    if details.get("by_fold"):
        charts.append(run_charts.fold_score_chart(details["by_fold"], symbol))
    scored = run.manifest.forecast.get(symbol)
    view = SymbolView(
        symbol=symbol,
        horizon=run_tables.horizon_of(run, symbol),
        forecasters=run_tables.forecasters(scored) if scored else [],
        compared=bool(scored and scored.confidence_set),
        details=details,
        quantiles=run_tables.quantile_shares(counted.get("pit", [])),
        charts=frozenset(chart["id"] for chart in charts),
    )
    return view, charts


def _parameter_charts(run: RunArtefacts) -> list[Chart]:
    found = run.manifest.optimisation
    return [run_charts.parameter_chart(found.choices, key) for key in found.spread] if found is not None else []


def _fold_charts(run: RunArtefacts) -> list[Chart]:
    folds = [fold.model_dump() for fold in run.manifest.walk_forward.folds]
    lost = {fold["symbol"] for fold in folds if fold["valid_loss"] is not None or fold["train_loss"] is not None}
    return [run_charts.loss_chart(folds, symbol) for symbol in dict.fromkeys(fold["symbol"] for fold in folds) if symbol in lost]


def _horizon(run: RunArtefacts) -> int | None:
    known = [run_tables.horizon_of(run, symbol) for symbol in run.symbols]
    return next((horizon for horizon in known if horizon is not None), None)


def _live_sharpe(manifest: RunManifest) -> float | None:
    own = manifest.strategy.sharpe if manifest.strategy else None
    return own * run_tables.LIVE_SHARE if own is not None and own > 0 else None


def _quote(symbols: list[str]) -> str:
    return symbols[0].partition("/")[2].partition(":")[0] if symbols else ""
