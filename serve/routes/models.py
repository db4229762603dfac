"""The page of models."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from forwardtrader.serve.access import Access
from forwardtrader.serve.facts.model_facts import ModelShelf
from forwardtrader.serve.live_updates import Update
from forwardtrader.serve.rendering import page, part

_LOOK_EVERY_S: Final = 2.0


class ModelPages:
    """The route `/models`; also tells open pages that something changed."""

    def __init__(self, root: Path, access: Access) -> None:
        self._shelf = ModelShelf(root)
        self._access = access
        self._seen: tuple[object, ...] | None = None
        self._next = 0.0

    def routes(self) -> list[Route]:
        return [Route("/models", self.all)]

    async def all(self, request: Request) -> Response:
        """Every market; with `?part=markets` only those, for a page that is open."""
        context = {"facts": await to_thread.run_sync(self._shelf.facts)}
        if request.query_params.get("part") == "markets":
            return HTMLResponse(part("model_markets.html.j2", context))
        return page("models.html.j2", self._access, context)

    def news(self) -> Iterable[Update]:
        """That something changed, which a page then asks for; looked at every other second."""
        now = time.monotonic()
        if now < self._next:
            return []
        self._next, before = now + _LOOK_EVERY_S, self._seen
        self._seen = self._shelf.marks()
        return [Update("models", len(self._seen))] if before is not None and before != self._seen else []

    def whole(self) -> Iterable[Update]:
        """Nothing: the page that opens has it."""
        return []
