"""`python -m reports FOLDER...`: make the pages of finished runs, of sweeps and of sessions again, from the files in their folders."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from forwardtrader.core.cli import end_well
from forwardtrader.reports import manifest, sweep_manifest
from forwardtrader.reports.pages import session_status
from forwardtrader.reports.pages.run_index import render_run_index
from forwardtrader.reports.pages.run_page import prepare_run_page
from forwardtrader.reports.pages.session_page import render_session_page
from forwardtrader.reports.pages.sweep_page import render_sweep_page
from forwardtrader.reports.pages.tearsheet import TearsheetProcess


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    return end_well(lambda: _rebuilt(arguments))


def _rebuilt(arguments: Sequence[str] | None) -> int:
    parser = argparse.ArgumentParser(prog="python -m reports", description="Make the pages of runs, sweeps and sessions again.")
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER", help="a run's, a sweep's or a session's folder, or one that holds runs"
    )
    for folder in parser.parse_args(arguments).folders:
        for page in rebuild(folder):
            print(page)
    return 0


def rebuild(folder: Path) -> list[Path]:
    """Make the pages that belong into `folder` again: a session's, a sweep's, a run's with its tearsheet, or those of all runs in it.

    Raises:
        RunUnreadable: the folder holds neither a session nor a sweep nor a run.
    """
    if (folder / session_status.FILE_NAME).is_file():
        return [render_session_page(folder)]
    if (folder / sweep_manifest.FILE_NAME).is_file():
        return [render_sweep_page(folder)]
    runs, sweeps = (sorted(path.parent for path in folder.glob(f"*/{name}")) for name in (manifest.FILE_NAME, sweep_manifest.FILE_NAME))
    if (runs or sweeps) and not (folder / manifest.FILE_NAME).is_file():
        pages = [*(page for run in runs for page in _run_pages(run)), *map(render_sweep_page, sweeps)]
        return [*pages, render_run_index(folder)]
    return _run_pages(folder)


def _run_pages(folder: Path) -> list[Path]:
    with TearsheetProcess() as tearsheet:
        tearsheet.submit(folder)
        write_page = prepare_run_page(folder)
        drawn = tearsheet.wait()
        return [write_page(), drawn]


if __name__ == "__main__":
    raise SystemExit(main())
