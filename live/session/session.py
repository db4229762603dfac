"""The session: where everything live is put together, and what happens between two bars."""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import backtrader as bt
import pandas as pd

from forwardtrader.core import log
from forwardtrader.core.clock import Clock
from forwardtrader.core.errors import RiskHalt
from forwardtrader.feeds.backtrader_data import backtrader_timeframe
from forwardtrader.feeds.candles.schema import cut, grid_floor
from forwardtrader.feeds.factors.book import FactorBook
from forwardtrader.feeds.live.bar_sequence import Bar
from forwardtrader.feeds.live.merge import MergeRule, Witness
from forwardtrader.feeds.live.poll_wait import PollRule
from forwardtrader.live import control
from forwardtrader.live.bridge.store import CCXTStore
from forwardtrader.live.execution.events import AccountEvent, Traded
from forwardtrader.live.execution.journal import Journal
from forwardtrader.live.execution.keys import taken_keys
from forwardtrader.live.monitoring.account_alerts import AccountNews
from forwardtrader.live.monitoring.alerts import alerts_from
from forwardtrader.live.monitoring.health import SessionHealth
from forwardtrader.live.monitoring.status import status_of
from forwardtrader.live.monitoring.strategy_brakes import StrategyBrakes
from forwardtrader.live.monitoring.terminal import SessionView
from forwardtrader.live.monitoring.watch import watch_over
from forwardtrader.live.output.mirror import SessionMirror
from forwardtrader.live.output.refresh import SessionOutput
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.preflight.consent import account_name, require_consent
from forwardtrader.live.preflight.patience import patiently
from forwardtrader.live.request import LiveRequest
from forwardtrader.live.retraining.fixed_supply import FixedSupply
from forwardtrader.live.retraining.supply import ModelSupply
from forwardtrader.live.session.bar_hook import BarHook
from forwardtrader.live.session.candles import SessionCandles
from forwardtrader.live.session.commands import SessionWords
from forwardtrader.live.session.confirmations import SessionDoubts
from forwardtrader.live.session.factors import LiveFacts
from forwardtrader.live.session.forecasts import SessionForecasts, known_forecasts
from forwardtrader.live.session.lockstep import Lockstep
from forwardtrader.live.session.paper_broker import PaperBroker
from forwardtrader.live.session.resume import SessionPast
from forwardtrader.live.session.setup import JOURNAL, open_scene
from forwardtrader.live.session.shutdown import SessionEnd
from forwardtrader.live.session.snapshot import can_be_frozen
from forwardtrader.live.session.strategy_guard import guarded
from forwardtrader.live.session.strategy_state import StrategyMemory, remembering
from forwardtrader.reports.pages.session_status import SessionState
from forwardtrader.strategies.backtrader.assembly import Feed, build_cerebro, load_strategy, venue_broker
from forwardtrader.strategies.backtrader.bars_frame import epoch_seconds
from forwardtrader.strategies.backtrader.order_recorder import OrderRecorder
from forwardtrader.strategies.backtrader.strategy import LSTMStrategy

T = TypeVar("T")
_LOG: Final = log.logger("live")
EXTRA_BARS: Final = 256  # as in a backtest: history on which other strategies' indicators warm up


