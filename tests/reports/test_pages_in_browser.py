"""The pages as a browser sees them: quiet, offline, and no wider than a phone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from forwardtrader.core.types import DataKind
from forwardtrader.reports import artefacts
from forwardtrader.reports.pages.run_index import render_run_index
from forwardtrader.reports.pages.run_page import render_run_page
from tests.reports import simulated
from tests.reports.browser import look_at

RUNS: dict[str, dict[str, Any]] = {
    "full": {"bars": 4000},
    "several": {"bars": 1200, "symbols": ("BTC/USDT", "ETH/USDT")},
    "sample-flat": {"bars": 1200, "trades": False, "kind": DataKind.SAMPLE},
    "bare": {"bars": 900, "scored": False},
}


@pytest.fixture(scope="module", params=[390, 1280])
def seen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, dict[str, Any], list[str]]:
    folder = tmp_path_factory.mktemp("output")
    pages = {}
    for name, options in RUNS.items():
        artefacts.save(folder / name, simulated.run(**options))
        pages[name] = render_run_page(folder / name)
    pages["index"] = render_run_index(folder, folder.parent / "sessions")
    shown = pages if request.param == 390 else {name: pages[name] for name in ("full", "index")}
    return request.param, *look_at(shown, tmp_path_factory.mktemp("browser"), request.param)


def test_no_page_complains_on_the_console(seen: tuple[int, dict[str, Any], list[str]]) -> None:
    assert seen[2] == []


def test_no_page_is_wider_than_the_screen(seen: tuple[int, dict[str, Any], list[str]]) -> None:
    assert {name: page["content"] for name, page in seen[1].items() if page["content"] > seen[0]} == {}


def test_no_page_asks_another_machine_for_anything(seen: tuple[int, dict[str, Any], list[str]]) -> None:
    # Files on the disk are not listed among a page's resources; everything else is.
    assert {name for page in seen[1].values() for name in page["loaded"]} == set()


def test_a_planted_request_and_a_planted_overflow_are_seen(tmp_path: Path) -> None:
    planted = tmp_path / "planted.html"
    planted.write_text('<!doctype html><div style="width:500px">wide</div><img src="https://example.com/pixel.png">')
    found, _ = look_at({"planted": planted}, tmp_path, 390)
    assert found["planted"]["content"] > 390
    assert found["planted"]["loaded"] == ["https://example.com/pixel.png"]


def test_every_chart_is_drawn(seen: tuple[int, dict[str, Any], list[str]]) -> None:
    drawn = {name: (page["drawn"], page["charts"]) for name, page in seen[1].items()}
    assert all(done == there for done, there in drawn.values())
    assert drawn["full"][1] >= 8


def test_titles_tell_the_runs_apart(seen: tuple[int, dict[str, Any], list[str]]) -> None:
    titles = {name: page["title"] for name, page in seen[1].items()}
    assert titles["full"] == "BTC/USDT 1h · no edge"
    assert titles.get("sample-flat", "SAMPLE").startswith("SAMPLE")
