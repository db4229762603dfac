"""What a reader does with a run's page in a real browser: zoom, drag, sort, jump, save; on a desk and on a phone."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import pandas as pd
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from forwardtrader.reports import artefacts
from forwardtrader.reports.pages.run_page import render_run_page
from tests import PATIENCE_S
from tests.reports import simulated
from tests.reports.browser import CHROMIUM

RANGE: Final = "() => forwardtraderCharts.rangeOf('price')"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium here: install it to try the pages in a browser")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("run")
    run = with_stops(simulated.run(1200))
    artefacts.save(folder, run)
    artefacts.save_candles(folder, {run.symbols[0]: simulated.candles(1200)}, run.equity.index)
    return render_run_page(folder).as_uri()


def with_stops(run: artefacts.RunArtefacts) -> artefacts.RunArtefacts:
    """The run with a stop that was moved once and rests on, and with the price at which it would have been liquidated."""
    times, price = run.equity.index, float(run.equity.filter(like="close:").iloc[-1, 0])
    rows = [
        ("stop", 0.95 * price, times[-300], times[-100]), ("stop", 0.97 * price, times[-100], pd.NaT),
        ("liquidation", 0.2 * price, times[-300], pd.NaT),
    ]  # fmt: skip
    stops = [(run.symbols[0], "sell", kind, at, since, until) for kind, at, since, until in rows]
    return replace(run, stops=pd.DataFrame(stops, columns=artefacts.STOP_COLUMNS))


def opened(browser: Browser, address: str, width: int, *, touch: bool = False) -> tuple[Page, list[str]]:
    """The page with its price chart drawn, and what goes wrong on it."""
    page = browser.new_context(viewport={"width": width, "height": 900}, has_touch=touch, accept_downloads=True).new_page()
    page.set_default_timeout(PATIENCE_S * 1000)
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto(address)
    page.evaluate("document.querySelector('#price').scrollIntoView()")
    page.wait_for_selector('[data-chart^="price:"] .main-svg', state="attached")
    return page, troubles


def length(page: Page) -> float:
    first, last = page.evaluate(RANGE)
    return float(last - first)


def shorter_than(page: Page, before: float) -> None:
    page.wait_for_function("before => { const r = forwardtraderCharts.rangeOf('price'); return r[1] - r[0] < before; }", arg=before)


def test_the_wheel_scrolls_the_page_until_the_chart_is_clicked_and_keys_zoom_as_well(browser: Browser, address: str) -> None:
    page, troubles = opened(browser, address, 1200)
    chart = page.locator('[data-chart^="price:"]').first
    chart.scroll_into_view_if_needed()
    area = chart.bounding_box()
    assert area is not None
    before = length(page)
    page.mouse.move(area["x"] + 500, area["y"] + 100)
    page.mouse.wheel(0, -40)
    page.wait_for_timeout(100)
    assert length(page) == before
    chart.focus()
    page.mouse.move(area["x"] + 501, area["y"] + 100)
    chart.dispatch_event("wheel", {"deltaY": -100, "clientX": area["x"] + 500})
    shorter_than(page, before)
    zoomed = length(page)
    chart.press("+")
    shorter_than(page, zoomed)
    for _ in range(30):
        chart.press("+")
    page.wait_for_function(
        "document.querySelectorAll('.boxes .box, .boxlayer .box, path.box').length > 0"
    )  # candles, once few bars are left
    assert troubles == []


def test_stops_are_steps_that_a_click_hides_and_the_liquidation_price_is_shown_on_demand(browser: Browser, address: str) -> None:
    page, troubles = opened(browser, address, 390, touch=True)
    page.locator('[data-group="price"] [data-days="30"]').click()
    traces = "name => document.querySelector('[data-chart^=\"price:\"]').data.filter(t => t.name === name).map(t => [t.x.length, t.y])"
    [[points, prices]] = page.evaluate(traces, "Stop")
    assert points == 4 and prices[0] == prices[1] < prices[2] == prices[3]  # one step, without a gap
    lowest = "() => document.querySelector('[data-chart^=\"price:\"]')._fullLayout.yaxis.range[0]"
    before = page.evaluate(lowest)
    page.get_by_role("button", name="Stops").click()
    assert page.evaluate(traces, "Stop") == []
    assert page.evaluate(lowest) >= before
    assert page.evaluate(traces, "Liquidation") == []
    page.get_by_role("button", name="Liquidation price").click()
    assert len(page.evaluate(traces, "Liquidation")) == 1 and page.evaluate(lowest) < before
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert troubles == []


def test_the_strip_is_dragged_to_another_time(browser: Browser, address: str) -> None:
    page, troubles = opened(browser, address, 390, touch=True)
    page.locator('[data-group="price"] [data-days="7"]').click()
    strip = page.locator('[data-overview="price"]')
    strip.scroll_into_view_if_needed()
    area, before = strip.bounding_box(), page.evaluate(RANGE)
    assert area is not None
    page.mouse.move(area["x"] + area["width"] / 3, area["y"] + 10)
    page.mouse.down()
    page.mouse.up()
    page.wait_for_function("end => forwardtraderCharts.rangeOf('price')[1] < end", arg=before[1])
    moved = page.evaluate(RANGE)
    assert moved[1] - moved[0] == pytest.approx(before[1] - before[0])
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert troubles == []


def test_two_fingers_zoom_and_keep_the_times_under_them(browser: Browser, address: str) -> None:
    page, troubles = opened(browser, address, 390, touch=True)
    chart = page.locator('[data-chart^="price:"]').first
    chart.scroll_into_view_if_needed()
    plot = chart.locator(".nsewdrag").first.bounding_box()
    assert plot is not None
    before = page.evaluate(RANGE)
    y, touches = plot["y"] + 40, page.context.new_cdp_session(page)

    def fingers(kind: str, *shares: float) -> None:
        points = [{"x": plot["x"] + share * plot["width"], "y": y} for share in shares]
        touches.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    fingers("touchStart", 0.4, 0.6)
    fingers("touchMove", 0.2, 0.8)
    fingers("touchEnd")
    shorter_than(page, before[1] - before[0])
    after = page.evaluate(RANGE)
    span = before[1] - before[0]
    assert after[0] + 0.2 * (after[1] - after[0]) == pytest.approx(before[0] + 0.4 * span, abs=0.03 * span)
    assert after[0] + 0.8 * (after[1] - after[0]) == pytest.approx(before[0] + 0.6 * span, abs=0.03 * span)
    assert troubles == []


def test_a_trade_leads_to_its_place_and_all_are_sorted_and_saved(browser: Browser, address: str, tmp_path: Path) -> None:
    page, troubles = opened(browser, address, 1200)
    trades = page.locator("[data-trips]")
    trades.get_by_role("button", name="Profit").click()
    profits = trades.locator("tbody td:nth-child(8)").all_inner_texts()
    numbers = [float(text.replace(",", "").replace("\u2212", "-")) for text in profits]
    assert numbers == sorted(numbers, reverse=True) and len(numbers) > 2
    moment = trades.locator("tbody tr").first.locator("button").inner_text()
    trades.locator("tbody tr").first.locator("button").click()
    inside = "at => { const r = forwardtraderCharts.rangeOf('price'); return r[0] <= at && at <= r[1] && r[1] - r[0] < 40 * 86400000; }"
    page.wait_for_function(inside, arg=page.evaluate("text => Date.parse(text.replace(' ', 'T') + 'Z')", moment))
    with page.expect_download() as saved:
        trades.get_by_role("button", name="CSV").click()
    saved.value.save_as(tmp_path / "trades.csv")
    rows = list(csv.DictReader((tmp_path / "trades.csv").read_text(encoding="utf-8").splitlines()))
    assert [round(float(row["profit"]), 2) for row in rows[: len(numbers)]] == numbers
    assert troubles == []
