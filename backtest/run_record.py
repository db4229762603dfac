"""A finished run as the manifest that `run.json` holds."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from forwardtrader.backtest.forecasting import Forecasts
from forwardtrader.backtest.request import BacktestRequest
from forwardtrader.core import fingerprint
from forwardtrader.core.settings import LearningSettings
from forwardtrader.core.types import DataKind
from forwardtrader.core.user_code.code_fingerprint import source_fingerprint
from forwardtrader.feeds.confirmation.judged import JudgedHistory, count_faults
from forwardtrader.feeds.factors.book import PREFIX, FactorBook
from forwardtrader.feeds.factors.series import join_as_of
from forwardtrader.feeds.history.detail import DetailHistory
from forwardtrader.feeds.history.needs import History
from forwardtrader.feeds.universe import TopByVolume, parse_universe, read_universe
from forwardtrader.models.features.own_features import chosen_name
from forwardtrader.models.features.selection import own_of
from forwardtrader.models.folds.walk import ServedFold, WalkForward
from forwardtrader.models.online.online_walk_forward import OnlineWalkForward
from forwardtrader.models.port.prototype import LSTM, identity, named_forecaster, prototype
from forwardtrader.models.walk_forward import purge
from forwardtrader.reports.account_judgement import RunFacts
from forwardtrader.reports.manifest import (
    DataSection,
    DetailData,
    FactorData,
    FoldSection,
    LimitsSection,
    MarginSection,
    RunManifest,
    SymbolData,
    VenuesData,
    WalkForwardSection,
    make_run_id,
    settings_digest,
)
from forwardtrader.reports.sections.entries import EntriesSection
from forwardtrader.reports.sections.learned import LearnedSection
from forwardtrader.reports.statistics.adverse_selection import RestingFill, adverse_selection
from forwardtrader.reports.statistics.forecast_scores import huber
from forwardtrader.strategies.backtrader.bars_frame import utc_index
from forwardtrader.strategies.backtrader.on_margin.trading import MarginReport
from forwardtrader.strategies.learning.account_learning import LearningReport
from forwardtrader.strategies.orders.entry_record import EntryRecord
from forwardtrader.strategies.trading_state.guard import TradingReport
from forwardtrader.strategies.trading_state.limits import EVERY_RUN, TradingLimits
from forwardtrader.strategies.user_code.strategy_class import load_strategy

ROOT: Final = Path(__file__).resolve().parent.parent
PACKAGES: Final = ("backtrader", "jax", "keras", "numpy", "pandas", "quantstats", "ta")
# Settings of paths and speed: they change no result.
WITHOUT_EFFECT: Final = ("save_path", "jobs", "cluster", "cache")


# Settings that came later, with the values under which earlier trials were made: those stay the same trials.
_LATER: Final[dict[str, Any]] = {
    "forecaster": "lstm", "params": {}, "features": [], "leverage": 1.0, "maker_fee_bps": None, "liquidation_fee_bps": 50.0,
    "entry": "market", "entry_deadline": 1, "entry_then": "market", "volume_share": 0.1, "limit_fills": "touch",
}  # fmt: skip
# The same of what is learned, by the beginning of the key.
_LEARNED_LATER: Final = ("freeze", "intervals", "costs", "edge", "volatility")


def manifest_of(request: BacktestRequest, markets: Mapping[str, History], forecasts: Forecasts, created: datetime) -> RunManifest:
    """Everything but scores, verdict and timing."""
    data = data_section(request, markets)
    config = request.settings.model_dump(mode="json")
    return RunManifest(
        run_id=make_run_id(
            created, request.settings.feeds.symbols, data.timeframe, data.kind, name=request.name, digest=settings_digest(config, data)
        ),
        created=created,
        command=request.command,
        git=git_revision(),
        versions=versions(),
        seed=request.settings.models.seed,
        name=request.name,
        data=data,
        config=config,
        walk_forward=_walk_forward_section(request, forecasts.walk),
    )


def data_section(request: BacktestRequest, markets: Mapping[str, History]) -> DataSection:
    """Where the candles came from. One simulated symbol makes the whole run a sample."""
    histories = list(markets.values())
    kind = DataKind.SAMPLE if any(h.kind is DataKind.SAMPLE for h in histories) else DataKind.REAL
    periods = request.settings.reports.periods_per_year or max(h.rules.periods_per_year for h in histories)
    symbols = {
        symbol: SymbolData(
            source=h.source,
            rows=len(h.candles),
            first=h.candles.index[0],
            last=h.candles.index[-1],
            gaps=len(h.gaps),
            fingerprint=h.fingerprint,
            detail=detail_section(h.detail),
            confirmation=venues_section(h.venues),
        )
        for symbol, h in markets.items()
    }
    return DataSection(
        kind=kind,
        symbols=symbols,
        factors=_factors(request, histories),
        timeframe=str(histories[0].timeframe),
        exchange=request.settings.feeds.exchange,
        periods_per_year=periods,
    )


def venues_section(found: JudgedHistory | None) -> VenuesData | None:
    """How far other venues confirmed the traded one; None where there are none."""
    if found is None:
        return None
    blocked = [bool(verdict.objection) for verdict in found.verdicts]
    spells = sum(now and not before for before, now in zip([False, *blocked], blocked, strict=False))
    return VenuesData(
        venues=list(found.venues), bars=len(found.verdicts), pauses=spells, paused_bars=sum(blocked), replaced_bars=len(found.signals),
        filled_bars=len(found.filled), faults=count_faults(found),
    )  # fmt: skip


def detail_section(detail: DetailHistory | None) -> DetailData | None:
    """The finer candles inside the bars traded; None where there are none."""
    if detail is None:
        return None
    return DetailData(
        timeframe=str(detail.timeframe), source=detail.source, rows=len(detail.candles), bars=detail.bars, missing=detail.missing,
        disagreeing=detail.disagreeing, unknown_marks=detail.unknown_marks, notes=list(detail.notes),
    )  # fmt: skip


def _factors(request: BacktestRequest, histories: Sequence[History]) -> dict[str, FactorData]:
    """The factors of a run, as the bars of its first symbol saw them."""
    candles, timeframe = histories[0].candles, histories[0].timeframe
    index = pd.DatetimeIndex(candles.index)
    told = {}
    for factor in FactorBook(request.settings.feeds.located_factors, timeframe).factors():
        seen = pd.DatetimeIndex(join_as_of(index, timeframe, factor.source)["known_at"]).dropna().unique()
        told[factor.name] = FactorData(
            file=factor.file,
            column=factor.column,
            known_after=factor.known_after,
            max_age=str(factor.max_age),
            rows=len(seen),
            unknown=int(candles[PREFIX + factor.name].isna().sum()),
            first=seen[0] if len(seen) else None,
            last=seen[-1] if len(seen) else None,
        )
    return told


def limits_section(report: TradingReport | None) -> LimitsSection | None:
    """What became of the account's limits; None where there were none."""
    return None if report is None else LimitsSection.model_validate(report.plain())


