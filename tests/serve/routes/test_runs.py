"""The pages of runs, as a server gives them and as a browser shows them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.contrast import faint_texts
from tests.reports.pages.test_sweep_page import swept
from tests.reports.runs.test_listing import saved
from tests.serve.served import Served, browser, opened, serving


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    project = tmp_path_factory.mktemp("project")
    output = project / "reports" / "output"
    for number in range(4):
        saved(output, f"run-{number}", f"2026-01-0{number + 1}", models__units=8 * (number + 1))
    (output / "run-0" / "index.html").write_text('<!doctype html><title>a run</title><a href="../index.html">All runs</a>')
    swept(output / "swept", 1)
    (output / "<script>alert(1)").mkdir()
    (output / "<script>alert(1)" / "run.json").write_text('{"name": "<img src=x onerror=alert(1)>"}')
    with serving(project) as found:
        yield found


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as found:
        yield found


def test_where_there_is_no_run_the_page_says_how_to_make_one(tmp_path: Path) -> None:
    with serving(tmp_path) as empty:
        answer = empty.ask("/runs")
    assert answer.status == 200 and "forwardtrader backtest --from" in answer.text


def test_a_damaged_run_is_an_honest_row_and_its_name_is_text(served: Served) -> None:
    text = served.ask("/runs").text
    assert "cannot be read" in text and "&lt;script&gt;alert(1)" in text and "<script>alert" not in text and "<img" not in text


def test_what_cannot_be_compared_is_told_on_a_page(served: Served) -> None:
    for query in ("", "?run=run-0", "?run=run-0&run=nothing", "?run=run-0&run=../../etc", "?run=run-0&run=%00"):
        answer = served.ask(f"/compare{query}")
        assert answer.status == 404 and "These cannot be compared" in answer.text


def test_runs_are_filtered_sorted_and_put_side_by_side(served: Served, chromium: Browser) -> None:
    with opened(chromium, served, viewport={"width": 1280, "height": 900}) as (page, said):
        names = page.locator("tbody tr:visible .title")
        assert names.all_inner_texts()[:4] == ["units 32", "units 24", "units 16", "units 8"]
        page.get_by_role("searchbox").fill("units 24")
        assert names.all_inner_texts() == ["units 24"]
        page.get_by_role("searchbox").fill("")
        page.get_by_role("button", name="Run", exact=True).click()
        assert names.all_inner_texts()[:3] == ["<script>alert(1)", "5 points of strategies.hurdle", "units 16"] or names.count() == 6
        page.get_by_role("button", name="Sweeps").click()
        assert names.count() == 1
        page.get_by_role("button", name="All", exact=True).click()
        page.locator("tr[data-folder=run-0] input").check()
        assert page.locator("#comparing").inner_text().startswith("1 chosen")
        page.locator("tr[data-folder=run-3] input").check()
        page.get_by_role("link", name="Compare").click()
        page.wait_for_url("**/compare?*")
        assert page.locator("path.curve").count() == 2
        assert page.get_by_role("rowheader", name="models.units").count() == 1
        page.locator("#overlay").hover()
        assert page.locator(".tip").is_visible()
        assert said == []


@pytest.mark.parametrize("path", ["/runs", "/compare?run=run-0&run=run-1"])
def test_a_page_is_no_wider_than_a_phone_and_says_nothing_on_the_console(served: Served, chromium: Browser, path: str) -> None:
    with opened(chromium, served, path, viewport={"width": 390, "height": 844}) as (page, said):
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert said == []


def test_the_page_of_a_run_leads_back_though_it_stands_in_a_sandbox(served: Served, chromium: Browser) -> None:
    with opened(chromium, served) as (page, said):
        page.goto(f"{served.address}/runs/run-0/index.html")
        assert page.evaluate("window.origin") == "null"
        page.get_by_role("link", name="All runs").click()
        page.wait_for_url("**/runs")
        page.get_by_role("heading", name="Runs").wait_for()
        assert said == []


@pytest.mark.parametrize("path", ["/runs", "/compare?run=run-0&run=run-1&run=run-2", "/compare?run=run-0"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(served: Served, chromium: Browser, path: str, scheme: str) -> None:
    with opened(chromium, served, path, viewport={"width": 1280, "height": 900}, color_scheme=scheme) as (page, _):
        page.locator("h1").wait_for()
        assert faint_texts(page) == []
