"""Files of runs and sessions, to be looked at or taken home. What they are called is input: nothing outside their folder is served.

A page that lies in such a folder is shown in a sandbox: whatever its scripts do, they can neither ask this server for anything as the user
nor command a session.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response

from forwardtrader.reports.pages.charts import PLOTLY, bundle

_POLICY: Final = (
    "sandbox allow-scripts allow-downloads allow-popups; default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_KINDS: Final = {
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".jsonl": "text/plain; charset=utf-8",
    ".csv": "text/csv; charset=utf-8",
    ".parquet": "application/octet-stream",
}


def file_in(root: Path, folder: str, name: str, allowed: frozenset[str] | None = None) -> Response:
    """The file of that name in a folder below a root.

    Args:
        allowed: the only names that are served; all of the known kinds by default.

    Raises:
        HTTPException: 404 for whatever is not such a file, links that lead out of the folder among it.
    """
    if name == PLOTLY:
        return plotly()
    path = root / folder / name
    kind = _KINDS.get(Path(name).suffix)
    if kind is None or not (_is_plain(folder) and _is_plain(name)) or (allowed is not None and name not in allowed):
        raise HTTPException(404)
    try:
        is_there = path.resolve() == root.resolve() / folder / name and path.is_file()
    except OSError as error:  # a name that no file can have
        raise HTTPException(404) from error
    if not is_there:
        raise HTTPException(404)
    return FileResponse(path, media_type=kind, headers={"content-security-policy": _POLICY, "cache-control": "private, no-cache"})


def _is_plain(name: str) -> bool:
    """Whether a name is that of something directly in a folder, and neither hidden nor a way out of it."""
    return bool(name) and not name.startswith(".") and not set(name) & {"/", "\\", "\0"}


def plotly() -> Response:
    """The library that pages draw with."""
    headers = {"cross-origin-resource-policy": "cross-origin", "cache-control": "public, max-age=86400"}
    return FileResponse(bundle(), media_type="text/javascript", headers=headers)