def margin_section(report: MarginReport | None, equity: pd.DataFrame, markets: Mapping[str, History]) -> MarginSection | None:
    """What became of an account of perpetuals; None for one of cash."""
    if report is None:
        return None
    account, beside = report.account, {symbol: h.perpetual for symbol, h in markets.items() if h.perpetual is not None}
    tally = {name: value for name, value in asdict(account.tally).items() if name in MarginSection.model_fields}
    return MarginSection(
        leverage=account.leverage,
        gross_exposure=float(np.mean(report.gross)) if len(report.gross) else None,
        net_exposure=float(equity["exposure"].mean()) if len(equity) else None,
        liquidated={f"{at:%Y-%m-%d %H:%M}": told for at, told in zip(_times(report), (told for _, told in report.liquidated), strict=True)},
        sources={s: f"funding {p.funding_source or 'unknown'}, mark {p.mark_source or 'unknown'}" for s, p in beside.items()},
        unknown={symbol: list(each.notes) for symbol, each in beside.items() if each.notes},
        **tally,
    )


def entries_section(record: EntryRecord | None, candles: Mapping[str, pd.DataFrame]) -> EntriesSection | None:
    """What became of entries that were to rest; None where there were none."""
    if record is None:
        return None
    at = utc_index(np.array([fill.at for fill in record.fills], dtype=np.float64))
    fills = [
        RestingFill(at=moment, symbol=f.symbol, side=f.side, value=f.size * f.price, price=f.price)
        for f, moment in zip(record.fills, at, strict=True)
    ]
    return EntriesSection(
        rested=record.rested, crossed=record.crossed, filled=record.filled, handed_over=record.handed_over, given_up=record.given_up,
        fill_rate=record.made / record.asked if record.asked else None, maker_fees=record.maker_fees, taker_fees=record.taker_fees,
        adverse_selection_bps=adverse_selection(fills, {symbol: frame["close"] for symbol, frame in candles.items()}),
    )  # fmt: skip


