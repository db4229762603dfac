"""The table of all runs."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from forwardtrader.core.config import changed
from forwardtrader.core.settings import Settings
from forwardtrader.core.types import DataKind
from forwardtrader.reports import artefacts, manifest
from forwardtrader.reports.runs.listing import RunKind, RunListing
from tests.reports import simulated
from tests.reports.pages.test_sweep_page import swept

BARS = 200


def saved(output: Path, folder: str, created: str = "2026-11-22", **own: object) -> Path:
    """A run whose settings are the defaults but for `own`, by `room__key`."""
    run = simulated.run(BARS, kind=DataKind.SAMPLE)
    config = changed(Settings(), {key.replace("__", "."): value for key, value in own.items()}).model_dump(mode="json")
    update = {"config": config, "created": datetime.fromisoformat(created).replace(tzinfo=UTC)}
    artefacts.save(output / folder, artefacts.RunArtefacts(run.manifest.model_copy(update=update), run.forecasts, run.fills, run.equity))
    return output / folder


def test_runs_that_look_alike_are_told_apart_by_what_is_their_own(tmp_path: Path) -> None:
    saved(tmp_path, "a", "2026-01-01")
    saved(tmp_path, "b", "2026-01-02", models__forecaster="lightgbm", models__units=16)
    saved(tmp_path, "c", "2026-01-03", models__units=8, models__seeds=1, strategies__horizon=2, strategies__fee_bps=1.0)
    rows = RunListing(tmp_path).rows()
    assert [row.folder for row in rows] == ["c", "b", "a"]
    assert [row.name for row in rows] == ["units 8 · seeds 1 · fee_bps 1.0 · 1 more", "lightgbm · units 16", "defaults"]
    assert rows[0].untold == ("horizon 2",)


def test_a_row_has_the_days_traded_and_what_came_of_them(tmp_path: Path) -> None:
    saved(tmp_path, "a")
    [row] = RunListing(tmp_path).rows()
    assert (f"{row.first:%Y-%m-%d %H}", f"{row.last:%Y-%m-%d %H}") == ("2022-01-01 00", "2022-01-09 07")
    assert (row.symbols, row.timeframe, row.is_sample, row.verdict, row.page) == (("BTC/USDT",), "1h", True, "no edge", "")
    own = manifest.read(tmp_path / "a").strategy
    assert own is not None
    assert (row.sharpe, row.total_return, row.max_drawdown) == (own.sharpe, own.total_return, own.max_drawdown)


def test_a_sweep_and_an_audit_stand_among_them(tmp_path: Path) -> None:
    swept(tmp_path / "swept", 1)
    (tmp_path / "20261130-001818-BTC-USDT-1h-SAMPLE-audit-3a8207").mkdir()
    proofs = [{"name": "truncation", "detail": "a later bar shows", "result": "failed"}]
    audit = {"command": "python run_backtest.py --audit", "passed": False, "result": "failed", "proofs": proofs}
    (tmp_path / "20261130-001818-BTC-USDT-1h-SAMPLE-audit-3a8207" / "audit.json").write_text(json.dumps(audit))
    rows = {row.kind: row for row in RunListing(tmp_path).rows()}
    assert rows[RunKind.AUDIT].verdict == "failed" and rows[RunKind.AUDIT].alarms == ("truncation: a later bar shows",)
    assert rows[RunKind.AUDIT].created == datetime(2026, 11, 30, 0, 18, 18, tzinfo=UTC)
    assert rows[RunKind.SWEEP].sharpe is not None and rows[RunKind.SWEEP].symbols


@pytest.mark.parametrize("name", ["run.json", "sweep.json", "audit.json"])
@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b'{"schema": 99}', b"\xff\xfe\0", b'{"proofs": [1], "command": 2, "result": 3}']
)
def test_what_cannot_be_read_is_a_row_that_says_so(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / name).write_bytes(content)
    [row] = RunListing(tmp_path).rows()
    assert row.folder == "broken" and name in row.trouble and "again" in row.trouble


def test_a_damaged_equity_table_leaves_the_days_open(tmp_path: Path) -> None:
    saved(tmp_path, "a")
    (tmp_path / "a" / artefacts.EQUITY).write_bytes(b"PAR1 no more")
    [row] = RunListing(tmp_path).rows()
    assert row.first is None and row.sharpe is not None


def test_changes_are_seen_and_what_did_not_change_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path, "a")
    listing = RunListing(tmp_path)
    before = listing.rows()
    with monkeypatch.context() as patched:
        patched.setattr(manifest, "read", lambda _folder: pytest.fail("read again"))
        assert listing.rows() == before
    (tmp_path / "a" / "index.html").touch()
    assert [row.page for row in listing.rows()] == ["index.html"]
    shutil.rmtree(tmp_path / "a")
    assert listing.rows() == []
    assert RunListing(tmp_path / "nowhere").rows() == []


def test_a_link_that_leads_out_is_no_run(tmp_path: Path) -> None:
    saved(tmp_path / "elsewhere", "a")
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "a").symlink_to(tmp_path / "elsewhere" / "a")
    assert RunListing(tmp_path / "output").rows() == []
