"""Pages of somebody else's, open in the same browser: whatever they try, they learn nothing and no session hears of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from forwardtrader.live import control
from tests.serve.recorded import obeying, write_session
from tests.serve.served import Served, browser, opened, serving

# By script with and without what a form can send, as a form, as pictures and frames, and by reading what is there.
ATTACK = """async (target) => {
  const found = [];
  const reading = async (ask) => { try { found.push(await ask()); } catch (error) { found.push(""); } };
  const paths = ["/sessions/one/kill", "/sessions/one/flatten", "/backtest/start"];
  for (const path of paths) {
    for (const type of ["text/plain", "application/json"]) {
      for (const mode of ["no-cors", "cors"]) {
        const headers = mode === "cors" ? { "Content-Type": type, "X-Form-Token": "x" } : { "Content-Type": type };
        const asked = { method: "POST", mode, credentials: "include", headers, body: "{}" };
        await reading(async () => (await fetch(target + path, asked)).text());
      }
    }
    const form = document.createElement("form"), frame = document.createElement("iframe");
    frame.name = "f" + paths.indexOf(path);
    Object.assign(form, { target: frame.name, method: "POST", action: target + path, enctype: "text/plain" });
    document.body.append(frame, form);
    form.submit();
  }
  for (const path of ["/sessions", "/runs", "/runs?part=rows", "/events"]) {
    const asked = { credentials: "include", signal: AbortSignal.timeout(3000) };
    await reading(async () => (await fetch(target + path, asked)).text());
    const frame = document.createElement("iframe"), picture = new Image();
    frame.src = picture.src = target + path;
    document.body.append(frame, picture);
  }
  await new Promise((done) => setTimeout(done, 500));
  for (const frame of document.querySelectorAll("iframe")) await reading(async () => frame.contentDocument.body.innerText);
  return found;
}"""


class Quiet(SimpleHTTPRequestHandler):
    """Writes nothing on the terminal."""

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    write_session(folder / "var" / "sessions")
    return folder


@pytest.fixture(scope="module")
def served(project: Path) -> Iterator[Served]:
    with serving(project) as found:
        yield found


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[int]:
    """The port of a server of somebody else's, on the same machine."""
    (tmp_path / "index.html").write_text("<!doctype html><title>elsewhere</title><body>")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser("evil.test") as found:
        yield found


@pytest.mark.parametrize("origin", ["http://127.0.0.1:{elsewhere}", "http://localhost:{elsewhere}", "http://evil.test:{elsewhere}"])
def test_a_page_of_another_origin_reads_nothing_and_commands_nothing(
    served: Served, project: Path, chromium: Browser, elsewhere: int, origin: str
) -> None:
    """Also one on the same machine, with which the browser shares the cookie."""
    with obeying(project / "var" / "sessions" / "one") as seen, opened(chromium, served, "/sessions") as (page, _):
        page.goto(origin.format(elsewhere=elsewhere))
        assert learnt(page, served.address) == set()
    assert seen == [] and not control.is_killed(project / "var" / "sessions" / "one")


def test_a_name_that_is_made_to_lead_here_opens_nothing(served: Served, project: Path, chromium: Browser) -> None:
    """DNS rebinding: to the browser, what is asked for is of the attacker's own origin."""
    with obeying(project / "var" / "sessions" / "one") as seen, opened(chromium, served, "/sessions") as (page, _):
        answer = page.goto(f"http://evil.test:{served.port}/sessions")
        assert answer is not None and answer.status == 421
        assert learnt(page, f"http://evil.test:{served.port}") <= {"this server does not answer to that name; --allow-host adds one\n"}
    assert seen == []


def test_a_page_in_the_folder_of_a_run_cannot_act_as_the_user(served: Served, project: Path, chromium: Browser) -> None:
    run = project / "reports" / "output" / "theirs"
    run.mkdir(parents=True)
    (run / "index.html").write_text("<!doctype html><title>theirs</title><body>")
    with obeying(project / "var" / "sessions" / "one") as seen, opened(chromium, served, "/sessions") as (page, _):
        page.goto(f"{served.address}/runs/theirs/index.html")
        assert learnt(page, served.address) == set()
    assert seen == []


def learnt(page: Page, target: str) -> set[str]:
    """What the attack could read, apart from nothing at all."""
    return set(page.evaluate(ATTACK, target)) - {""}
