"""The request of one historical run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from forwardtrader.core.settings import Settings
from forwardtrader.feeds.history.perpetual_facts import FactFiles
from forwardtrader.strategies.stints.stint import Stint


@dataclass(frozen=True, kw_only=True)
class BacktestRequest:
    """Everything from the command line, parsed and checked.

    Attributes:
        first: open of the first bar traded, UTC.
        last: open times from here on are not traded, UTC.
        open_ended: no end was named, so `last` is the present moment.
        files: candle files by symbol, in place of the store.
        facts: files of funding and mark price of perpetuals, by symbol.
        confirm: files of other venues' candles, by symbol.
        detail, detail_marks: files of finer candles and of their marks, by symbol, in place of the store.
        strategy: `module:Class` of a Backtrader strategy in place of ours; empty for ours.
        command: the command as typed, for the record.
        progress: a file for other programs, which is told what is being done.
        importance: `permutation` or `refit`, where it is asked what features add; else empty.
        optimise: the file of a walk-forward optimisation.
        stints: the parameters that it chose, from the first traded bar on; `choice` is a fingerprint of everything they were chosen by, and
            `window` is the past that each was chosen on, on which its strategy is warmed up.
    """

    settings: Settings
    first: datetime
    last: datetime
    files: Mapping[str, Path] = field(default_factory=dict)
    facts: Mapping[str, FactFiles] = field(default_factory=dict)
    detail: Mapping[str, Path] = field(default_factory=dict)
    confirm: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    detail_marks: Mapping[str, Path] = field(default_factory=dict)
    strategy: str = ""
    name: str = ""
    command: str = ""
    sweep: Path | None = None
    optimise: Path | None = None
    stints: Sequence[Stint] = ()
    choice: str = ""
    window: timedelta = timedelta(0)
    audit: bool = False
    importance: str = ""
    open_page: bool = False
    as_json: bool = False
    quiet: bool = False
    progress: Path | None = None
    open_ended: bool = False
