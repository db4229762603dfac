"""The parity page: `parity.json` and `parity.html` compare a session with its replay on the same bars."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from pydantic import Field, ValidationError

from forwardtrader.core import atomic
from forwardtrader.core.errors import RunUnreadable
from forwardtrader.reports.pages.render import write_page
from forwardtrader.reports.sections.entries import EntriesSection
from forwardtrader.reports.sections.section import Moment, Section

SHARES: Final = ("delay", "spread", "impact", "fees", "opportunity")
JSON_NAME: Final = "parity.json"
FILE_NAME: Final = "parity.html"


class Difference(Section):
    """One place where session and replay differ: when, in what, and both values as text."""

    at: Moment
    what: str
    session: str
    replay: str


class Shortfall(Section):
    """What a venue's fills cost against decisions carried out in full at their own prices; parts in quote units (live.parity.shortfall).

    `total_bps` is of `value`, what was decided on; `assumed_bps` what a backtest with these settings takes for fee and slippage of it.
    `replay_equity` is the account of the replay at the end, whose fills are those of a backtest.
    """

    orders: int
    filled: int
    value: float
    delay: float
    spread: float
    impact: float
    fees: float
    opportunity: float
    total: float
    total_bps: float
    assumed_bps: float
    session_equity: float
    replay_equity: float
    by_symbol: dict[str, dict[str, float]] = Field(default_factory=dict)
    costliest: list[dict[str, float | str]] = Field(default_factory=list)


class Parity(Section):
    """The whole of `parity.json`; `compared` counts what was laid side by side (forecasts, orders, fills, equity).

    Where a venue's own prices filled the orders, they cannot equal a backtest's: `orders_equal`, `fills_equal` and `equity_equal` are
    null then, and `shortfall` is what the difference cost. `entries` says what became of real orders that were to rest as makers.
    """

    name: str
    bars: int
    forecasts_equal: bool
    orders_equal: bool | None
    fills_equal: bool | None
    equity_equal: bool | None = None
    shortfall: Shortfall | None = None
    entries: EntriesSection | None = None
    first_difference: Difference | None = None
    compared: dict[str, int] = Field(default_factory=dict)
    differences: list[Difference] = Field(default_factory=list)
    made: Moment | None = None
    # What the session did that no replay could know, e.g. a model that came late: recorded, not counted as a difference.
    deviations: list[str] = Field(default_factory=list)

    @property
    def equal(self) -> bool:
        return self.forecasts_equal and False not in (self.orders_equal, self.fills_equal, self.equity_equal)


def write_parity(session_dir: Path, parity: Parity) -> Path:
    """Write `parity.json` and `parity.html` beside a session's files; returns the page."""
    tree = parity.model_dump(mode="json")
    atomic.write_text(session_dir / JSON_NAME, json.dumps(tree, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    return render_parity_page(session_dir)


def render_parity_page(session_dir: Path) -> Path:
    """Write `session_dir/parity.html` from `parity.json` and return its path.

    Raises:
        RunUnreadable: there is no readable `parity.json`.
    """
    parity = read_parity(session_dir)
    rows = [(name, getattr(parity, f"{name}_equal"), parity.compared.get(name)) for name in ("forecasts", "orders", "fills", "equity")]
    context: dict[str, Any] = {"parity": parity, "rows": rows, "shares": SHARES, "has_session": (session_dir / "index.html").is_file()}
    return write_page(session_dir / FILE_NAME, "parity_page.html.j2", context)


def read_parity(session_dir: Path) -> Parity:
    """Read `session_dir/parity.json`.

    Raises:
        RunUnreadable: the file is missing or not of this schema.
    """
    path = session_dir / JSON_NAME
    try:
        return Parity.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunUnreadable(f"{path} does not exist; run python -m live.parity {session_dir.name}") from error
    except (ValidationError, ValueError) as error:
        raise RunUnreadable(f"{path} cannot be read; run python -m live.parity {session_dir.name} again") from error
