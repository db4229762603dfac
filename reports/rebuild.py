"""The pages of finished runs, sweeps and sessions, made again from the files in their folders."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from forwardtrader.core.command.project import typed_path
from forwardtrader.core.config import load_settings
from forwardtrader.reports import manifest, sweep_manifest
from forwardtrader.reports.pages import audit_page, parity_page, session_status
from forwardtrader.reports.pages.audit_page import render_audit_page
from forwardtrader.reports.pages.parity_page import render_parity_page
from forwardtrader.reports.pages.run_index import render_run_index
from forwardtrader.reports.pages.run_page import prepare_run_page
from forwardtrader.reports.pages.session_page import render_session_page
from forwardtrader.reports.pages.sweep_page import render_sweep_page
from forwardtrader.reports.pages.tearsheet import TearsheetProcess


def rebuild_pages(given: argparse.Namespace) -> int:
    """`python -m reports`, once the flags are read: prints each page that was made."""
    sessions = Path(load_settings().live.sessions_path)
    for folder in given.folders:
        for page in rebuild(typed_path(folder), sessions):
            sys.stdout.write(f"{page}\n")
    return 0


def rebuild(folder: Path, sessions: Path | None = None) -> list[Path]:
    """Make the pages that belong into `folder` again: a session's, a sweep's, an audit's, a run's with its tearsheet, or all in it.

    Args:
        sessions: the folder of the sessions, whose parity pages the index of all runs lists.

    Raises:
        RunUnreadable: the folder holds neither a session nor a sweep, an audit or a run.
    """
    if (folder / session_status.FILE_NAME).is_file():
        parity = [render_parity_page(folder)] if (folder / parity_page.JSON_NAME).is_file() else []
        return [render_session_page(folder), *parity]
    if (folder / sweep_manifest.FILE_NAME).is_file():
        return [render_sweep_page(folder)]
    if (folder / audit_page.JSON_NAME).is_file():
        return [render_audit_page(folder)]
    runs, sweeps = (sorted(path.parent for path in folder.glob(f"*/{name}")) for name in (manifest.FILE_NAME, sweep_manifest.FILE_NAME))
    if (runs or sweeps) and not (folder / manifest.FILE_NAME).is_file():
        pages = [*(page for run in runs for page in _run_pages(run)), *map(render_sweep_page, sweeps)]
        audits = [render_audit_page(path.parent) for path in sorted(folder.glob(f"*/{audit_page.JSON_NAME}"))]
        return [*pages, *audits, render_run_index(folder, sessions)]
    return _run_pages(folder)


def _run_pages(folder: Path) -> list[Path]:
    with TearsheetProcess() as tearsheet:
        tearsheet.submit(folder)
        write_page = prepare_run_page(folder)
        drawn = tearsheet.wait()
        return [write_page(), drawn]
