"""Every text of every kind of page, on paper and in the dark, with its charts drawn, has a contrast of AA."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, sync_playwright

from forwardtrader.core.types import DataKind
from forwardtrader.reports import artefacts
from forwardtrader.reports.pages.audit_page import render_audit_page
from forwardtrader.reports.pages.run_index import render_run_index
from forwardtrader.reports.pages.run_page import render_run_page
from forwardtrader.reports.pages.session_page import render_session_page
from forwardtrader.reports.pages.sweep_page import render_sweep_page
from tests import PATIENCE_S
from tests.contrast import faint_texts
from tests.reports import simulated, simulated_session
from tests.reports.browser import CHROMIUM
from tests.reports.pages.test_audit_page import written
from tests.reports.pages.test_parity_page import DIFFERENT, write_parity
from tests.reports.pages.test_sweep_page import swept
from tests.reports.test_page_interaction import with_stops

DRAWN: Final = "document.querySelectorAll('[data-chart]').length === document.querySelectorAll('[data-chart] .main-svg:first-child').length"

UNFOLDED: Final = """() => {
  document.querySelectorAll("details").forEach((each) => { each.open = true; });
  dispatchEvent(new Event("beforeprint"));  // charts are drawn as they come into view, or all at once for the printer
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium here: install it to see the pages in a browser")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


def run_page(folder: Path, **options: Any) -> Path:
    run = simulated.run(1200, **options)
    artefacts.save(folder, with_stops(run))
    artefacts.save_candles(folder, {run.symbols[0]: simulated.candles(1200)}, run.equity.index)
    return render_run_page(folder)


def session_page(folder: Path, **options: Any) -> Path:
    simulated_session.write(folder, refresh_s=3600, **options)
    return render_session_page(folder)


def index_page(folder: Path) -> Path:
    run_page(folder / "output" / "20261130-101010-BTC-USDT-1h-one")
    render_audit_page(written(folder / "output", "20261130-001818-BTC-USDT-1h-audit-aa", "failed"))
    swept(folder / "output" / "20261130-111111-BTC-USDT-1h-sweep-two", 2)
    session_page(folder / "sessions" / "one")
    return render_run_index(folder / "output", folder / "sessions")


PAGES: Final[dict[str, Callable[[Path], Path]]] = {
    "run": run_page,
    "run of the sample market": lambda folder: run_page(folder, kind=DataKind.SAMPLE),
    "sweep": lambda folder: render_sweep_page(swept(folder, 2)),
    "sweep that found something": lambda folder: render_sweep_page(swept(folder, 1, verdict="edge", pbo=0.1)),
    "audit that failed": lambda folder: render_audit_page(written(folder, "audit", "failed")),
    "audit that passed": lambda folder: render_audit_page(written(folder, "audit", "passed")),
    "parity": lambda folder: write_parity(folder, DIFFERENT),
    "session": session_page,
    "session that has begun": lambda folder: session_page(folder, bars=0, equity=None),
    "index": index_page,
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_every_text_can_be_read(browser: Browser, tmp_path: Path, name: str, scheme: Any) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    try:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_S * 1000)
        page.goto(PAGES[name](tmp_path).resolve().as_uri())
        page.evaluate(
            "document.querySelectorAll('details').forEach((each) => { each.open = true; }); dispatchEvent(new Event('beforeprint'))"
        )
        page.wait_for_function(DRAWN)
        assert faint_texts(page) == []
    finally:
        context.close()


@pytest.mark.parametrize(
    ("style", "is_faint"),
    [
        ("color:#767676", False), ("color:#787878", True), ("color:#949494;font-size:24px", False), ("color:#979797;font-size:24px", True),
        ("color:#0006", True), ("color:#000;opacity:.5", True), ("color:#fff;background:#0003", True),
        ("color:#fff;background:#000c", False),
        ("color:color-mix(in srgb, #000 30%, #fff)", True), ("color:#555;background:color-mix(in srgb, #000 40%, transparent)", True),
    ],
)  # fmt: skip
def test_a_faint_text_is_found_whatever_makes_it_so(browser: Browser, style: str, is_faint: bool) -> None:
    context = browser.new_context()
    try:
        page = context.new_page()
        page.set_content(f"<body><p style='{style}'>seen</p><svg><text y='20'>drawn</text></svg></body>")
        assert [text.split()[0] for text in faint_texts(page)] == (["seen"] if is_faint else [])
        page.set_content("<body><svg><text y='20' fill='#bbb'>drawn</text></svg></body>")
        assert len(faint_texts(page)) == 1
    finally:
        context.close()
