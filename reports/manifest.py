"""The manifest `run.json`: everything needed to know about a run, and to repeat it.

The classes below are its schema. Any mapping may carry more keys than are named here: they are kept when read and written again, and
pages ignore what they do not know. A number that was not computed is null, and `not_computed` may give reasons: its keys are dotted paths
into this file (`strategy.dsr`, `forecast`, `benchmark.random_entries`, `benchmark.shifted_forecasts`), its values plain sentences.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pydantic import Field, ValidationError

from forwardtrader.core import atomic, fingerprint, log
from forwardtrader.core.errors import RunUnreadable
from forwardtrader.core.types import DataKind, Verdict
from forwardtrader.reports.sections.entries import EntriesSection
from forwardtrader.reports.sections.forecasts import SymbolForecast
from forwardtrader.reports.sections.gates import GateSection
from forwardtrader.reports.sections.importance import ImportanceSection
from forwardtrader.reports.sections.learned import LearnedSection
from forwardtrader.reports.sections.optimisation import OptimisationSection
from forwardtrader.reports.sections.portfolio import PortfolioSection
from forwardtrader.reports.sections.section import Interval, Moment, Number, Section, finite

SCHEMA: Final = 1
FILE_NAME: Final = "run.json"


class DetailData(Section):
    """Finer candles inside the bars traded: how many `rows` of them, inside how many of the `bars`.

    `missing` bars lack some, `disagreeing` are not what theirs make up: both are met as a whole. Inside `unknown_marks` of the others the
    mark of a perpetual is not known. `notes` say the same in words.
    """

    timeframe: str
    source: str
    rows: int
    bars: int
    missing: int = 0
    disagreeing: int = 0
    unknown_marks: int = 0
    notes: list[str] = []


class VenuesData(Section):
    """How far other venues confirmed the traded one, which is the first of `venues`.

    In `pauses` spells of `paused_bars` bars nothing was entered. At `replaced_bars` features saw another venue; `filled_bars` of them are
    bars that the traded venue lacks. `faults` counts by venue and kind how often one was not trusted.
    """

    venues: list[str]
    bars: int
    pauses: int = 0
    paused_bars: int = 0
    replaced_bars: int = 0
    filled_bars: int = 0
    faults: dict[str, dict[str, int]] = {}


class SymbolData(Section):
    """Candles of one symbol: source, count and fingerprint; times are bar opens."""

    source: str
    rows: int
    first: Moment
    last: Moment
    gaps: int = 0
    fingerprint: str = ""
    detail: DetailData | None = None
    confirmation: VenuesData | None = None


class FactorData(Section):
    """Facts from outside that stood beside the candles: the file and column, when a value became known and how long it lasted.

    `known_after` and `max_age` are spans of time; `rows` counts the values that some bar saw, `unknown` the bars that saw none, `first` and
    `last` are publications.
    """

    file: str
    column: str = ""
    known_after: str = ""
    max_age: str = ""
    rows: int = 0
    unknown: int = 0
    first: Moment | None = None
    last: Moment | None = None


class DataSection(Section):
    """What was traded. `periods_per_year` is in days: 365 where the market never closes, 252 with trading days.

    With `factors`, the fingerprint of a symbol is that of its candles and the factors beside them.
    """

    kind: DataKind
    symbols: dict[str, SymbolData] = {}
    factors: dict[str, FactorData] = {}
    timeframe: str = "1h"
    exchange: str = ""
    periods_per_year: int = 365


class FoldSection(Section):
    """One model: trained on bars [train_from, train_to), in force for bars [effective_from, effective_to)."""

    symbol: str
    train_from: Moment
    train_to: Moment
    effective_from: Moment
    effective_to: Moment
    model_id: str
    train_loss: Number = None
    valid_loss: Number = None
    seconds: Number = None
    reason: str = ""


class WalkForwardSection(Section):
    """The walk-forward cuts, in bars, and the models.

    `waiting` has the symbols whose history did not fill a training window on the first day, with the bar of their first forecast; null
    where there is none.
    """

    purge_bars: int = 0
    embargo_bars: int = 0
    deployment_lag_bars: int = 0
    folds: list[FoldSection] = []
    waiting: dict[str, Moment | None] = {}


class StrategySummary(Section):
    """What an account did. Shares are 0..1 (drawdown at most 0), money is quote currency, ratios are annual from daily returns.

    `turnover` is traded value per year in multiples of mean equity, `trades` closed round trips, `exposure` the mean absolute share in
    the market, `break_even_bps` the all-in cost per side at which nothing would have been earned, `dust` the base units of each symbol
    that were held at the end and were too small to sell, `refused` by symbol and reason how many orders came to nothing, `ended` what
    became of a symbol whose bars ended before the run did, `backtest_only` what a session with real orders would have refused, `deposits`
    the cash that the strategy moved into the account. `ruined` is the bar at whose close nothing was left, after which no ratio means
    anything.
    """

    total_return: Number = None
    cagr: Number = None
    sharpe: Number = None
    sortino: Number = None
    max_drawdown: Number = None
    volatility: Number = None
    trades: int = 0
    turnover: Number = None
    fees: Number = None
    slippage: Number = None
    exposure: Number = None
    sharpe_ci: Interval = None
    psr: Number = None
    dsr: Number = None
    trials: int | None = None
    pbo: Number = None
    start_equity: Number = None
    final_equity: Number = None
    days: int = 0
    calmar: Number = None
    longest_drawdown_days: Number = None
    time_in_market: Number = None
    fills: int = 0
    notional: Number = None
    break_even_bps: Number = None
    win_rate: Number = None
    profit_factor: Number = None
    mean_hold_hours: Number = None
    dust: dict[str, float] = {}
    refused: dict[str, dict[str, int]] = {}
    ended: dict[str, str] = {}
    backtest_only: dict[str, str] = {}
    deposits: float = 0.0
    ruined: Moment | None = None


class LimitBreach(Section):
    """One time that a limit of the account was reached: its setting, what it did (reduce, halt, flatten), and from which bar to which.

    `until` is null while it lasts.
    """

    limit: str
    action: str
    at: Moment
    until: Moment | None = None


class LimitsSection(Section):
    """What became of the account's limits (`risk.*`): how they stood at the end (active, reducing, halted) and why, how often one was
    reached, the newest times, and how many orders they refused, by reason."""

    state: str = "active"
    reason: str = ""
    count: int = 0
    breaches: list[LimitBreach] = []
    refused: dict[str, int] = {}


class MarginSection(Section):
    """What became of an account of perpetuals, in its settle currency.

    Gains, fees and funding are sums over the run, gains and funding apart by the side that was held; funding is received above zero and
    paid below it. `gross_exposure` and `net_exposure` are means of shares of equity, `liquidated` says by bar what the venue closed,
    `insured` is what was lost beyond the account, `unknown` says by symbol what had to be assumed of funding and mark price.
    """

    leverage: float = 1.0
    gross_exposure: Number = None
    net_exposure: Number = None
    realised_long: float = 0.0
    realised_short: float = 0.0
    funding_long: float = 0.0
    funding_short: float = 0.0
    maker_fees: float = 0.0
    taker_fees: float = 0.0
    liquidation_fees: float = 0.0
    liquidations: int = 0
    insured: float = 0.0
    liquidated: dict[str, str] = {}
    sources: dict[str, str] = {}
    unknown: dict[str, list[str]] = {}


class RunManifest(Section):
    """The whole of `run.json`."""

    schema_version: int = Field(default=SCHEMA, alias="schema")
    run_id: str
    created: Moment
    command: str = ""
    git: str | None = None
    versions: dict[str, str] = {}
    seed: int = 0
    name: str = ""
    data: DataSection
    config: dict[str, Any] = {}
    walk_forward: WalkForwardSection = WalkForwardSection()
    forecast: dict[str, SymbolForecast] = {}
    strategy: StrategySummary | None = None
    limits: LimitsSection | None = None
    margin: MarginSection | None = None
    entries: EntriesSection | None = None
    learned: LearnedSection | None = None
    benchmark: dict[str, StrategySummary] = {}
    portfolio: PortfolioSection | None = None
    optimisation: OptimisationSection | None = None
    importance: ImportanceSection | None = None
    verdict: Verdict | None = None
    verdict_reasons: list[str] = []
    verdict_gates: list[GateSection] = []
    alarms: list[str] = []
    timing_s: dict[str, Number] = {}
    fingerprints: dict[str, str] = {}
    not_computed: dict[str, str] = {}

    @property
    def is_sample(self) -> bool:
        return self.data.kind is DataKind.SAMPLE

    @property
    def title(self) -> str:
        """What was run, in one line, beginning with SAMPLE where the market was simulated."""
        what = f"{', '.join(self.data.symbols) or 'no symbol'} {self.data.timeframe}"
        named = f"{self.name}: {what}" if self.name else what
        return f"SAMPLE · {named}" if self.is_sample else named


def write(run_dir: Path, manifest: RunManifest) -> Path:
    """Write `run_dir/run.json` atomically and return its path."""
    path = run_dir / FILE_NAME
    atomic.write_text(path, to_json(manifest))
    return path


def to_json(manifest: RunManifest) -> str:
    """The text of `run.json`: strict JSON, keys in the order of the schema, secrets struck out."""
    tree = log.redacted(_without_nan(manifest.model_dump(mode="json", by_alias=True)), numbers=False)
    return json.dumps(tree, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def read(run_dir: Path) -> RunManifest:
    """Read `run_dir/run.json`.

    Raises:
        RunUnreadable: the file is missing, is not of this schema, or was written by a newer version.
    """
    path = run_dir / FILE_NAME
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        manifest = RunManifest.model_validate(tree)
    except FileNotFoundError as error:
        raise RunUnreadable(f"{path} does not exist; name the folder of a finished run") from error
    except (ValidationError, ValueError) as error:
        first = error.errors()[0]["loc"] if isinstance(error, ValidationError) else "not JSON"
        raise RunUnreadable(f"{path} cannot be read ({first}); run the backtest again") from error
    if manifest.schema_version > SCHEMA:
        raise RunUnreadable(f"{path} has schema {manifest.schema_version}, this version knows {SCHEMA}; update forwardtrader")
    return manifest


def make_run_id(created: datetime, symbols: Sequence[str], timeframe: str, kind: DataKind, *, name: str = "", digest: str = "") -> str:
    """A folder name that sorts by time and names what was run: `20261122-151402-BTC-USDT-1h[-SAMPLE][-name]-3fa9c1`.

    `digest` is any hash of what makes the run itself (settings and data); without one the last part is random.
    """
    what = "-".join(symbols[:2]) + (f"-and-{len(symbols) - 2}-more" if len(symbols) > 2 else "")
    mark = ["SAMPLE"] if kind is DataKind.SAMPLE else []
    tail = [part for part in (_slug(name)[:40], (digest or secrets.token_hex(3))[:6]) if part]
    return "-".join([created.astimezone(UTC).strftime("%Y%m%d-%H%M%S"), _slug(what), timeframe, *mark, *tail])


def make_run_dir(output: Path, run_id: str) -> Path:
    """Create a folder for the run that no other run has; a second one of the same id gets `-2`, `-3`."""
    for count in range(1, 1000):
        path = output / (run_id if count == 1 else f"{run_id}-{count}")
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        return path
    raise RunUnreadable(f"{output} already holds 999 runs named {run_id}; use another --out or --name")


def settings_digest(config: dict[str, Any], data: DataSection) -> str:
    """Hash of what makes a run: its settings and its candles; equal for equal runs."""
    return fingerprint.of_value({"config": config, "data": {s: d.fingerprint for s, d in data.symbols.items()}})


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return finite(value)
