"""The index of runs: newest first, damaged ones listed with the reason."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from urllib.parse import unquote

from forwardtrader.reports import artefacts
from forwardtrader.reports.pages.parity_page import Parity, write_parity
from forwardtrader.reports.pages.run_index import entries, render_run_index
from tests.reports import simulated


def test_a_damaged_run_is_listed_last_with_its_reason(tmp_path: Path) -> None:
    artefacts.save(tmp_path / "good", simulated.run(100))
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "run.json").write_text("{")
    good, bad = entries(tmp_path)
    assert good.folder == "good" and good.run is not None and good.scores is not None and not good.has_page
    assert bad.folder == "bad" and bad.run is None and bad.trouble
    page = render_run_index(tmp_path, tmp_path / "sessions").read_text()
    assert "bad" in page and "Hit rate" in page


def test_parity_of_each_session_is_listed_with_a_link_that_leads_to_its_page(tmp_path: Path) -> None:
    output, sessions = tmp_path / "reports" / "output", tmp_path / "var" / "sessions"
    output.mkdir(parents=True)
    for name, equal in (("one & two", True), ("three", False), ("broken", True)):
        (sessions / name).mkdir(parents=True)
        write_parity(sessions / name, Parity(name=name, bars=12, forecasts_equal=equal, orders_equal=True, fills_equal=True))
    (sessions / "broken" / "parity.json").write_text("{")
    page = render_run_index(output, sessions)
    text = page.read_text(encoding="utf-8")
    links = re.findall(r'href="(\.\.[^"]+parity\.html)">([^<]+)<', text)
    assert [unescape(name) for _, name in links] == ["three", "one & two"]
    assert all((output / unquote(link)).is_file() for link, _ in links)
    assert text.count(">different<") == 1 and text.count(">equal<") == 1
    assert "parity" not in render_run_index(output, tmp_path / "none").read_text(encoding="utf-8")
