"""The session in the terminal: one screen, refreshed while it runs; plain lines where there is no terminal."""

from __future__ import annotations

import math
import time
from types import TracebackType
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

_EVERY_S = 0.5
_LINE_EVERY_S = 30.0


class SessionView:
    """Shows bar, forecast with band, position, profit, model and health.

    Args:
        shown: False for silence.
    """

    def __init__(self, console: Console, *, shown: bool = True) -> None:
        self.console = console
        self._shown = shown
        self._live: Live | None = None
        self._next = 0.0

    def say(self, text: str) -> None:
        """One line, before the screen is up or where there is none."""
        if self._shown:
            self.console.print(text, style="dim")

    def __enter__(self) -> SessionView:
        if self._shown and self.console.is_terminal:
            self._live = Live(console=self.console, auto_refresh=False, transient=False)
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def show(self, session: Any) -> None:
        """Draw the session, not more than twice a second."""
        now = time.monotonic()
        if not self._shown or now < self._next or session.strategy is None or session.last_bar is None:
            return
        if self._live is not None:
            self._next = now + _EVERY_S
            self._live.update(_screen(session), refresh=True)
        else:
            self._next = now + _LINE_EVERY_S
            self.console.print(_line(session))


def _screen(session: Any) -> Group:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("symbol", "close", "forecast", "90 % band", "P(rise)", "position", "profit"):
        table.add_column(name, justify="left" if name == "symbol" else "right")
    for data in session.strategy.datas:
        table.add_row(*_row(session, data))
    return Group(Text(_line(session), style="bold"), table, Text(_footer(session), style="dim"))


def _row(session: Any, data: Any) -> list[str]:
    close, held = data.close[0], session.broker.getposition(data)
    told = session.sources[data._name].newest if data._name in session.sources else None
    forecast, band, rise = "no model", "", ""
    if told is not None:
        forecast = f"{told.location * 1e4:+.1f} bp"
        band = f"{close * math.exp(told.quantiles[0]):,.2f} .. {close * math.exp(told.quantiles[4]):,.2f}"
        rise = f"{told.p_up:.0%}"
    profit = f"{held.size * (close - held.price):+,.2f}" if held.size else ""
    return [data._name, f"{close:,.2f}", forecast, band, rise, f"{held.size:.6g}" if held.size else "flat", profit]


def _line(session: Any) -> str:
    value = session.broker.get_value()
    gain = value - (session.start_equity or value)
    sample = "SAMPLE  " if session.scene.kind == "sample" else ""
    at = f"{session.strategy.datetime.datetime(0):%Y-%m-%d %H:%M}"
    return f"{sample}{session.request.name}  {session.state}  bar {at}  bars {session.bars}  equity {value:,.2f} ({gain:+,.2f})"


def _footer(session: Any) -> str:
    supply, health = session.supply, session.health.process()
    model = supply.card.model_id if supply.card else "none"
    training = "  training" if supply.training else ""
    feed = "connected" if session.bridge.is_connected else "NOT CONNECTED"
    return (
        f"model {model}  next retrain {supply.next_boundary:%Y-%m-%d %H:%M}{training}  {feed}  "
        f"{health.memory_mb:.0f} MB  failures {session.health.failures}  Ctrl-C stops"
    )
