"""Secrets that found their way into files are on no page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from forwardtrader.models.registry.promotion_log import PromotionAction
from tests.reports.runs.test_listing import saved
from tests.serve.facts.test_model_facts import decide, keep
from tests.serve.recorded import write_session
from tests.serve.served import TOKEN, serving

SECRET = "planted-secret-8f3a2b"


def test_no_page_shows_a_secret_though_the_files_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "reports" / "output"
    for name in ("one", "two"):
        saved(output, name)
        run = output / name / "run.json"
        tree = json.loads(run.read_text())
        tree["config"]["models"]["forecaster"] = f"{name}-{SECRET}"
        run.write_text(json.dumps(tree))
    write_session(tmp_path / "var/sessions", alerts=[{"at": "2026-01-01T00:00:00Z", "text": f"key {SECRET} refused"}])
    keep(tmp_path / "var/models", "first")
    decide(tmp_path / "var/models", "first", PromotionAction.PROMOTED, f"because {SECRET}")
    started = "2026-01-01T00:00:00+00:00"
    own = tmp_path / "var/serve/backtest"
    own.mkdir(parents=True)
    (own / "job.json").write_text(json.dumps({"pid": 1, "command": f"backtest --name={SECRET}", "started": started}))
    (own / "output.txt").write_text(f"refused {SECRET}\n")
    monkeypatch.setenv("BINANCE_API_SECRET", SECRET)
    with serving(tmp_path) as served:
        paths = ("/runs", "/runs?part=rows", "/compare?run=one&run=two", "/sessions", "/models", "/backtest")
        texts = {path: served.ask(path) for path in paths}
    for path, answer in texts.items():
        assert answer.status == 200 and "***" in answer.text, path
        assert SECRET not in answer.text and TOKEN not in answer.text and served.access.cookie not in answer.text, path
