"""A live session: runs the assembled parts from bar to bar until it is stopped."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from typing import Any

import backtrader as bt

from forwardtrader.core import log
from forwardtrader.core.atomic import private_folder
from forwardtrader.core.clock import Clock
from forwardtrader.core.command.cli import INTERRUPTED
from forwardtrader.core.errors import ConfigError, RiskHalt, StartRefused, StrategyFailed
from forwardtrader.core.user_code.errors import described, failure, owned_errors
from forwardtrader.feeds.candles.bar import Bar
from forwardtrader.live import control
from forwardtrader.live.bridge.pre_trade_checks import EVERY_SYMBOL, OLD_BAR
from forwardtrader.live.execution.events import AccountEvent, Filled, Refused, Replaced
from forwardtrader.live.monitoring.progress import SessionProgress
from forwardtrader.live.monitoring.terminal import SessionView
from forwardtrader.live.monitoring.watchdog import BLOCKED
from forwardtrader.live.output.files import remove_half_made
from forwardtrader.live.output.store import require_record
from forwardtrader.live.request import LiveRequest
from forwardtrader.live.retraining.stock import FixedSupply
from forwardtrader.live.session.assembly import assemble
from forwardtrader.live.session.connection import account_access
from forwardtrader.live.session.parts import SessionParts
from forwardtrader.live.session.setup import PLAN
from forwardtrader.live.session.strategy_guard import FATAL
from forwardtrader.live.supervision.interruption import Interruption
from forwardtrader.live.supervision.supervised import supervised
from forwardtrader.live.supervision.taking_back import take_back
from forwardtrader.reports.pages.session_status import SessionState
from forwardtrader.strategies.backtrader.bars_frame import epoch_seconds
from forwardtrader.strategies.backtrader_objects import BtOrder
from forwardtrader.strategies.holdings import Dust


class LiveSession:
    """One session from start to shutdown. A start is a resume, also the first one.

    Args:
        supply: where forecasts come from; None for the scheduled models.

    Attributes:
        progress: state, bars and equity; may be read from any thread.
    """

    def __init__(self, request: LiveRequest, clock: Clock, view: SessionView, *, supply: FixedSupply | None = None) -> None:
        self.request = request
        self.clock = clock
        self.view = view
        self.progress = SessionProgress(clock.now())
        self.interruption = Interruption()
        self._supply = supply
        self._failure: ConfigError | None = None
        self._has_passed = False  # whether nothing was decided at the newest bar, since it was old
        self._parts: SessionParts | None = None

    @property
    def parts(self) -> SessionParts:
        """What the session is made of; once it is assembled."""
        assert self._parts is not None, "the session is not assembled yet"
        return self._parts

    def dust(self) -> Sequence[Dust]:
        """What the account holds and is too small to be sold."""
        return self.parts.broker.holdings.dust() if self.progress.strategy is not None else ()

    def run(self) -> int:
        """Trade until stopped; returns the exit code: 0, 4 after a halt, or 130 after Ctrl-C.

        Raises:
            StrategyFailed: the strategy raised an exception at its making, or at bar after bar; the session then is halted too.
            TradingError: whatever stands in the way of a start.
        """
        folder = self.request.folder
        private_folder(folder)
        with ExitStack() as outer:
            outer.enter_context(control.held(control.lock_of(folder), f"session {self.request.name!r}"))
            outer.enter_context(log.log_to(folder / "log.jsonl"))
            is_new = not (folder / PLAN).is_file()
            try:
                with ExitStack() as stack:
                    if not is_new:
                        require_record(folder)
                    self._start(stack)
                    self._trade()
            except BaseException as error:
                self._note_failed_start(error, is_new=is_new)
                if control.is_killed(folder) and isinstance(error, RiskHalt | StartRefused):  # what the kill has stopped may say so too
                    done = take_back(partial(account_access, self.request))
                    raise RiskHalt(f"session {self.request.name!r} was killed; {done}; use --resume to let it start again") from error
                raise
        if self._failure is not None:
            raise self._failure
        if self.progress.state is SessionState.HALTED:
            return RiskHalt.exit_code
        return INTERRUPTED if self.interruption.first == signal.SIGINT else 0

    def _note_failed_start(self, error: BaseException, *, is_new: bool) -> None:
        """A start that failed says why in the log; nothing else is left of a session that never was."""
        if self._parts is None:
            log.event(log.logger("live"), "start_failed", logging.ERROR, reason=str(error) or type(error).__name__)
            if is_new:
                remove_half_made(self.request.folder)

    def _start(self, stack: ExitStack) -> None:
        """From the lock to the parts, supervised from the first moment."""
        self.supervisor = supervised(self.request, self.clock, self.interruption, partial(account_access, self.request), stack)
        stack.enter_context(self.interruption.handled())
        if control.is_killed(self.request.folder):
            raise RiskHalt("it was killed before")
        stack.callback(self.supervisor.stop)  # first: a signal may end the start half way
        self.supervisor.start()
        with self.interruption.of_a_start():
            self._parts = self.assemble(stack)
            self.interruption.hand_over(self._parts.shutdown.on_signal)
        stack.enter_context(self.view)

    def assemble(self, stack: ExitStack) -> SessionParts:
        """Build the parts; `stack` closes them when the session ends."""
        return assemble(self.request, self.clock, self.view, self.progress, self, stack, self.supervisor, self._supply)

    def _trade(self) -> None:
        parts, progress = self.parts, self.progress
        self.supervisor.watch_over(parts.unattended)
        try:
            with owned_errors(self._strategy_name):
                runs = parts.cerebro.run()
            if not runs:
                raise StrategyFailed(f"{self._strategy_name} takes no part: it raised StrategySkipError")
            progress.strategy = runs[0]
            if getattr(parts.broker, "is_ruined", False):
                parts.shutdown.halt("nothing is left of the account")
        except RiskHalt as halt:
            parts.shutdown.halt(str(halt))
        finally:
            self.supervisor.loop_is_over()
            parts.bridge.stop()
            if progress.state is not SessionState.HALTED:
                progress.state = SessionState.STOPPED
            try:
                parts.commands.report(at_last=True)
                parts.account_alerts.finish()
            finally:
                if progress.last_bar is not None:
                    self._record_refused()
                    parts.output.finish()

    # Called by Backtrader, broker and bridge

    def bar_done(self, strategy: bt.Strategy, number: float) -> None:
        """Backtrader is done with a bar: record it, then do what is due after it."""
        parts, progress = self.parts, self.progress
        progress.strategy = strategy
        if not parts.health.has_failed_now:
            parts.bridge.unsafe.pop("", None)
        parts.health.bar_ends()
        self.supervisor.turn()
        at = round(epoch_seconds(number) * 1000)
        if at < parts.first_ms and not parts.resumed.is_frozen:
            parts.commands.replay(at)  # one that came before the session's first bar
        if at < parts.first_ms:
            return
        if parts.resumed.is_warm_up(at) or (progress.last_bar is not None and at < progress.last_bar):
            if late := [(s, bar) for s, bar in self._closed(strategy, number, at) if not parts.resumed.has_bar(s, at)]:
                self._keep(late)
            return
        if parts.resumed.resume(strategy, at) and parts.broker.entries_blocked:
            progress.state = SessionState.PAUSED
        if progress.start_equity is None:
            progress.start_equity = self._start_equity(float(parts.broker.startingcash))
        progress.last_bar = at
        self._record(strategy, number, at)
        if parts.metrics is not None:
            parts.metrics.bar_done(is_new=self._is_new(at))
        if self._is_new(at):
            self._after_new_bar(strategy, at)
        else:
            parts.commands.replay(at)

    def order_changed(self, order: BtOrder) -> None:
        """Backtrader notifies of an order; on paper a restart repeats what earlier processes saw, and with real orders nothing."""
        if self.parts.journal is not None or self._is_new(round(epoch_seconds(order.executed.dt or 0.0) * 1000)):
            self.parts.fill_alerts.note(order)
            if self.parts.metrics is not None:
                self.parts.metrics.order(order)

    def between_bars(self) -> None:
        """A turn of the loop brought no bar; Backtrader's lines are at rest."""
        parts = self.parts
        parts.watchdog.turn()
        self.supervisor.turn()
        parts.account_alerts.send_due()
        parts.fill_alerts.send_due()
        self._record_refused()
        if not parts.resumed.is_frozen:
            parts.commands.receive()
        parts.shutdown.advance()
        if self.request.until is not None and self.clock.now() >= self.request.until:
            parts.shutdown.request_stop()
        self.view.show(parts.running)
        if parts.metrics is not None:
            parts.metrics.show(parts.running)
        if self.progress.last_bar is not None:
            parts.output.refresh()

    def idle(self) -> None:
        """A feed waits for its next bar; Backtrader's lines must not be read here."""
        parts = self.parts
        self.supervisor.turn()
        if self.progress.last_bar is not None:
            self._survive(partial(parts.supply.collect, self._bar_after(self.progress.last_bar)))
        parts.step_market()
        parts.health.bar_begins()

    def is_done(self, newest: int) -> bool:
        """Whether every bar up to the one given (open time, ms UTC) is done with, and the session goes on."""
        parts = self.parts
        if parts.shutdown.is_requested or not parts.broker.is_settled:
            return False
        return newest < parts.first_ms or parts.resumed.is_frozen or (self.progress.last_bar or 0) >= newest

    def account_event(self, event: AccountEvent) -> None:
        """An order event reached the strategy."""
        parts = self.parts
        if isinstance(event, Filled):
            parts.resumed.booked(event.execution)
        elif isinstance(event, Replaced):
            parts.resumed.replaced(event)
        elif isinstance(event, Refused) and event.reason.startswith(BLOCKED):
            self._record_blocked_entry(event)
        parts.account_alerts.handle(event)

    def forecast_failed(self, symbol: str, error: Exception) -> None:
        """A forecast could not be made: its symbol takes no new exposure until one can, its protective orders stay, the session goes on."""
        reason = log.redact(f"{type(error).__name__}: {error}")
        if symbol not in self.parts.bridge.unsafe:
            log.logger("live").error("forecast failed", exc_info=error)
        self.parts.bridge.unsafe[symbol] = f"no forecast can be made: {reason}"
        self.parts.account_alerts.count("forecast_failed", f"{symbol} {type(error).__name__}", symbol=symbol, reason=reason, level="error")

    def forecast_works(self, symbol: str) -> None:
        """A forecast could be made again."""
        if self.parts.bridge.unsafe.pop(symbol, None) is not None:
            self.parts.health.notify("forecast_works_again", "info", symbol=symbol)

    def strategy_failed(self, where: str, error: Exception) -> None:
        """The strategy raised an exception: nothing adds exposure in this bar; several bars in a row halt the session."""
        self.parts.bridge.unsafe[""] = "the strategy failed at this bar"
        if self.parts.health.failed(where, error):
            self._failure = failure(error, self._strategy_name, after="so it was at several bars in a row, and the session was halted")
            self.parts.shutdown.halt(f"the strategy fails at every bar: {described(error)}")

    @property
    def _strategy_name(self) -> str:
        return self.request.strategy or "LSTMStrategy"

    # Bars

    def _after_new_bar(self, strategy: bt.Strategy, at: int) -> None:
        parts, progress = self.parts, self.progress
        progress.bars += 1
        parts.limit_alerts.check(strategy)
        parts.state_alerts.check(parts.broker.guard)
        self._survive(partial(parts.supply.bar_closed, _moment(at)))
        if progress.state is SessionState.STARTING:
            progress.state = SessionState.RUNNING
        if self.request.bars and progress.bars >= self.request.bars:
            parts.shutdown.request_stop()
            parts.shutdown.advance()
        parts.output.refresh()

    def _survive(self, retraining: Callable[[], object]) -> None:
        """Retraining reads candles and factors; whatever it meets there, the model in force goes on."""
        try:
            retraining()
        except FATAL:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            reason = log.redact(f"{type(error).__name__}: {error}")
            self.parts.account_alerts.count("retraining_failed", type(error).__name__, reason=reason, level="error")

    def _is_new(self, at: int) -> bool:
        """Whether no earlier process recorded the bar that opened at `at` (ms UTC)."""
        last = self.parts.resumed.last
        return last is None or at > last

    def _record(self, strategy: bt.Strategy, number: float, at: int) -> None:
        """Write the bar, its forecasts and what led to them, in one transaction."""
        parts, resumed = self.parts, self.parts.resumed
        bars = self._closed(strategy, number, at)
        if parts.journal is not None and self._is_new(at):
            self._note_passed(strategy, at, [symbol for symbol, _ in bars])
        rows, snapshot = resumed.rows(strategy, number), resumed.snapshot(strategy, at)
        if parts.saved_state is not None and self._is_new(at):
            snapshot = parts.saved_state.snapshot(strategy, at)
        self._keep(bars, parts.health.usage(at), rows=rows, snapshot=snapshot, executions=resumed.take_booked())
        resumed.correct_fills()

    def _note_passed(self, strategy: bt.Strategy, at: int, symbols: Sequence[str]) -> None:
        """Keep which symbols a bar came too late for to be traded, after an outage or a restart: its replay must not trade there either.

        A symbol for which an earlier process has sent an order is none of them.
        """
        old = [data._name for data in strategy.datas if data._name in symbols and not data.is_current]
        for symbol in old:
            if not self.parts.resumed.has_sent(symbol, at):
                self.parts.store.block_entry(at, symbol, OLD_BAR)
        if old:
            self.parts.store.block_entry(at, EVERY_SYMBOL, OLD_BAR)  # the bar itself: nobody looked at the account in it
        if old and not self._has_passed:
            self.parts.health.notify("bar_passed", "info", bar=_moment(at).isoformat())
        self._has_passed = bool(old)

    def _closed(self, strategy: bt.Strategy, number: float, at: int) -> list[tuple[str, Bar]]:
        """The bars of the symbols at Backtrader's time `number`, which is `at` (ms UTC)."""
        closed = [data for data in strategy.datas if len(data) and data.datetime[0] == number and data._name in self.parts.sources]
        return [(d._name, Bar(at, d.open[0], d.high[0], d.low[0], d.close[0], d.volume[0])) for d in closed]

    def _keep(self, bars: list[tuple[str, Bar]], usage: tuple[float, ...] = (), **more: Any) -> None:
        """Write bars with the forecasts made since the last ones, and tell which of them came after those of the other symbols."""
        parts = self.parts
        made = [(symbol, forecast) for symbol, source in parts.sources.items() for forecast in source.take_made()]
        for symbol in parts.store.record(bars, made, usage, **more):
            parts.health.notify("bar_not_awaited", "info", symbol=symbol, bar=_moment(bars[0][1].at).isoformat())

    def _record_refused(self) -> None:
        """Count the orders for good that came to nothing since the newest bar."""
        saved = self.parts.saved_state
        late = None if saved is None else saved.refused_since()
        if late is not None:
            self.parts.store.record([], [], snapshot=late)

    def _record_blocked_entry(self, refused: Refused) -> None:
        """An entry was blocked by a trouble such as a stale feed: a fact of the session, so that its replay blocks it too."""
        journal = self.parts.journal
        intent = journal.intent(refused.client_id) if journal is not None else None
        if intent is not None:
            self.parts.store.block_entry(intent.bar, intent.symbol, refused.reason)

    def _start_equity(self, cash: float) -> float:
        """What the first process of the session began with; a later one of a live account finds some of it in coins."""
        journal = self.parts.journal
        if journal is None:
            return cash
        if journal.recall("start_equity") is None:
            journal.remember("start_equity", cash)
        return float(journal.recall("start_equity"))

    def _bar_after(self, at: int) -> datetime:
        """Open time of the bar after the one that opened at `at` (ms UTC)."""
        return _moment(at) + self.request.timeframe.delta


def _moment(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC)
