"""The index of runs: newest first, damaged ones listed with the reason."""

from __future__ import annotations

from pathlib import Path

from forwardtrader.reports import artefacts
from forwardtrader.reports.pages.run_index import entries, render_run_index
from tests.reports import simulated


def test_a_damaged_run_is_listed_last_with_its_reason(tmp_path: Path) -> None:
    artefacts.save(tmp_path / "good", simulated.run(100))
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "run.json").write_text("{")
    good, bad = entries(tmp_path)
    assert good.folder == "good" and good.run is not None and good.scores is not None and not good.has_page
    assert bad.folder == "bad" and bad.run is None and bad.trouble
    page = render_run_index(tmp_path).read_text()
    assert "bad" in page and "Hit rate" in page