def learned_section(report: LearningReport | None) -> LearnedSection | None:
    """What the account learned; None where it learned nothing."""
    return None if report is None else LearnedSection.model_validate(report.plain())


def _times(report: MarginReport) -> pd.DatetimeIndex:
    return utc_index(np.array([at for at, _ in report.liquidated], dtype=np.float64))


def _learning(learning: LearningSettings) -> dict[str, Any]:
    tree, usual = learning.model_dump(mode="json"), LearningSettings().model_dump(mode="json")
    kept = {k: v for k, v in tree.items() if v != usual[k] or not k.startswith(_LEARNED_LATER)}
    return {} if tree | {"freeze": False} == usual else {"learning": kept}


def choices(request: BacktestRequest) -> dict[str, Any]:
    """The settings that decide a result, for counting trials: not where files lie nor how many cores were used."""
    tree = request.settings.model_dump(mode="json")
    models = {key: value for key, value in tree["models"].items() if key not in WITHOUT_EFFECT and key not in ("baselines", "compared")}
    models = {key: value for key, value in models.items() if key not in _LATER or value != _LATER[key]}
    strategies = {key: value for key, value in tree["strategies"].items() if key not in _LATER or value != _LATER[key]}
    # Only where it is used, so that earlier trials of the same settings stay the same trials.
    learning = _learning(request.settings.learning)
    named = [Path(factor.file).name or factor.title for factor in request.settings.feeds.factors]
    factors = {"factors": named} if named else {}
    detail = {"detail": tree["feeds"]["detail"]} if request.settings.feeds.detail else {}
    resample = {"resample": tree["feeds"]["resample"]} if request.settings.feeds.resample else {}
    universe = _universe(request)
    limits = TradingLimits.of(request.settings.risk)
    risk = {} if limits is None else {"risk": {key: tree["risk"][key] for key in EVERY_RUN}}
    return {
        **learning, **factors, **detail, **resample, **universe, **risk, **({"optimised": request.choice} if request.choice else {}),
        "models": models, "strategies": strategies, "symbols": _set_of(request), "timeframe": tree["feeds"]["timeframe"],
        "strategy": request.strategy, "first": request.first.isoformat(), "last": request.last.isoformat(),
    }  # fmt: skip


def _set_of(request: BacktestRequest) -> list[str]:
    """The symbols; their order is a choice only for a strategy of the user's, which may take its first feed for something else."""
    symbols = request.settings.feeds.symbols
    return list(symbols) if request.strategy else sorted(symbols)


def _universe(request: BacktestRequest) -> dict[str, Any]:
    """The rule, or what the file says."""
    text = request.settings.feeds.universe
    if not text:
        return {}
    asked = parse_universe(text)
    return {"universe": text if isinstance(asked, TopByVolume) else {s: list(spans) for s, spans in read_universe(asked).items()}}


def open_choice(request: BacktestRequest, markets: Mapping[str, History]) -> str:
    """Fingerprint of everything chosen but the end, where no end was named; empty where one was."""
    if not request.open_ended:
        return ""
    first = {symbol: history.candles.loc[pd.Timestamp(request.first) :].index[0].isoformat() for symbol, history in markets.items()}
    return fingerprint.of_value({key: value for key, value in choices(request).items() if key != "last"} | {"first": first})


def result_of(equity: pd.DataFrame) -> str:
    """Fingerprint of an equity curve, equal for a run and for a point of a sweep with the same settings."""
    return fingerprint.of_arrays(equity["equity"].to_numpy(dtype=np.float64))


