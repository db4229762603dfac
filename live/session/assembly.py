"""The composition root of a session: builds every part, connects to the venue, and returns the parts ready to run."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import backtrader as bt
import pandas as pd

from forwardtrader.core import log
from forwardtrader.core.clock import Clock
from forwardtrader.feeds.backtrader_data import backtrader_timeframe
from forwardtrader.feeds.candles.schema import cut, grid_floor
from forwardtrader.feeds.factors.book import FactorBook
from forwardtrader.feeds.fetching.poller import FactorPoller
from forwardtrader.live.bridge.broker import CCXTBroker
from forwardtrader.live.bridge.store import CCXTStore
from forwardtrader.live.control import ControlCommand
from forwardtrader.live.execution.journal import Journal
from forwardtrader.live.execution.recovery.journal_file import open_journal
from forwardtrader.live.mirror.session_mirror import SessionMirror
from forwardtrader.live.monitoring.account_alerts import AccountAlerts, StrategyLimitAlerts
from forwardtrader.live.monitoring.fill_alerts import FillAlerts
from forwardtrader.live.monitoring.health import SessionHealth
from forwardtrader.live.monitoring.metrics_port import require_port
from forwardtrader.live.monitoring.progress import SessionProgress
from forwardtrader.live.monitoring.status import RunningSession, status_of
from forwardtrader.live.monitoring.terminal import SessionView
from forwardtrader.live.monitoring.trading_state_alerts import TradingStateAlerts
from forwardtrader.live.monitoring.watchdog import Watchdog, start_watchdog
from forwardtrader.live.output.job import WriteJob
from forwardtrader.live.output.perpetual_facts import FactKeeping
from forwardtrader.live.output.refresh import SessionOutput
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.output.tables import fresh_rows
from forwardtrader.live.output.venues import SessionVenues
from forwardtrader.live.preflight.consent import require_consent
from forwardtrader.live.preflight.owner import account_of, machine_name, remember_account, require_journal_of
from forwardtrader.live.preflight.shared_state import leased, require_shared_state
from forwardtrader.live.preflight.start_retry import until_reachable
from forwardtrader.live.request import LiveRequest
from forwardtrader.live.retraining.stock import FixedSupply, NoForecasts
from forwardtrader.live.retraining.supply import ModelSupply
from forwardtrader.live.session.candles import SessionCandles
from forwardtrader.live.session.commands import CommandHandler
from forwardtrader.live.session.connection import account_lock, market_pace, open_bridge, open_facts, supervise_account
from forwardtrader.live.session.factors import LiveFactors, open_poller
from forwardtrader.live.session.forecasts import SessionForecasts, known_forecasts
from forwardtrader.live.session.paper_broker import Confirmations, PaperBroker
from forwardtrader.live.session.parts import SessionBroker, SessionCallbacks, SessionParts, Supply
from forwardtrader.live.session.resume import ResumedSession, SavedState
from forwardtrader.live.session.sandbox_process import Lockstep, MarketStart
from forwardtrader.live.session.setup import JOURNAL, open_market
from forwardtrader.live.session.shutdown import Shutdown
from forwardtrader.live.session.snapshot import can_be_frozen
from forwardtrader.live.session.strategy_guard import BarHook, guarded
from forwardtrader.live.supervision.supervisor import Supervisor
from forwardtrader.live.supervision.unattended import UnattendedSession
from forwardtrader.live.telegram.alerts import alerts_from
from forwardtrader.live.telegram.session_chat import begin_chat
from forwardtrader.live.venue.identity import AccountIdentity
from forwardtrader.live.venue.keys import reporting_refused_keys
from forwardtrader.models.features.selection import look_back
from forwardtrader.models.port.prototype import prototype
from forwardtrader.strategies.backtrader.assembly import Feed, build_cerebro, extra_bars, margin_terms, venue_broker
from forwardtrader.strategies.backtrader.hosting import restoring
from forwardtrader.strategies.backtrader.recorders.order_recorder import OrderRecorder
from forwardtrader.strategies.backtrader.strategy import LSTMStrategy
from forwardtrader.strategies.trading_state.guard import TradingGuard
from forwardtrader.strategies.user_code.forecast_use import may_read_forecasts
from forwardtrader.strategies.user_code.strategy_class import load_strategy

if TYPE_CHECKING:
    from forwardtrader.live.monitoring.metrics import SessionMetrics

T = TypeVar("T")
_LOG: Final = log.logger("live")


def assemble(
    request: LiveRequest, clock: Clock, view: SessionView, progress: SessionProgress, callbacks: SessionCallbacks, stack: ExitStack,
    supervisor: Supervisor, supply: FixedSupply | None = None,
) -> SessionParts:  # fmt: skip
    """Build the parts of a session, and connect to its venue.

    Args:
        stack: closes what was opened when it is left, also where the assembly fails.
        supervisor: hands over control commands, and carries them out where the session hangs.
        supply: where forecasts come from; None for the scheduled models.

    Raises:
        TradingError: whatever stands in the way of a start.
    """
    return _Assembly(request, clock, view, progress, callbacks, stack, supervisor, forecasts=supply is not None).parts(supply)


class _Assembly:
    """One assembly; each part is built when it is first needed."""

    def __init__(
        self, request: LiveRequest, clock: Clock, view: SessionView, progress: SessionProgress, callbacks: SessionCallbacks,
        stack: ExitStack, supervisor: Supervisor, *, forecasts: bool,
    ) -> None:  # fmt: skip
        self.request, self.clock, self.view, self.progress, self.callbacks, self.stack = request, clock, view, progress, callbacks, stack
        self.supervisor = supervisor
        live = request.settings.live
        prototype(request.settings.models)  # refused here rather than in its first training
        self.kind = load_strategy(request.strategy) if request.strategy else LSTMStrategy
        # A user's own features that will not do are told before anything opens.
        look_back(request.settings.models.features, request.timeframe)
        self.store = SessionStore(request.folder / "session.db")
        stack.callback(self.store.close)
        channel = alerts_from(name=request.name, live=live, folder=request.folder) if live.telegram else None
        self.close_channel: Callable[[], None] = channel.close if channel is not None else lambda: None
        stack.callback(self.close_channel)
        self.send: Callable[[str, str, str], None] = channel.send if channel is not None else lambda *_alert: None
        self.venues = SessionVenues(self.store, request.symbols, confirmed=bool(request.settings.feeds.confirm_exchanges))
        self.health = SessionHealth(self.store, clock, self.send)
        if channel is not None:
            begin_chat(channel, request, clock, self.store, self.health, view.line)
        require_shared_state(request, view.line)
        self.mirror = SessionMirror(request, clock, machine_name() if live.firestore_project else "", notify=self.health.notify)
        stack.callback(self.mirror.close)
        self.metrics = self._metrics(live.metrics_port) if live.metrics_port else None
        self.objection: Callable[[], str] = lambda: ""
        self.resumed = ResumedSession(self.store, request, self.kind)
        needs = forecasts or may_read_forecasts(self.kind)
        self.market = self._patiently(lambda: open_market(request, self.resumed.last, clock, forecasts=needs))
        if self.market.practice is not None:
            stack.callback(self.market.practice.stop)
        margin_terms([self.market.rules[s] for s in request.symbols], request.settings.strategies)  # as in a backtest
        self.first_ms = int(self.market.first_live.timestamp() * 1000)
        self.factors = FactorBook(request.settings.feeds.located_factors, request.timeframe)
        self.poller = open_poller(request, self.market, market_pace(request, self.market))
        self.facts = open_facts(request, self.market, self.store, self.resumed.last, self.health.notify)

    def parts(self, supply: FixedSupply | None) -> SessionParts:
        resumed, market, progress, health = self.resumed, self.market, self.progress, self.health
        models = self._opened(supply or self._supply())
        self.supervisor.account_opens()
        journal = open_journal(self.request.folder / JOURNAL) if self.request.mode == "live" else None
        if journal is not None:
            self.resumed.take_over(journal)
        saved = SavedState(self.store, journal, self.callbacks.strategy_failed) if journal is not None else None
        bridge = self._bridge(journal)
        sources = self._sources(models)
        broker = self._live_broker(bridge, saved) if saved is not None else self._paper_broker(bridge)
        broker.on_turn = self.callbacks.between_bars
        shutdown = Shutdown(bridge, broker, progress, health)
        commands = self._commands(broker, shutdown)
        cerebro = self._cerebro(bridge, broker, sources, saved)
        self._connect(bridge, journal)
        supervise_account(self.request, bridge, self.supervisor, self.objection)
        watchdog = self._watchdog(bridge)
        if self.metrics is not None:
            self.metrics.time(bridge)
        running = RunningSession(
            request=self.request, kind=market.kind, is_practice=market.practice is not None, clock=self.clock, progress=progress,
            broker=broker, supply=models, forecasts=sources, bridge=bridge, watchdog=watchdog, health=health,
        )  # fmt: skip
        return SessionParts(
            store=self.store, health=health, account_alerts=AccountAlerts(health.notify, shutdown.halt_account),
            limit_alerts=StrategyLimitAlerts(health.notify, progress), state_alerts=TradingStateAlerts(health.notify, progress),
            fill_alerts=FillAlerts(self.send), metrics=self.metrics,
            resumed=resumed, market=market, supply=models, sources=sources, bridge=bridge,
            broker=broker, journal=journal, saved_state=saved, commands=commands, shutdown=shutdown, watchdog=watchdog,
            unattended=self._unattended(bridge, broker, shutdown),
            output=SessionOutput(partial(self._write_job, running), self.store, self.mirror, facts=self._kept_facts()), cerebro=cerebro,
            running=running, first_ms=self.first_ms, step_market=self._market_step(bridge, models),
        )  # fmt: skip

    # Models and forecasts

    def _supply(self) -> Supply:
        if not self.market.forecasts:
            return FixedSupply(dict.fromkeys(self.request.symbols, NoForecasts(self.request.settings.strategies.horizon)))
        self.view.line("loading the model")
        return self._model_supply()

    def _model_supply(self) -> ModelSupply:
        request, notify = self.request, self.health.notify
        candles = SessionCandles(request.folder, self.store, request.symbols, self.factors.beside, self.venues.books)
        return ModelSupply(
            request.symbols, request.settings.models, request.settings.strategies.horizon, request.timeframe, folder=request.folder,
            candles=lambda: candles, notify=notify,
            facts=LiveFactors(self.factors, notify, self._started_poller()) if self.factors else None,
            learning=request.settings.learning,
        )  # fmt: skip

    def _started_poller(self) -> FactorPoller | None:
        if self.poller is not None:
            self.view.line("fetching the factors")
            self.stack.callback(self.poller.stop)
            self.poller.first(self.request.settings.live.start_patience_s)
        return self.poller

    def _opened(self, models: Supply) -> Supply:
        self.stack.callback(models.stop)
        models.open(self.resumed.next_bar or self.market.first_live)
        return models

    def _sources(self, models: Supply) -> dict[str, SessionForecasts]:
        resumed, first = self.resumed, self.market.first_live
        known = {s: known_forecasts(self.store, s, None if resumed.is_frozen else resumed.last) for s in self.request.symbols}
        failed, worked = self.callbacks.forecast_failed, self.callbacks.forecast_works
        seen = {s: self.venues.source(models.sources[s], s) for s in self.request.symbols}
        return {
            s: SessionForecasts(seen[s], known[s], resumed.forecasts_from(s, first), failed=partial(failed, s), worked=partial(worked, s))
            for s in self.request.symbols
        }

    # Venue and broker

    def _bridge(self, journal: Journal | None) -> CCXTStore:
        bridge = open_bridge(self.request, self.market, journal)
        bridge.on_idle = self.callbacks.idle
        bridge.on_merge_event, bridge.on_signal, bridge.judged_state = self.health.notify, self.venues.add, self.venues
        bridge.was_recorded, bridge.recorded, bridge.began = self.resumed.has_kept, self.resumed.kept, self.first_ms
        if self.resumed.last is not None:
            bridge.recorded_until = self.resumed.last + self.request.timeframe.seconds * 1000
        self.stack.callback(bridge.stop)
        return bridge

    def _live_broker(self, bridge: CCXTStore, saved: SavedState) -> CCXTBroker:
        broker = bridge.getbroker(use_positions=False)
        broker.refused = saved.refused
        broker.on_event = self.callbacks.account_event
        return broker

    def _paper_broker(self, bridge: CCXTStore) -> PaperBroker:
        rules = [self.market.rules[s] for s in self.request.symbols]
        start = self.market.first_live.timestamp()
        broker = venue_broker(rules, self.request.settings.strategies, trade_from=start, kind=PaperBroker)
        assert isinstance(broker, PaperBroker)
        broker.entry_objection = Confirmations(self.store, bridge.entry_objection, self.resumed.last).objection
        return broker

    def _connect(self, bridge: CCXTStore, journal: Journal | None) -> None:
        with reporting_refused_keys(bridge.exchange):
            if journal is None:
                self._lease(bridge)
                self._patiently(bridge.start)
                return
            account = account_of(self.request, bridge.exchange)
            require_journal_of(account, journal, self.request.name)
            self.stack.enter_context(account_lock(bridge))
            self._lease(bridge, None if self.request.sandbox else account)
            self._patiently(bridge.start)
            prices = {symbol: float(frame["close"].iloc[-1]) for symbol, frame in self._candles().items() if len(frame)}
            asked = self.request
            require_consent(
                bridge, asked.symbols, asked.confirmed, self.view.console, account=account, prices=prices, practice=asked.sandbox
            )
            remember_account(journal, account)

    def _lease(self, bridge: CCXTStore, account: AccountIdentity | None = None) -> None:
        def lost(reason: str) -> None:
            self.mirror.lost()
            self.health.notify("lease_lost", "error", reason=reason)
            bridge.halt(reason)

        self.objection = self.stack.enter_context(leased(self.request, account, self.clock, self.mirror, lost))

    # Backtrader

    def _cerebro(
        self, bridge: CCXTStore, broker: SessionBroker, sources: dict[str, SessionForecasts], saved: SavedState | None
    ) -> bt.Cerebro:
        cerebro = build_cerebro(
            self._feeds(bridge, sources), self.request.settings.strategies, broker=broker, trade_from=self._trade_from(),
            begins=self.market.first_live,
            strategy=guarded(self._strategy(saved), self.callbacks.strategy_failed), saved=saved.saved if saved is not None else None,
            resample=self.request.settings.feeds.resample,
            analyzers=[
                (OrderRecorder, {"_name": "orders"}),
                (BarHook, {"done": self.callbacks.bar_done, "changed": self.callbacks.order_changed, "_name": "session"}),
            ],
            guard=self._guard(saved), learning=self.request.settings.learning,
            exactbars=int(can_be_frozen(self.kind)),  # lines as long as they are looked back on, and no longer
        )  # fmt: skip
        cerebro.addstore(bridge)
        return cerebro

    def _feeds(self, bridge: CCXTStore, sources: dict[str, SessionForecasts]) -> list[Feed]:
        unit, compression = backtrader_timeframe(self.request.timeframe)
        feeds, extra = [], extra_bars(self.request.timeframe, self.request.settings.feeds.resample)
        for symbol, frame in self._candles().items():
            first = int(frame.index.searchsorted(pd.Timestamp(self.resumed.begins(self.market.first_live))))
            warm = cut(frame, max(0, first - sources[symbol].warm_up - extra), len(frame))
            data = bridge.getdata(symbol, timeframe=unit, compression=compression, backfill_from=warm)
            source = sources[symbol] if self.market.forecasts else None
            facts = self.facts.get(symbol) if self.request.mode == "paper" else None  # with real orders the account is the venue's
            rules = self.market.rules[symbol]
            feeds.append(Feed(data=data, rules=rules, timeframe=self.request.timeframe, source=source, facts=facts))
        return feeds

    def _guard(self, saved: SavedState | None) -> TradingGuard | None:
        """Limits of the account, as an earlier process left them; paper works them out again, from a snapshot or from the bars."""
        guard = TradingGuard.of(self.request.settings.risk)
        if saved is not None:
            saved.guard = guard
            if guard is not None and saved.limits is not None:
                guard.restore(saved.limits)
        return guard

    def _strategy(self, saved: SavedState | None) -> type[bt.Strategy]:
        """The class that trades. Paper builds its state anew, from a snapshot or from the bars; with real orders it is restored."""
        after = self.resumed.next_bar
        if saved is None or saved.saved is None or after is None:
            return self.kind
        return restoring(self.kind, saved.saved, after.timestamp(), self.callbacks.strategy_failed)

    def _trade_from(self) -> datetime:
        """The first bar that is traded: with real orders never one that an earlier process saw, or that was missed meanwhile."""
        if self.request.mode == "paper" or self.resumed.next_bar is None:
            return self.resumed.begins(self.market.first_live)
        return max(self.resumed.next_bar, grid_floor(self.market.clock.now(), self.request.timeframe))

    def _candles(self) -> SessionCandles:
        return SessionCandles(self.request.folder, self.store, self.request.symbols)

    # Commands, watchdog and market

    def _commands(self, broker: SessionBroker, shutdown: Shutdown) -> CommandHandler:
        request = self.request
        commands = CommandHandler(
            self.store, self.health, self.progress, broker, shutdown, inbox=self.supervisor,
            before_first=self.first_ms - request.timeframe.seconds * 1000, clock=self.clock, real_orders=request.mode == "live",
        )  # fmt: skip
        if request.mode == "live" and request.settings.live.orders_at_stop == "cancel":
            shutdown.before_stop = partial(commands.execute, ControlCommand.CANCEL)
        return commands

    def _unattended(self, bridge: CCXTStore, broker: SessionBroker, shutdown: Shutdown) -> UnattendedSession:
        return UnattendedSession(
            bridge, broker, self.progress, self.store, self.health, clock=self.clock, halt=shutdown.halt,
            before_first=self.first_ms - self.request.timeframe.seconds * 1000,
            cancels_at_stop=self.request.settings.live.orders_at_stop == "cancel", folder=self.request.folder,
            close=(self.supervisor.let_go, self.close_channel),
        )  # fmt: skip

    @property
    def _pace(self) -> float:
        return market_pace(self.request, self.market)

    def _watchdog(self, bridge: CCXTStore) -> Watchdog:
        settings, bar_s = self.request.settings, self.request.timeframe.seconds
        watchdog = start_watchdog(
            bridge, settings.risk, None if self.market.practice is not None else self.clock, real_orders=self.request.mode == "live",
            longest_bar_age_s=settings.live.stale_after_bars * bar_s / self._pace if self._pace else None, notify=self.health.notify,
        )  # fmt: skip
        self.stack.callback(watchdog.stop)
        return watchdog

    def _metrics(self, port: int) -> SessionMetrics:
        require_port(port)
        from forwardtrader.live.monitoring.metrics import MetricsServer, SessionMetrics  # a library that only such a session needs

        waiting = self.mirror.store
        metrics = SessionMetrics(self.request.name, None if waiting is None else lambda: waiting.lag().waiting)
        self.stack.callback(MetricsServer(metrics, port).close)
        return metrics

    def _market_step(self, bridge: CCXTStore, models: Supply) -> Callable[[], None]:
        practice = self.market.practice
        if practice is None:
            return lambda: None
        if self._pace:
            return MarketStart(practice)
        return Lockstep(
            practice, bridge, self.request.timeframe.seconds * 1000, is_done=self.callbacks.is_done,
            before_bar=lambda at: models.collect(datetime.fromtimestamp(at / 1000, UTC), wait=True),
            ended=lambda: self.health.notify("market_ended", "info"),
        )  # fmt: skip

    def _patiently(self, work: Callable[[], T]) -> T:
        return until_reachable(work, self.request.settings.live.start_patience_s, self._report_retry)

    def _report_retry(self, text: str) -> None:
        log.event(_LOG, "venue_unreachable", reason=text)
        self.view.line(log.redact(text))

    # Output

    def _kept_facts(self) -> FactKeeping | None:
        """With real orders nobody asks the venue for them else; a paper account does at every bar."""
        return FactKeeping(self.facts.values(), lambda: self.progress.last_bar) if self.request.mode == "live" and self.facts else None

    def _write_job(self, running: RunningSession) -> WriteJob | None:
        """What is to be written now; None before the first bar. In Backtrader's thread, which alone may read the recorders."""
        strategy = running.progress.strategy
        if strategy is None:
            return None
        return WriteJob(
            folder=self.request.folder.resolve(), owner=os.getpid(), symbols=tuple(self.request.symbols), since=self.market.first_live,
            marks=self.store.marks(), fresh=fresh_rows(strategy), status=status_of(running),
        )  # fmt: skip
