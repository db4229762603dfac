"""The command `--audit`: prints the proofs as they finish, writes a file for programs, gives an exit code."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.markup import escape

from forwardtrader.backtest.audit.proofs import audit, steps
from forwardtrader.backtest.market_data import load_markets
from forwardtrader.backtest.progress import RunProgress
from forwardtrader.backtest.request import BacktestRequest
from forwardtrader.core.atomic import write_text
from forwardtrader.core.clock import Clock
from forwardtrader.core.command import answer
from forwardtrader.core.errors import AuditIncomplete, LookAheadFound
from forwardtrader.core.types import DataKind
from forwardtrader.models.checks.look_ahead import LookAheadResult, Proof
from forwardtrader.reports.manifest import make_run_dir, make_run_id
from forwardtrader.reports.pages.audit_page import render_audit_page
from forwardtrader.reports.pages.run_index import render_run_index

FILE_NAME = "audit.json"
MARKS: Final = {
    LookAheadResult.PASSED: "[green]passed[/]",
    LookAheadResult.FAILED: "[red]FAILED[/]",
    LookAheadResult.NOT_TESTABLE: "[yellow]NOT TESTABLE[/]",
}


def run_audit(request: BacktestRequest, clock: Clock, console: Console) -> Path:
    """Run every proof and write `audit.json` and its page into a folder of its own; returns the path of the former.

    Raises:
        LookAheadFound: a proof failed; the message names the first offender and where to read the rest.
        AuditIncomplete: no proof failed, but one had too little to work on, so nothing was cleared.
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
        answer.write(path.read_text(encoding="utf-8"))
    _conclude(proofs, path)
    if shown:
        console.print(f"{len(proofs)} proofs passed, no look-ahead found; written to {path}")
    return path


def _conclude(proofs: Sequence[Proof], path: Path) -> None:
    """Raise unless every proof passed: one that could not be tested clears nothing."""
    failed, open_ = (
        [proof for proof in proofs if proof.result is result] for result in (LookAheadResult.FAILED, LookAheadResult.NOT_TESTABLE)
    )
    if failed:
        raise LookAheadFound(f"{len(failed)} of {len(proofs)} proofs failed, first the {failed[0].name}: {failed[0].detail}; all in {path}")
    if open_:
        first = f"first the {open_[0].name}: {open_[0].detail}"
        raise AuditIncomplete(
            f"audit incomplete: {len(open_)} of {len(proofs)} proofs were not testable, {first}; the others found nothing; all in {path}"
        )


def _show(proof: Proof, console: Console) -> None:
    console.print(f"{MARKS[proof.result]} [bold]{proof.name}[/]: {escape(proof.detail)}")


def _overall(proofs: Sequence[Proof]) -> LookAheadResult:
    """The worst of all: failed before not testable before passed."""
    found = {proof.result for proof in proofs}
    return next((result for result in (LookAheadResult.FAILED, LookAheadResult.NOT_TESTABLE) if result in found), LookAheadResult.PASSED)


def _written(request: BacktestRequest, clock: Clock, proofs: Sequence[Proof], kind: DataKind) -> Path:
    feeds = request.settings.feeds
    run_id = make_run_id(clock.now(), feeds.symbols, feeds.timeframe, kind, name=f"{request.name} audit".strip())
    path = make_run_dir(Path(request.settings.reports.output), run_id) / FILE_NAME
    tree = {
        "command": request.command,
        "passed": all(proof.passed for proof in proofs),
        "result": _overall(proofs),
        "proofs": [{**asdict(proof), "result": proof.result} for proof in proofs],
    }
    write_text(path, json.dumps(tree, indent=1) + "\n")
    render_audit_page(path.parent)
    render_run_index(path.parent.parent, Path(request.settings.live.sessions_path))
    return path