def code_of(request: BacktestRequest) -> str:
    """Fingerprint of the sources that turn candles into an account."""
    rooms = [path for room in ("models", "strategies") for path in sorted((ROOT / room).rglob("*.py"))]
    forecaster = prototype(request.settings.models)
    parts = [hashlib.sha256(path.read_bytes()).hexdigest() for path in rooms]
    if request.strategy:
        parts.append(source_fingerprint(load_strategy(request.strategy)))
    parts += [chosen_name(feature) for feature in own_of(request.settings.models.features)]
    return fingerprint.of_value(parts if forecaster is None else [*parts, identity(forecaster)])


def facts_of(request: BacktestRequest, markets: Mapping[str, History], data: DataSection, run_id: str, result: str) -> RunFacts:
    """What names a run, or a point of a sweep, as a trial."""
    return RunFacts(
        run_id=run_id,
        kind=str(data.kind),
        data=fingerprint.of_value({s: h.fingerprint for s, h in markets.items()}),
        settings=fingerprint.of_value(choices(request)),
        choice=open_choice(request, markets),
        result=result,
        what=f"{request.strategy or 'LSTMStrategy'}{_by(request)} on {', '.join(markets)} {data.timeframe}",
        timeframe=next(iter(markets.values())).timeframe,
        periods_per_year=data.periods_per_year,
        start_equity=request.settings.strategies.cash,
    )


def _by(request: BacktestRequest) -> str:
    name = named_forecaster(request.settings.models)
    return "" if name == LSTM else f" by {name}"


def versions() -> dict[str, str]:
    """Python and the packages that decide a result."""
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in PACKAGES}}


def git_revision() -> str | None:
    """The commit that the code is at, `+` where it was changed since; None outside a repository."""
    try:
        revision = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()
        changed = subprocess.run(
            ["git", "status", "--porcelain", "-uno"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
    return revision + ("+" if changed else "")


def _walk_forward_section(request: BacktestRequest, walk: WalkForward) -> WalkForwardSection:
    settings = request.settings.models
    return WalkForwardSection(
        purge_bars=purge(settings),
        embargo_bars=settings.embargo,
        deployment_lag_bars=settings.deployment_lag,
        folds=[_fold(walk, served, symbol) for served in walk.served for symbol in served.fold],
        waiting=walk.waiting(),
        **_decisions(walk),
    )


def _decisions(walk: WalkForward) -> dict[str, Any]:
    """Every promotion decision with its reason, where models were promoted by their outcomes."""
    if not isinstance(walk, OnlineWalkForward):
        return {}
    told = [
        {
            "since": d.since.isoformat(), "boundary": d.boundary.isoformat() if d.boundary else None, "deed": str(d.action),
            "by": str(d.by), "model_id": d.card.model_id, "other": d.other, "reason": d.reason,
        }
        for d in walk.decisions
    ]  # fmt: skip
    return {"decisions": told}


def _fold(walk: WalkForward, served: ServedFold, symbol: str) -> FoldSection:
    cut, index = served.fold[symbol], walk.panel.index[symbol]
    return FoldSection(
        symbol=symbol,
        train_from=index[cut.train_first],
        train_to=index[cut.train_last],
        effective_from=index[min(cut.effective_first, len(index) - 1)],
        effective_to=_moment_after(index, cut.effective_last),
        model_id=served.card.model_id,
        train_loss=served.card.train_loss,
        valid_loss=_loss_in_force(walk, served, symbol),
        seconds=served.card.seconds,
        reason=served.card.reason,
    )


def _loss_in_force(walk: WalkForward, served: ServedFold, symbol: str) -> float:
    """Mean Huber loss of the first horizon's location over the bars that the model was in force for: none of them trained it."""
    cut, panel = served.fold[symbol], walk.panel
    rows = slice(panel.offset[symbol] + cut.effective_first, panel.offset[symbol] + cut.effective_last)
    error = panel.targets[rows, 0] - served.raw[symbol].mean(axis=1)[:, 0, 0]
    known = error[np.isfinite(error)].astype(np.float64)
    return float(huber(known, walk.settings.huber_delta).mean()) if len(known) else float("nan")


def _moment_after(index: pd.DatetimeIndex, row: int) -> pd.Timestamp:
    return index[row] if row < len(index) else index[-1] + (index[-1] - index[-2])
