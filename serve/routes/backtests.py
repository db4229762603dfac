"""The page on which a backtest is started, and watched."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from typing import Final

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from forwardtrader.core import log
from forwardtrader.core.clock import Clock
from forwardtrader.core.errors import InvalidSetting
from forwardtrader.serve.access import Access
from forwardtrader.serve.facts.backtest_form import FIELDS, words_of
from forwardtrader.serve.facts.backtest_process import BacktestProcess
from forwardtrader.serve.live_updates import Update
from forwardtrader.serve.rendering import page, part

_LOG: Final = log.logger("serve")


class BacktestPages:
    """Routes below `/backtest`; also what is sent to open pages."""

    def __init__(self, process: BacktestProcess, access: Access, clock: Clock) -> None:
        self._process = process
        self._access = access
        self._clock = clock
        self._seen: tuple[object, ...] | None = None

    def routes(self) -> list[Route]:
        return [
            Route("/backtest", self.form),
            Route("/backtest/start", self.start, methods=["POST"]),
            Route("/backtest/stop", self.stop, methods=["POST"]),
        ]

    async def form(self, _request: Request) -> Response:
        """The form, and how the newest backtest stands."""
        context = {"fields": FIELDS, "state": await to_thread.run_sync(self._process.state)}
        return page("backtest.html.j2", self._access, context)

    async def start(self, request: Request) -> Response:
        """Start one from the fields of the form, as a JSON object of texts."""
        try:
            given = json.loads(await request.body())
        except ValueError as error:
            raise InvalidSetting("the form cannot be read; open the page again") from error
        if not isinstance(given, dict):
            raise InvalidSetting("the form cannot be read; open the page again")
        words = await to_thread.run_sync(words_of, given, self._clock)
        await to_thread.run_sync(self._process.start, words)
        log.event(_LOG, "backtest_started", logging.INFO, words=" ".join(words))
        return JSONResponse({"obeyed": True, "text": "started"})

    async def stop(self, _request: Request) -> Response:
        """Stop the one that runs."""
        await to_thread.run_sync(self._process.stop)
        return JSONResponse({"obeyed": True, "text": "it stops"})

    def news(self) -> Iterable[Update]:
        """How it stands, where that has changed."""
        marks = self._process.marks()
        if marks == self._seen:
            return []
        self._seen = marks
        return self.whole()

    def whole(self) -> Iterable[Update]:
        """How it stands."""
        return [Update("backtest", part("backtest_state.html.j2", {"state": self._process.state()}))]
