"""The terminal view: a table on a terminal, lines elsewhere, silence where it is asked for."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from forwardtrader.live.monitoring.terminal import SessionView
from forwardtrader.live.output.store import SessionStore
from tests.live.monitoring.running import running_session


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SessionStore]:
    made = SessionStore(tmp_path / "session.db")
    yield made
    made.close()


def console(*, terminal: bool) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, force_terminal=terminal, width=150, no_color=True), out


def test_a_terminal_shows_forecast_band_position_and_profit(store: SessionStore, tmp_path: Path) -> None:
    screen, out = console(terminal=True)
    with SessionView(screen) as view:
        view.show(running_session(store, tmp_path))
    shown = out.getvalue()
    for piece in ("+10.0 bp", "97.04 .. 103.05", "55%", "+20.00", "no model", "flat", "equity 1,200.00 (+200.00)", "connected"):
        assert piece in shown, piece


def test_without_a_terminal_a_line_is_printed_twice_a_minute_at_most(store: SessionStore, tmp_path: Path) -> None:
    screen, out = console(terminal=False)
    with SessionView(screen) as view:
        view.show(running_session(store, tmp_path, seen=False))
        assert out.getvalue() == ""
        for _ in range(3):
            view.show(running_session(store, tmp_path))
    assert out.getvalue().splitlines() == ["one  starting  bar 2024-01-01 00:00  bars 3  equity 1,200.00 (+200.00)"]


def test_a_quiet_session_prints_nothing(store: SessionStore, tmp_path: Path) -> None:
    screen, out = console(terminal=True)
    with SessionView(screen, shown=False) as view:
        view.line("loading the model")
        view.show(running_session(store, tmp_path))
    assert out.getvalue() == ""
