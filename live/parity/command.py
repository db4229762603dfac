"""The parity command: replay a recorded session through the backtest and compare the two bar by bar."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pandas as pd
from rich.console import Console

from forwardtrader.core.clock import Clock
from forwardtrader.core.command.project import typed_path
from forwardtrader.core.config import load_settings
from forwardtrader.core.errors import ConfigError
from forwardtrader.live import control
from forwardtrader.live.output.files import render_page
from forwardtrader.live.parity.differences import CAUSES, described, differing, with_cause
from forwardtrader.live.parity.record import Recorded, read_session
from forwardtrader.live.parity.replay import replay
from forwardtrader.live.parity.resting_entries import resting_entries
from forwardtrader.live.parity.shortfall import measured
from forwardtrader.models.forecaster import ForecastSource
from forwardtrader.reports.pages.parity_page import SHARES, Parity, Shortfall, write_parity
from forwardtrader.reports.pages.run_index import render_run_index

CENT: Final = 0.005
VENUE_ROUNDING: Final = 1e-7  # venues keep eight decimals
_MOST_LISTED: Final = 200


def compare(folder: Path, clock: Clock, sources: Mapping[str, ForecastSource] | None = None) -> Parity:
    """Replay the session in `folder` and compare; the result is also written there.

    Args:
        sources: where the session's forecasts came from, if not from the models of the calendar.

    Raises:
        RunUnreadable: the folder holds no session, or one without bars.
    """
    session = read_session(folder)
    replayed = replay(session, sources)
    if session.strategy and session.tables["forecasts"].empty:  # it does not ask for any
        replayed["forecasts"] = session.tables["forecasts"]
    book, recorded = session.is_filled_by_book, {**session.tables, "fills": session.fills}
    recorded["equity"], replayed["equity"] = (session.watched(table["equity"]) for table in (recorded, replayed))
    differences = [d for name, most in _allowed(session).items() for d in differing(name, recorded[name], replayed[name], most)]
    differences.sort(key=lambda d: d.at)
    unequal = {d.what.partition(":")[0] for d in differences}
    parity = Parity(
        name=session.status.name,
        bars=len(session.tables["equity"]),
        forecasts_equal="forecasts" not in unequal,
        orders_equal=None if book else "orders" not in unequal,
        fills_equal=None if book else "fills" not in unequal,
        equity_equal=None if book else "equity" not in unequal,
        shortfall=_shortfall(session, replayed, folder) if book else None,
        entries=resting_entries(folder / "journal.db", session.candles),
        first_difference=with_cause(differences[0], session.notes, session.timeframe.seconds) if differences else None,
        compared={name: len(recorded[name]) for name in ("forecasts", "orders", "fills", "equity")},
        differences=differences[:_MOST_LISTED],
        made=clock.now(),
        deviations=[described(note) for note in session.notes if note["kind"] in CAUSES],
    )
    write_parity(folder, parity)
    if not control.is_running(folder):  # a running session redraws its page, which links this one, by itself
        render_page(folder)
    return parity


def _allowed(session: Recorded) -> dict[str, float]:
    """The tables to compare, with the largest difference of numbers that counts as equal."""
    if session.is_filled_by_book:
        return {"forecasts": 0.0}
    rounding = VENUE_ROUNDING if session.status.mode == "live" else 0.0
    return {"forecasts": 0.0, "orders": rounding, "fills": rounding, "equity": CENT}


def _shortfall(session: Recorded, replayed: Mapping[str, pd.DataFrame], folder: Path) -> Shortfall:
    ends = (float(session.tables["equity"]["equity"].iloc[-1]), float(replayed["equity"]["equity"].iloc[-1]))
    return measured(folder, session.candles, ends, session.settings.strategies)


def run_parity(given: argparse.Namespace, clock: Clock) -> int:
    """The parity command; 0 where session and backtest are equal, 6 where not.

    Raises:
        ConfigError: there is no such session.
    """
    folder = (typed_path(given.sessions) if given.sessions else Path(load_settings().live.sessions_path)) / given.name
    if not folder.is_dir():
        raise ConfigError(f"there is no session {given.name!r} in {folder.parent}; start one with run_live.py --session {given.name}")
    parity = compare(folder, clock)
    if (output := Path(load_settings().reports.output)).is_dir():
        render_run_index(output, folder.parent)
    console = Console(highlight=False)
    counts = ", ".join(f"{count} {name}" for name, count in parity.compared.items())
    if parity.equal and parity.shortfall is not None:
        cost = parity.shortfall
        console.print(
            f"forecasts equal in {parity.bars} bars; {cost.orders} orders cost {cost.total:,.2f} ({cost.total_bps:.1f} bp,", end=" "
        )
        console.print(f"{cost.assumed_bps:.1f} assumed): {_parts(cost)}; see {folder / 'parity.html'}")
        return 0
    if parity.equal:
        console.print(f"equal: {parity.bars} bars, {counts}; see {folder / 'parity.html'}")
        return 0
    first = parity.first_difference
    assert first is not None
    console.print(f"NOT EQUAL: {len(parity.differences)} differences in {parity.bars} bars, {counts}; see {folder / 'parity.html'}")
    console.print(f"first at {first.at:%Y-%m-%d %H:%M}, {first.what}: session {first.session}, replay {first.replay}")
    return 6


def _parts(cost: Shortfall) -> str:
    return ", ".join(f"{name} {getattr(cost, name):,.2f}" for name in SHARES)
