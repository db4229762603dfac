"""The pages of runs: the table of all, some side by side, and the files of each."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from forwardtrader.core.errors import RunUnreadable
from forwardtrader.reports.runs.comparison import Comparison, compare
from forwardtrader.reports.runs.listing import RunListing, RunRow
from forwardtrader.serve.access import Access
from forwardtrader.serve.live_updates import Update
from forwardtrader.serve.rendering import page, part
from forwardtrader.serve.routes.files import file_in

_LOOK_EVERY_S: Final = 2.0
TONES: Final = {
    "edge": "good", "no edge": "none", "not enough data": "wait", "passed": "good", "failed": "none", "not testable": "wait", "": "plain",
}  # fmt: skip


class RunPages:
    """Routes below `/runs`, and `/compare`."""

    def __init__(self, output: Path, access: Access) -> None:
        self._listing = RunListing(output)
        self._access = access
        self._seen: list[tuple[str, ...]] | None = None
        self._next = 0.0
        self._drawn: tuple[list[RunRow], str] = ([], "")

    def warm(self) -> None:
        """Read and draw all runs, so that the first page does not wait for it."""
        self._rows()

    def news(self) -> Iterable[Update]:
        """That the table has changed, which a page then asks for; looked at every other second."""
        now = time.monotonic()
        if now < self._next:
            return []
        self._next, before = now + _LOOK_EVERY_S, self._seen
        self._seen = [(row.folder, row.verdict, row.page, row.trouble) for row in self._listing.rows()]
        return [Update("runs", len(self._seen))] if before is not None and before != self._seen else []

    def whole(self) -> Iterable[Update]:
        """Nothing: the page that opens has it."""
        return []

    def routes(self) -> list[Route]:
        return [
            Route("/runs", self.table),
            Route("/runs/", _to_runs),
            Route("/runs/index.html", _to_runs),
            Route("/runs/{folder}/{name}", self.file),
            Route("/compare", self.compared),
        ]

    async def table(self, request: Request) -> Response:
        """All runs; with `?part=rows` only the rows, for a page that is open."""
        drawn = await to_thread.run_sync(self._rows)
        if request.query_params.get("part") == "rows":
            return HTMLResponse(drawn)
        return page("runs.html.j2", self._access, {"rows": "@rows@" if drawn.strip() else ""}, {"@rows@": drawn})

    def _rows(self) -> str:
        """The rows of the table, drawn again only when they have changed."""
        rows = self._listing.rows()
        if rows != self._drawn[0]:
            self._drawn = rows, part("run_rows.html.j2", {"rows": rows, "tones": TONES})
        return self._drawn[1]

    async def compared(self, request: Request) -> Response:
        """`/compare?run=A&run=B`: two or more side by side."""
        names = request.query_params.getlist("run")
        try:
            found = await to_thread.run_sync(compare, self._listing, names)
        except RunUnreadable as trouble:
            return page("message.html.j2", self._access, {"title": "These cannot be compared", "text": str(trouble)}, status=404)
        return page("compare.html.j2", self._access, {"found": found, "tones": TONES, "curves": _as_data(found)})

    def file(self, request: Request) -> Response:
        return file_in(self._listing.output, request.path_params["folder"], request.path_params["name"])


def _to_runs(_request: Request) -> Response:
    return RedirectResponse("/runs", 303)


def _as_data(found: Comparison) -> str:
    """The curves as JSON that may stand inside a script element, whatever text it holds."""
    curves = [{"times": each.times, "growth": each.growth} for each in found.curves]
    return json.dumps(curves, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
