"""Errors that could not be sent before their process ended: kept in the session's folder for the next one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from forwardtrader.core import atomic
from forwardtrader.core.errors import StorageFull

_FILE: Final = "telegram_unsent.json"
_MOST: Final = 50  # the newest
_LATE: Final = " (sent late)"


class UnsentErrors:
    """A small file of texts.

    Args:
        folder: of the session; None where nothing is kept.
    """

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else folder / _FILE

    def read(self) -> list[str]:
        """What an earlier process left; nothing where that cannot be read."""
        try:
            found = [] if self._path is None else json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return []
        return (
            [text + ("" if text.endswith(_LATE) else _LATE) for text in found if isinstance(text, str)] if isinstance(found, list) else []
        )

    def keep(self, texts: Sequence[str]) -> bool:
        """Keep these in place of what was kept; whether that was possible."""
        if self._path is None:
            return False
        try:
            if texts:
                atomic.write_text(self._path, json.dumps(list(texts[-_MOST:])))
            else:
                self._path.unlink(missing_ok=True)
        except (OSError, StorageFull):
            return False
        return True