class LiveSession:
    """One session from start to stop; starting is recovering, also the first time.

    Args:
        supply: where forecasts come from; None for the models of the calendar.
    """

    def __init__(self, request: LiveRequest, clock: Clock, view: SessionView, *, supply: FixedSupply | None = None) -> None:
        self._fixed = supply
        self.request = request
        self.view = view
        self.state = SessionState.STARTING
        self.reason = ""
        self.started = clock.now()
        self.bars = 0
        self.last_bar: int | None = None
        self.first_bar_s: float | None = None
        self.strategy: Any = None
        self.start_equity: float | None = None
        self.clock = clock
        self._began = time.monotonic()
        self._replayed_to: int | None = None
        self._advance: Callable[[], None] | None = None
        self.journal: Journal | None = None
        self.memory: StrategyMemory | None = None

    def run(self) -> int:
        """Trade until told to stop; 0, or 4 where a limit or the kill switch stopped it.

        Raises:
            TradingError: whatever stands in the way of a start.
        """
        folder = self.request.folder
        with ExitStack() as stack:
            stack.enter_context(control.held(control.lock_of(folder), f"session {self.request.name!r}"))
            stack.enter_context(log.log_to(folder / "log.jsonl"))
            if control.is_killed(folder):
                raise RiskHalt(f"session {self.request.name!r} was killed; say --resume to let it start again")
            self.store = SessionStore(folder / "session.db")
            stack.callback(self.store.close)
            self.mirror = SessionMirror(self.request.settings.live, self.request.name)
            stack.callback(self.mirror.close)
            alerts = alerts_from(name=self.request.name) if self.request.settings.live.telegram else None
            if alerts is not None:
                stack.callback(alerts.close)
            self.health = SessionHealth(self.store, self.clock, alerts.send if alerts else self._unheard)
            self.news = AccountNews(self.health.tell, self._account_halted)
            self.brakes = StrategyBrakes(self.health.tell)
            self.past = SessionPast(self.store, self.request, self._kind)
            self._replayed_to = self.past.last
            self.scene = self._patiently(lambda: open_scene(self.request, self._replayed_to, self.clock))
            stack.callback(self._leave_scene)
            cerebro = self._assemble(folder, stack)
            with taken_keys(self.bridge.exchange):
                self._patiently(self.bridge.start)
                if self.request.mode == "live":
                    self._consent(stack)
            self.watchdog = watch_over(self, stack)
            stack.enter_context(self.end.signals())
            stack.enter_context(self.view)
            self._trade(cerebro)
        return RiskHalt.exit_code if self.state is SessionState.HALTED else 0

    # Putting together

    def _assemble(self, folder: Path, stack: ExitStack) -> bt.Cerebro:
        request, scene = self.request, self.scene
        self.view.say("loading the model")
        self.first_ms = int(scene.first_live.timestamp() * 1000)
        self.factors = FactorBook(request.settings.feeds.factors, request.timeframe)
        self.supply: ModelSupply | FixedSupply = self._fixed or ModelSupply(
            request.symbols, request.settings.models, request.settings.strategies.horizon, request.timeframe, folder=folder,
            candles=self.learned_from, tell=self.health.tell, facts=LiveFacts(self.factors, self.health.tell) if self.factors else None,
            learning=request.settings.learning,
        )  # fmt: skip
        stack.callback(self.supply.stop)
        self.supply.open(self.bar_after(self._replayed_to) if self._replayed_to else scene.first_live)
        self.bridge = self._bridge(folder)
        stack.callback(self.bridge.stop)
        self.sources = self._sources()
        self.words = SessionWords(self)
        self.end = SessionEnd(self, takes_back=request.mode == "live" and request.settings.live.orders_at_stop == "cancel")
        self.output = SessionOutput(self, self.store, self.mirror, lambda: status_of(self))
        if scene.practice is not None:
            self._advance = Lockstep(self) if request.speed == "lockstep" else self._begin_market
        kind, decided = self._strategy(), self._decided()
        cerebro = build_cerebro(
            self._feeds(), request.settings.strategies, strategy=guarded(kind, self._strategy_failed), broker=self._broker(),
            analyzers=[(OrderRecorder, {"_name": "orders"}), (BarHook, {"done": self._bar_done, "_name": "session"})],
            trade_from=decided, saved=self.memory.saved if self.memory else None,
            exactbars=int(can_be_frozen(self._kind)),  # lines as long as they are looked back on, and no longer
        )  # fmt: skip
        cerebro.addstore(self.bridge)
        return cerebro

    def _bridge(self, folder: Path) -> CCXTStore:
        practice, feeds = self.scene.practice, self.request.settings.feeds
        place: dict[str, Any] = {"base_url": feeds.exchange_url, "poll": PollRule(base=self.request.settings.live.poll_seconds)}
        urls = itertools.chain(feeds.confirm_urls, itertools.repeat(""))
        place["witnesses"] = [Witness(other, base_url=url) for other, url in zip(feeds.confirm_exchanges, urls, strict=False)]
        place["merge_rule"] = MergeRule(tolerance_bps=feeds.confirm_tolerance_bps)
        name = feeds.exchange
        if practice is not None:
            at = practice.address
            place = {"base_url": at.url, "ws_url": at.ws_url, "api_key": at.api_key, "api_secret": at.api_secret}
            place["poll"] = PollRule(base=2.0, least=0.5, most=2.0)
            name = at.protocol
        elif self.request.mode == "live":
            from forwardtrader.live.execution.keys import keys_of

            place |= keys_of(name)
        if self.request.mode == "live":
            self.journal = Journal(folder / JOURNAL)
        bridge = CCXTStore(
            name, clock=self.scene.clock, journal=self.journal, run=f"ft-{self.request.name[:12]}", risk=self.request.settings.risk,
            minute_s=60.0 / self.pace if self.pace else 0.0, **place,
        )  # fmt: skip
        bridge.on_idle = self._idle
        bridge.on_news = self.health.tell
        bridge.was_told = self.past.was_told
        return bridge

    def _consent(self, stack: ExitStack) -> None:
        """One process per account, and a person who means it."""
        key = self.bridge._keys["apiKey"]
        name = account_name(self.bridge.exchange, key)
        lock = Path(self.request.settings.live.sessions_path) / "accounts" / f"{name}.lock"
        stack.enter_context(control.held(lock, f"the account {name}"))
        prices = {symbol: float(frame["close"].iloc[-1]) for symbol, frame in self.candles().items() if len(frame)}
        asked = self.request
        require_consent(self.bridge, asked.symbols, asked.confirmed, self.view.console, prices=prices, practice=asked.sandbox)

    def _patiently(self, work: Callable[[], T]) -> T:
        return patiently(work, self.request.settings.live.start_patience_s, self._say_trouble)

    def _say_trouble(self, text: str) -> None:
        log.event(_LOG, "venue_unreachable", reason=text)
        self.view.say(log.redact(text))

    def _broker(self) -> Any:
        if self.request.mode == "live":
            self.broker: Any = self.bridge.getbroker(use_positions=False)
            self.broker.on_event = self._hear
        else:
            rules = [self.scene.rules[s] for s in self.request.symbols]
            settings = self.request.settings.strategies
            self.broker = venue_broker(rules, settings, trade_from=self.scene.first_live.timestamp(), kind=PaperBroker)
            self.broker.doubt_about = SessionDoubts(self.store, self.bridge.doubt_about, self.past.last).about
        self.broker.on_turn = self._between_bars
        return self.broker

    def _sources(self) -> dict[str, SessionForecasts]:
        since = self.past.begins(self.scene.first_live)
        until = None if self.past.is_frozen else self.past.last
        told = {s: known_forecasts(self.store, s, until) for s in self.request.symbols}
        return {s: SessionForecasts(self.supply.sources[s], told[s], since) for s in self.request.symbols}

    def _feeds(self) -> list[Feed]:
        unit, compression = backtrader_timeframe(self.request.timeframe)
        feeds = []
        for symbol, frame in self.candles().items():
            first = int(frame.index.searchsorted(pd.Timestamp(self.past.begins(self.scene.first_live))))
            warm = cut(frame, max(0, first - self.sources[symbol].warm_up - EXTRA_BARS), len(frame))
            data = self.bridge.getdata(symbol, timeframe=unit, compression=compression, backfill_from=warm)
            feeds.append(Feed(data=data, rules=self.scene.rules[symbol], timeframe=self.request.timeframe, source=self.sources[symbol]))
        return feeds

    @property
    def pace(self) -> float:
        """How many seconds of the market pass in one of this machine's; 0 where the market waits for the session."""
        if self.scene.practice is None:
            return 1.0
        return 0.0 if self.request.speed == "lockstep" else float(self.request.speed)

    def candles(self) -> SessionCandles:
        """All closed candles known of each symbol: the history, and what the session recorded."""
        return SessionCandles(self.request.folder, self.store, self.request.symbols)

    def learned_from(self) -> SessionCandles:
        """The candles with the factors beside them: what models are trained on."""
        return SessionCandles(self.request.folder, self.store, self.request.symbols, self.factors.beside)

    def _strategy(self) -> type[bt.Strategy]:
        """The class that trades. Paper builds its state anew, from a snapshot or from the bars; a live account reads it back."""
        kind = self._kind
        if self.journal is None:
            return kind
        self.memory = StrategyMemory(self.store, self.journal, self._strategy_failed)
        if self.memory.saved is None or self._replayed_to is None:
            return kind
        return remembering(kind, self.memory.saved, self.bar_after(self._replayed_to).timestamp(), self._strategy_failed)

    @functools.cached_property
    def _kind(self) -> type[bt.Strategy]:
        return load_strategy(self.request.strategy) if self.request.strategy else LSTMStrategy

    def _decided(self) -> datetime:
        """Where deciding begins: with real orders never on bars that an earlier process saw, or that were missed meanwhile."""
        if self.request.mode == "paper" or self._replayed_to is None:
            return self.past.begins(self.scene.first_live)
        return max(self.bar_after(self._replayed_to), grid_floor(self.scene.clock.now(), self.request.timeframe))

    # Running

    def _trade(self, cerebro: bt.Cerebro) -> None:
        try:
            [self.strategy] = cerebro.run()
        except RiskHalt as halt:
            self.halt(str(halt))
        finally:
            self.bridge.stop()
            if self.state is not SessionState.HALTED:
                self.state = SessionState.STOPPED
            try:
                self.news.finish()
            finally:
                if self.last_bar is not None:
                    self.output.finish()

    def _bar_done(self, strategy: Any, number: float) -> None:
        """Backtrader is done with a bar; keep it, then do what is due."""
        self.strategy = strategy
        self.health.bar_ends()
        at = round(epoch_seconds(number) * 1000)
        if at < self.first_ms or self.past.is_before(at) or (self.last_bar is not None and at < self.last_bar):
            return
        if self.past.resume(strategy, at) and self.broker.muted:
            self.state = SessionState.PAUSED
        if self.start_equity is None:
            self.start_equity = self._begun_with(float(self.broker.startingcash))
        self.last_bar = at
        self._keep(strategy, number, at)
        if self._replayed_to is not None and at <= self._replayed_to:
            self.words.again(at)
            return
        self.bars += 1
        self.brakes.look(strategy)
        self.supply.bar_closed(self._at(at))
        if self.state is SessionState.STARTING:
            self.state = SessionState.RUNNING
            self.first_bar_s = time.monotonic() - self._began
        if self.request.bars and self.bars >= self.request.bars:
            self.end.wish()
            self.end.look()
        self.output.refresh()

    def _begun_with(self, cash: float) -> float:
        """What the first process of the session began with; a later one of a live account finds some of it in coins."""
        if self.journal is None:
            return cash
        if self.journal.recall("start_equity") is None:
            self.journal.remember("start_equity", cash)
        return float(self.journal.recall("start_equity"))

    def _keep(self, strategy: Any, number: float, at: int) -> None:
        closed = [data for data in strategy.datas if len(data) and data.datetime[0] == number and data._name in self.sources]
        rows = [(d._name, Bar(at, d.open[0], d.high[0], d.low[0], d.close[0], d.volume[0])) for d in closed]
        made = [(symbol, forecast) for symbol, source in self.sources.items() for forecast in source.take_made()]
        past = self.past
        told, frozen = past.rows(strategy, number), past.snapshot(strategy, at)
        if self.memory is not None and (self._replayed_to is None or at > self._replayed_to):
            frozen = self.memory.snapshot(strategy, at)
        self.store.record(rows, made, self.health.usage(at), rows=told, snapshot=frozen, executions=past.take_heard())

    def _between_bars(self) -> None:
        """Called in turns of Backtrader's loop that brought no bar; its lines are at rest."""
        self.watchdog.turn()
        self.news.turn()
        if not self.past.is_frozen:
            self.words.listen()
        self.end.look()
        if self.request.until is not None and self.clock.now() >= self.request.until:
            self.end.wish()
        self.view.show(self)
        if self.last_bar is not None:
            self.output.refresh()

    def _idle(self) -> None:
        """Called while a feed waits: its lines are not to be looked at."""
        if self.last_bar is not None:
            self.supply.collect(self.bar_after(self.last_bar))
        if self._advance is not None:
            self._advance()
        self.health.bar_begins()

    def _begin_market(self) -> None:
        """The first wait of a feed: all that lies in the past was seen, so the practice market may go on by its clock."""
        self._advance = None
        if self.scene.practice is not None:
            self.scene.practice.begin()

    def _strategy_failed(self, where: str, error: Exception) -> None:
        if self.health.failed(where, error):
            self.halt("the strategy fails at every bar; see the log")

    def halt(self, reason: str) -> None:
        """End for a reason; no order is sent any more."""
        self._stand_still("session_halted", reason)
        self.end.wish()

    def _hear(self, event: AccountEvent) -> None:
        if isinstance(event, Traded):
            self.past.heard(event.execution)
        self.news.hear(event)

    def _account_halted(self, reason: str) -> None:
        """The venue takes no orders: the session goes on to watch, until a person acts."""
        self._stand_still("account_halted", reason)

    def _stand_still(self, kind: str, reason: str) -> None:
        self.state, self.reason, self.broker.halted = SessionState.HALTED, reason, reason
        self.health.tell(kind, "error", reason=reason)

    @staticmethod
    def _unheard(level: str, text: str) -> None:
        """Nobody is to be told."""

    def _leave_scene(self) -> None:
        if self.scene.practice is not None:
            self.scene.practice.stop()

    def _at(self, at: int) -> datetime:
        return datetime.fromtimestamp(at / 1000, UTC)

    def bar_after(self, last: int) -> datetime:
        """Open time of the bar after the one that opened at `last`."""
        return self._at(last) + self.request.timeframe.delta
