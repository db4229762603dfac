"""The application: the pages behind the guard, and what becomes of an error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from anyio import to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from forwardtrader.core import log
from forwardtrader.core.clock import Clock
from forwardtrader.core.errors import TradingError
from forwardtrader.core.settings import Settings
from forwardtrader.serve.access import Access
from forwardtrader.serve.facts.backtest_process import BacktestProcess
from forwardtrader.serve.guard import Guard
from forwardtrader.serve.live_updates import LiveUpdates
from forwardtrader.serve.rendering import page, static_file
from forwardtrader.serve.routes.backtests import BacktestPages
from forwardtrader.serve.routes.models import ModelPages
from forwardtrader.serve.routes.runs import RunPages
from forwardtrader.serve.routes.sessions import SessionPages

_LOG: Final = log.logger("serve")
_STATIC_KINDS: Final = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}


@dataclass(frozen=True)
class Application:
    """What a server runs: the pages behind the guard, and what they are sent while they are open."""

    app: Guard
    updates: LiveUpdates


def application(
    settings: Settings, access: Access, hosts: frozenset[str], clock: Clock, *, own: Path, config: Path | None = None, numbers: bool = False
) -> Application:
    """Everything that is served.

    Args:
        settings: say where runs, sessions and models lie.
        own: a folder of the server's own.
        config: the settings file that they were read from, where one was named.
        hosts, numbers: as `Guard` takes them.
    """
    runs = RunPages(Path(settings.reports.output), access)
    sessions = SessionPages(Path(settings.live.sessions_path), access, settings, clock)
    process = BacktestProcess(own / "backtest", clock, config)
    models = ModelPages(Path(settings.models.save_path), access)
    backtests = BacktestPages(process, access, clock)
    updates = LiveUpdates([runs, sessions, models, backtests])

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await to_thread.run_sync(runs.warm)
        looking = asyncio.create_task(updates.look())
        yield
        looking.cancel()

    async def events(_request: Request) -> Response:
        if updates.is_full:
            return PlainTextResponse("too many pages are open\n", 503)
        return StreamingResponse(updates.stream(), media_type="text/event-stream")

    async def failed(request: Request, error: Exception) -> Response:
        return _answer_to(request, error, access)

    first = [Route("/", _first), Route("/static/{name}", _static), Route("/favicon.ico", _nothing), Route("/events", events)]
    routes = [*first, *runs.routes(), *sessions.routes(), *models.routes(), *backtests.routes()]
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: failed, TradingError: failed, Exception: failed})
    return Application(Guard(app, access, hosts, numbers=numbers), updates)


def _first(_request: Request) -> Response:
    return RedirectResponse("/runs", 303)


def _nothing(_request: Request) -> Response:
    return Response(status_code=204)


def _static(request: Request) -> Response:
    name = request.path_params["name"]
    found = static_file(name)
    if found is None:
        return PlainTextResponse("there is no such file\n", 404)
    return Response(found, media_type=_STATIC_KINDS[name.rpartition(".")[2]], headers={"cache-control": "no-cache"})


def _answer_to(request: Request, error: Exception, access: Access) -> Response:
    """One clear line, as a page or as text for a command; a bug goes to the log with its traceback."""
    if isinstance(error, HTTPException):
        title, text, status = "Not found", "There is nothing here. It may have been removed meanwhile.", error.status_code
    elif isinstance(error, TradingError):
        title, text, status = "This does not work", str(error), 409
    else:
        _LOG.error("bug", exc_info=error)
        title, text, status = "A bug", f"{type(error).__name__}: the traceback is in var/log.jsonl.", 500
    if request.method == "POST":  # a refusal is an answer; the page shows it
        return JSONResponse({"obeyed": False, "text": log.redact(text)}, 200 if isinstance(error, TradingError) else status)
    return page("message.html.j2", access, {"title": title, "text": text}, status=status)
