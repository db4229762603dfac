"""The terminal view of a session: one screen, refreshed while it runs; plain lines where there is no terminal."""

from __future__ import annotations

import math
import time
from types import TracebackType
from typing import Final

import backtrader as bt
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from forwardtrader.live.monitoring.status import RunningSession
from forwardtrader.strategies.feed_context import traded_feeds

_EVERY_S: Final = 0.5
_LINE_EVERY_S: Final = 30.0


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

    def line(self, text: str) -> None:
        """Print one line, before the screen is up or where there is none."""
        if self._shown:
            self.console.print(text, style="dim", soft_wrap=True, markup=False)

    def __enter__(self) -> SessionView:
        if self._shown and self.console.is_terminal:
            self._live = Live(console=self.console, auto_refresh=False, transient=False)
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def show(self, session: RunningSession) -> None:
        """Draw the session, at most twice a second; nothing before its first bar."""
        now, strategy = time.monotonic(), session.progress.strategy
        if not self._shown or now < self._next or strategy is None or session.progress.last_bar is None:
            return
        if self._live is not None:
            self._next = now + _EVERY_S
            self._live.update(_screen(session, strategy), refresh=True)
        else:
            self._next = now + _LINE_EVERY_S
            self.console.print(_line(session, strategy))


def _screen(session: RunningSession, strategy: bt.Strategy) -> Group:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("symbol", "close", "forecast", "90 % band", "P(rise)", "position", "profit"):
        table.add_column(name, justify="left" if name == "symbol" else "right")
    for data in traded_feeds(strategy.datas):
        table.add_row(*_row(session, data))
    return Group(Text(_line(session, strategy), style="bold"), table, Text(_footer(session), style="dim"))


def _row(session: RunningSession, data: bt.feed.DataBase) -> list[str]:
    close, held = data.close[0], session.broker.getposition(data)
    source = session.forecasts.get(data._name)
    newest = None if source is None else source.newest
    forecast, band, rise = "no model", "", ""
    if newest is not None:
        forecast = f"{newest.location * 1e4:+.1f} bp"
        band = f"{close * math.exp(newest.quantiles[0]):,.2f} .. {close * math.exp(newest.quantiles[4]):,.2f}"
        rise = f"{newest.p_up:.0%}"
    profit = f"{held.size * (close - held.price):+,.2f}" if held.size else ""
    return [data._name, f"{close:,.2f}", forecast, band, rise, f"{held.size:.6g}" if held.size else "flat", profit]


def _line(session: RunningSession, strategy: bt.Strategy) -> str:
    value, progress = session.broker.get_value(), session.progress
    gain = value - (progress.start_equity or value)
    sample = "SAMPLE  " if session.kind == "sample" else ""
    at = f"{strategy.datetime.datetime(0):%Y-%m-%d %H:%M}"
    return f"{sample}{session.request.name}  {progress.state}  bar {at}  bars {progress.bars}  equity {value:,.2f} ({gain:+,.2f})"


def _footer(session: RunningSession) -> str:
    supply, process = session.supply, session.health.process()
    model = supply.card.model_id if supply.card else "none"
    training = "  training" if supply.training else ""
    feed = "connected" if session.bridge.is_connected else "NOT CONNECTED"
    return (
        f"model {model}  next retrain {supply.next_boundary:%Y-%m-%d %H:%M}{training}  {feed}  "
        f"{process.memory_mb:.0f} MB  failures {session.health.failures}  Ctrl-C stops"
    )
