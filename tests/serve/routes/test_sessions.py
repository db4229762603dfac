"""The page of sessions: what it shows, what arrives while it is open, and what becomes of commands."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from forwardtrader.live import control
from forwardtrader.live.output.store import SessionStore
from tests import PATIENCE_S
from tests.contrast import faint_texts
from tests.live.recorded_session import moment
from tests.serve.recorded import BARS, add_bar, obeying, write_session
from tests.serve.served import Served, browser, opened, serving


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    write_session(folder / "var" / "sessions", "one")
    write_session(folder / "var" / "sessions", "two", mode="live", alerts=[{"at": "2026-01-01T00:00:00Z", "text": "<b>bold</b>"}])
    (folder / "var" / "sessions" / "three").mkdir()
    control.lock_of(folder / "var" / "sessions" / "three").touch()
    return folder


@pytest.fixture(scope="module")
def served(project: Path) -> Iterator[Served]:
    with serving(project) as found:
        yield found


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as found:
        yield found


def test_where_there_is_no_session_the_page_says_how_to_start_one(tmp_path: Path) -> None:
    with serving(tmp_path) as empty:
        answer = empty.ask("/sessions")
    assert answer.status == 200 and "forwardtrader live --paper --sandbox" in answer.text


def test_every_session_is_shown_and_what_it_says_is_text(served: Served) -> None:
    text = served.ask("/sessions").text
    for name in ("one", "two", "three"):
        assert f'data-session="{name}"' in text
    assert "&lt;b&gt;bold" in text and "<b>bold" not in text
    assert "log.jsonl in its folder says why" in text.replace("Log.jsonl", "log.jsonl")


def test_a_command_is_carried_to_the_session_and_answered_with_what_it_did(served: Served, project: Path) -> None:
    with obeying(project / "var" / "sessions" / "one") as seen:
        done = json.loads(served.command("/sessions/one/pause").text)
        refused = json.loads(served.command("/sessions/one/flatten").text)
    assert done == {"obeyed": True, "text": "session one: paused until Resume (after bar 12:00)"}
    assert refused == {"obeyed": False, "text": "session one: 0.1 BTC/USDT NOT sold"}
    assert seen == ["pause", "flatten"]


def test_a_session_that_does_not_run_says_so(served: Served) -> None:
    answer = served.command("/sessions/one/pause")
    assert answer.status == 200 and "session 'one' is not running" in json.loads(answer.text)["text"]


@pytest.mark.parametrize(
    "path",
    [
        "/sessions/nobody/pause",
        "/sessions/one/stop",
        "/sessions/one/cancel",
        "/sessions/..%2f..%2fone/kill",
        "/sessions/../kill",
        "/sessions/one/",
    ],
)
def test_only_sessions_that_there_are_are_commanded_and_only_so(served: Served, path: str) -> None:
    assert served.command(path).status in (404, 405)


def test_a_command_that_is_refused_at_the_door_reaches_no_session(served: Served, project: Path) -> None:
    with obeying(project / "var" / "sessions" / "one") as seen:
        assert served.command("/sessions/one/kill", Origin="https://evil.example").status == 403
        assert served.command("/sessions/one/kill", X_Form_Token="").status == 403
        assert served.ask("/sessions/one/kill").status == 404
        assert json.loads(served.command("/sessions/one/pause").text)["obeyed"]
    assert seen == ["pause"]
    assert not control.is_killed(project / "var" / "sessions" / "one")


@pytest.mark.parametrize("name", ["session.db", "session.lock", "journal.db", "commands", "heartbeat.json", "run.json"])
def test_files_that_are_no_reports_of_a_session_are_not_served(served: Served, name: str) -> None:
    assert served.ask(f"/sessions/one/{name}").status == 404


def test_a_new_bar_is_on_the_page_and_the_page_was_not_loaded_again(served: Served, project: Path, chromium: Browser) -> None:
    with opened(chromium, served, "/sessions") as (page, said), closing(SessionStore(project / "var/sessions/one/session.db")) as store:
        page.locator('#link[data-state="live"]').wait_for()
        page.evaluate("window.still = true")
        for bar in (BARS, BARS + 1):
            add_bar(store, bar)
            page.locator("article[data-session=one] .big small", has_text=f"at bar {moment(bar):%Y-%m-%d %H:%M}").wait_for()
        assert page.evaluate("window.still") and said == []


def test_a_command_is_confirmed_first_and_its_answer_told(served: Served, project: Path, chromium: Browser) -> None:
    with obeying(project / "var" / "sessions" / "one") as seen, opened(chromium, served, "/sessions") as (page, said):
        give(page, "Kill", then="Cancel")
        assert seen == []
        give(page, "Pause", then="Pause")
        assert answer(page) == "Obeyed: session one: paused until Resume (after bar 12:00)"
        page.get_by_role("button", name="Close").click()
        give(page, "Flatten", then="Flatten")
        assert answer(page) == "Not obeyed: session one: 0.1 BTC/USDT NOT sold"
        assert (seen, said) == (["pause", "flatten"], [])


def test_a_button_stays_under_the_finger_while_a_bar_arrives(served: Served, project: Path, chromium: Browser) -> None:
    folder = project / "var" / "sessions" / "one"
    with obeying(folder), opened(chromium, served, "/sessions") as (page, _), closing(SessionStore(folder / "session.db")) as store:
        button = page.locator("article[data-session=one]").get_by_role("button", name="Pause")
        button.hover()
        page.mouse.down()
        add_bar(store, BARS + 10)
        page.locator("article[data-session=one] .big small", has_text=f"at bar {moment(BARS + 10):%Y-%m-%d %H:%M}").wait_for()
        page.mouse.up()
        page.locator("dialog[open]").wait_for()


def give(page: Page, verb: str, *, then: str) -> None:
    page.locator("article[data-session=one]").get_by_role("button", name=verb).click()
    page.locator("dialog").get_by_role("button", name=then).click()


def answer(page: Page) -> str:
    page.locator("#confirm-answer", has_text="beyed: ").wait_for()
    return page.locator("#confirm-answer").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_phone_and_can_be_read(served: Served, chromium: Browser, scheme: str) -> None:
    with opened(chromium, served, "/sessions", viewport={"width": 390, "height": 844}, color_scheme=scheme) as (page, said):
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert faint_texts(page) == []
        assert said == []


def test_streams_that_are_left_open_hold_nobody_up(served: Served) -> None:
    held = []
    try:
        for _ in range(80):
            connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=PATIENCE_S)
            connection.request("GET", "/events", headers={"Cookie": served.cookie})
            held.append(connection)
        answers = [connection.getresponse().status for connection in held]
        assert set(answers) == {200, 503} and answers.count(200) >= 60
        assert served.ask("/sessions").status == 200
    finally:
        for connection in held:
            connection.close()


def test_a_stream_needs_the_cookie(served: Served) -> None:
    assert served.ask("/events", known=False).status == 401
