"""`--audit` on a terminal: the proofs as they come, a file for programs, and an exit code."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from backtest.audit import audit, steps
from backtest.market_data import load_markets
from backtest.progress import RunProgress
from backtest.request import BacktestRequest
from core.atomic import write_text
from core.clock import Clock
from core.errors import LookAheadFound
from core.types import DataKind
from models.look_ahead import Proof
from reports.manifest import make_run_dir, make_run_id

FILE_NAME = "audit.json"


def run_audit(request: BacktestRequest, clock: Clock, console: Console) -> Path:
    """Run every proof and write `audit.json` into a folder of its own; returns its path.

    Raises:
        LookAheadFound: a proof failed; the message names the first offender and where to read the rest.
        TradingError: the candles cannot be had, or are too few.
    """
    markets = load_markets(request, clock)
    proofs = []
    shown = not (request.quiet or request.as_json)
    with RunProgress(console, shown=shown) as progress, progress.stage("audit", "proofs against look-ahead") as stage:
        for proof in audit(request, markets, lambda what: progress.describe(f"proofs against look-ahead: {what}")):
            proofs.append(proof)
            stage(len(proofs), steps(request))
            if shown:
                _show(proof, console)
    path = _written(request, clock, proofs, next(iter(markets.values())).kind)
    if request.as_json:
        Console(soft_wrap=True, highlight=False, markup=False).print(path.read_text(encoding="utf-8"), end="")
    failed = [proof for proof in proofs if not proof.passed]
    if failed:
        raise LookAheadFound(f"{len(failed)} of {len(proofs)} proofs failed, first the {failed[0].name}: {failed[0].detail}; all in {path}")
    if shown:
        console.print(f"{len(proofs)} proofs, no look-ahead found; written to {path}")
    return path


def _show(proof: Proof, console: Console) -> None:
    mark = "[green]passed[/]" if proof.passed else "[red]FAILED[/]"
    console.print(f"{mark} [bold]{proof.name}[/]: {proof.detail}")


def _written(request: BacktestRequest, clock: Clock, proofs: Sequence[Proof], kind: DataKind) -> Path:
    feeds = request.settings.feeds
    run_id = make_run_id(clock.now(), feeds.symbols, feeds.timeframe, kind, name=f"{request.name} audit".strip())
    path = make_run_dir(Path(request.settings.reports.output), run_id) / FILE_NAME
    tree = {"command": request.command, "passed": all(p.passed for p in proofs), "proofs": [asdict(p) for p in proofs]}
    write_text(path, json.dumps(tree, indent=1) + "\n")
    return path
