"""The pages of a backtest and of models in a browser, and what a forged form comes to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from forwardtrader.models.registry.promotion_log import PromotionAction
from tests.contrast import faint_texts
from tests.serve.facts.test_model_facts import decide, keep
from tests.serve.served import Served, browser, opened, serving


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    project = tmp_path_factory.mktemp("project")
    keep(project / "var" / "models", "first")
    decide(project / "var" / "models", "first", PromotionAction.PROMOTED, "<i>evidence</i>")
    with serving(project) as found:
        yield found


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as found:
        yield found


@pytest.mark.parametrize(
    "content", [[], "text", None, {"from": "2022-01-01", "strategy": "x:Y"}, {"from": ["2022-01-01"]}, {"from": "x" * 9000}]
)
def test_a_forged_form_starts_nothing_and_is_answered_in_one_line(served: Served, content: object) -> None:
    answer = served.command("/backtest/start", content)
    assert answer.status == 200
    told = json.loads(answer.text)
    assert told["obeyed"] is False and told["text"] and "\n" not in told["text"]
    assert json.loads(served.command("/backtest/stop").text)["text"] == "no backtest is running"


def test_a_wrong_field_is_told_beside_the_form(served: Served, chromium: Browser) -> None:
    with opened(chromium, served, "/backtest") as (page, said):
        page.get_by_role("button", name="Start").click()
        page.locator("#refusal", has_text="First day traded").wait_for()
        page.get_by_label("First day traded").fill("2022-01-01")
        page.get_by_label("Each model learns from").fill("soon")
        page.get_by_role("button", name="Start").click()
        page.locator("#refusal", has_text="Each model learns from: 'soon' cannot be").wait_for()
        assert said == []


@pytest.mark.parametrize("path", ["/models", "/backtest", "/runs"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_fits_a_phone_and_can_be_read(served: Served, chromium: Browser, path: str, scheme: str) -> None:
    with opened(chromium, served, path, viewport={"width": 390, "height": 844}, color_scheme=scheme) as (page, said):
        page.locator('#link[data-state="live"]').wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert faint_texts(page) == []
        assert said == []


def test_a_decision_is_shown_with_its_evidence_as_text(served: Served) -> None:
    text = served.ask("/models").text
    assert "&lt;i&gt;evidence" in text and "promoted" in text and "in force in every session" in text


def test_a_new_model_is_on_the_page_without_loading_it_again(served: Served, chromium: Browser, tmp_path: Path) -> None:
    with serving(tmp_path) as empty, opened(chromium, empty, "/models") as (page, said):
        page.get_by_text("No model yet").wait_for()
        page.locator('#link[data-state="live"]').wait_for()
        page.evaluate("window.still = true")
        page.wait_for_timeout(300)
        keep(tmp_path / "var" / "models", "second")
        page.get_by_text("second", exact=True).wait_for()
        assert page.evaluate("window.still") and said == []
