"""The page, served to a test: the application behind a real server, in a thread of the test's process."""

from __future__ import annotations

import http.client
import json
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from forwardtrader.core.clock import SystemClock
from forwardtrader.core.config import changed
from forwardtrader.core.settings import Settings
from forwardtrader.serve.access import Access
from forwardtrader.serve.application import application
from forwardtrader.serve.command import bound, server_of
from forwardtrader.serve.guard import allowed_hosts
from tests import PATIENCE_S

TOKEN: Final = "t" * 40
CHROMIUM: Final = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@dataclass(frozen=True)
class Answer:
    """What came back; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    text: str


@dataclass(frozen=True)
class Served:
    """A server that runs, and who may come in."""

    port: int
    access: Access

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def cookie(self) -> str:
        return f"{self.access.cookie_name}={self.access.cookie}"

    def ask(self, path: str, *, method: str = "GET", body: bytes | None = None, known: bool = True, **headers: str) -> Answer:
        """One request, with the cookie where `known`; headers by their names with underscores."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if known:
            sent.setdefault("Cookie", self.cookie)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            connection.putrequest(method, path, skip_host="Host" in sent)
            for name, value in sent.items():
                connection.putheader(name, value)
            if body is not None and "Content-Length" not in sent and "Transfer-Encoding" not in sent:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, text)
        finally:
            connection.close()

    def command(self, path: str, content: object = None, **headers: str) -> Answer:
        """A command as a page of ours sends it; headers given replace its own, "" leaves one out."""
        own = {
            "Origin": self.address, "Sec_Fetch_Site": "same-origin", "X_Form_Token": self.access.form_token,
            "Content_Type": "application/json",
        }  # fmt: skip
        sent = {name: value for name, value in (own | headers).items() if value}
        return self.ask(path, method="POST", body=json.dumps(content or {}).encode(), **sent)


@contextmanager
def serving(folder: Path) -> Iterator[Served]:
    """Serve what lies in a project's folder."""
    settings = changed(
        Settings(),
        {
            "reports.output": str(folder / "reports/output"), "live.sessions_path": str(folder / "var/sessions"),
            "models.save_path": str(folder / "var/models"), "live.state_path": str(folder / "var/state.db"),
        },
    )  # fmt: skip
    access, listening = Access(TOKEN), bound("127.0.0.1", 0)
    app = application(settings, access, allowed_hosts("127.0.0.1", ()), SystemClock(), own=folder / "var/serve")
    server = server_of(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        until = time.monotonic() + PATIENCE_S
        while not server.started:
            assert thread.is_alive() and time.monotonic() < until, "the server did not start"
            time.sleep(0.01)
        yield Served(listening.getsockname()[1], access)
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)
        listening.close()
        assert not thread.is_alive(), "the server did not end"


@contextmanager
def browser(name: str = "localhost") -> Iterator[Browser]:
    """The system's Chromium, which reaches this machine alone, also by a name."""
    if CHROMIUM is None:
        pytest.skip("no chromium here: install it to look at the pages in a browser")
    with sync_playwright() as playwright:
        names = f"MAP {name} 127.0.0.1, MAP localhost 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
        switches = ["--no-sandbox", f"--host-resolver-rules={names}"]
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=switches)
        try:
            yield found
        finally:
            found.close()


@contextmanager
def opened(browser: Browser, served: Served, path: str = "/", **options: Any) -> Iterator[tuple[Page, list[str]]]:
    """A page of somebody who opened the address with the token, and what the console says meanwhile."""
    context = browser.new_context(**options)
    said: list[str] = []
    try:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_S * 1000)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(f"{served.address}{path}{'&' if '?' in path else '?'}token={served.access.token}")
        yield page, said
    finally:
        context.close()
