"""Opening a journal: one that is damaged is set aside, and a new one begun in its place."""

from __future__ import annotations

import contextlib
import itertools
import logging
from pathlib import Path
from typing import Final

from forwardtrader.core import log
from forwardtrader.core.errors import StoreDamaged
from forwardtrader.live.execution.journal import Journal

_LOG: Final = log.logger("live")


def open_journal(path: Path) -> Journal:
    """The journal of a session. One that is damaged is set aside; the new one in its place is marked as lost, and has what the write-ahead
    log holds.

    Raises:
        StoreDamaged: the file was written by a newer version.
    """
    try:
        journal = Journal(path)
        if journal.is_sound():
            return journal
        journal.close()
    except StoreDamaged as error:
        if error.__cause__ is None:  # a whole file, of another version
            raise
    aside = _set_aside(path)
    log.event(_LOG, "journal_damaged", logging.WARNING, kept=str(aside))
    journal = Journal(path)
    journal.mark_lost()
    return journal


def _set_aside(path: Path) -> Path:
    aside = next(p for n in itertools.count(1) if not (p := path.with_name(f"{path.name}.damaged-{n}")).exists())
    path.rename(aside)
    for end in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + end).rename(aside.with_name(aside.name + end))
    return aside
