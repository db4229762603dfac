"""The parts of an assembled session, and the callbacks through which Backtrader, broker and bridge drive it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import backtrader as bt

from forwardtrader.live.bridge.broker import CCXTBroker
from forwardtrader.live.bridge.store import CCXTStore
from forwardtrader.live.execution.events import AccountEvent
from forwardtrader.live.execution.journal import Journal
from forwardtrader.live.monitoring.account_alerts import AccountAlerts, StrategyLimitAlerts
from forwardtrader.live.monitoring.fill_alerts import FillAlerts
from forwardtrader.live.monitoring.health import SessionHealth
from forwardtrader.live.monitoring.status import RunningSession
from forwardtrader.live.monitoring.trading_state_alerts import TradingStateAlerts
from forwardtrader.live.monitoring.watchdog import Watchdog
from forwardtrader.live.output.refresh import SessionOutput
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.retraining.stock import FixedSupply
from forwardtrader.live.retraining.supply import ModelSupply
from forwardtrader.live.session.commands import CommandHandler
from forwardtrader.live.session.forecasts import SessionForecasts
from forwardtrader.live.session.paper_broker import PaperBroker
from forwardtrader.live.session.resume import ResumedSession, SavedState
from forwardtrader.live.session.setup import SessionMarket
from forwardtrader.live.session.shutdown import Shutdown
from forwardtrader.live.supervision.unattended import UnattendedSession
from forwardtrader.strategies.backtrader_objects import BtOrder

if TYPE_CHECKING:
    from forwardtrader.live.monitoring.metrics import SessionMetrics

Supply = ModelSupply | FixedSupply
SessionBroker = CCXTBroker | PaperBroker


class SessionCallbacks(Protocol):
    """What Backtrader, broker and bridge call while a session runs."""

    def bar_done(self, strategy: bt.Strategy, number: float) -> None:
        """Backtrader is done with a bar; `number` is its open time as Backtrader counts."""

    def order_changed(self, order: BtOrder) -> None:
        """Backtrader notifies of an order."""

    def between_bars(self) -> None:
        """A turn of the loop brought no bar."""

    def idle(self) -> None:
        """A feed waits for its next bar."""

    def is_done(self, newest: int) -> bool:
        """Whether every bar up to the one given (open time, ms UTC) is done with, and the session goes on."""

    def account_event(self, event: AccountEvent) -> None:
        """An order event reached the strategy."""

    def forecast_failed(self, symbol: str, error: Exception) -> None:
        """A forecast of a symbol could not be made."""

    def forecast_works(self, symbol: str) -> None:
        """A forecast of a symbol could be made again."""

    def strategy_failed(self, where: str, error: Exception) -> None:
        """The strategy raised an exception."""


@dataclass(frozen=True, kw_only=True)
class SessionParts:
    """The parts of an assembled session.

    Attributes:
        journal, saved_state: of a session with real orders; None on paper.
        metrics: None where nobody asks for them.
        first_ms: open time (ms UTC) of the session's first bar.
        step_market: called while a feed waits; drives the practice market, does nothing at a real venue.
        running: what status and terminal view read.
    """

    store: SessionStore
    health: SessionHealth
    account_alerts: AccountAlerts
    limit_alerts: StrategyLimitAlerts
    state_alerts: TradingStateAlerts
    fill_alerts: FillAlerts
    metrics: SessionMetrics | None
    resumed: ResumedSession
    market: SessionMarket
    supply: Supply
    sources: dict[str, SessionForecasts]
    bridge: CCXTStore
    broker: SessionBroker
    journal: Journal | None
    saved_state: SavedState | None
    commands: CommandHandler
    shutdown: Shutdown
    unattended: UnattendedSession
    watchdog: Watchdog
    output: SessionOutput
    cerebro: bt.Cerebro
    running: RunningSession
    first_ms: int
    step_market: Callable[[], None]
