"""An audit's page, its place in the index, and what a damaged file does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from forwardtrader.core.errors import RunUnreadable
from forwardtrader.reports.pages.audit_page import JSON_NAME, read_audit, render_audit_page
from forwardtrader.reports.pages.run_index import render_run_index
from forwardtrader.reports.rebuild import rebuild


def written(output: Path, name: str, result: str) -> Path:
    folder = output / name
    folder.mkdir()
    proofs = [{"name": "truncation", "detail": "a later bar <shows>", "result": result}, {"name": "lag", "detail": "", "result": "passed"}]
    tree = {"command": "python run_backtest.py --audit", "passed": result == "passed", "result": result, "proofs": proofs}
    (folder / JSON_NAME).write_text(json.dumps(tree), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("result", "word"), [("passed", "No look-ahead found"), ("failed", "Look-ahead found"), ("not testable", "Not cleared")]
)
def test_the_page_says_what_was_found_and_shows_every_proof(tmp_path: Path, result: str, word: str) -> None:
    text = render_audit_page(written(tmp_path, "20261130-001818-BTC-USDT-1h-audit-aa", result)).read_text(encoding="utf-8")
    assert word in text and "truncation" in text and "A later bar &lt;shows&gt;." in text


def test_audits_are_in_the_index_newest_first_and_a_damaged_one_is_left_out(tmp_path: Path) -> None:
    old, new = (written(tmp_path, f"2026113{day}-001818-BTC-USDT-1h-audit-aa", "passed") for day in "01")
    render_audit_page(new)
    broken = written(tmp_path, "20261132-000000-broken", "failed")
    (broken / JSON_NAME).write_text("{", encoding="utf-8")
    text = render_run_index(tmp_path, tmp_path / "sessions").read_text(encoding="utf-8")
    assert text.index(new.name) < text.index(old.name) and broken.name not in text
    assert f'href="{new.name}/index.html"' in text and f'href="{old.name}/index.html"' not in text
    with pytest.raises(RunUnreadable, match="run the audit again"):
        read_audit(broken)


def test_the_page_is_made_again_from_the_file(tmp_path: Path) -> None:
    folder = written(tmp_path, "20261130-001818-BTC-USDT-1h-audit-aa", "failed")
    assert rebuild(folder, tmp_path / "sessions") == [folder / "index.html"] and (folder / "index.html").is_file()
