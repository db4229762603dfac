"""One life of the trading process: store, broker, journal and Cerebro on the simulated machine, until it ends or dies."""

from __future__ import annotations

import random
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final, TypeVar

import backtrader as bt

from forwardtrader.core.errors import TradingError
from forwardtrader.feeds.live.poll_wait import PollRule
from forwardtrader.live.bridge.store import CCXTStore
from forwardtrader.live.bridge.venue_thread import VenueThread, _wind_up
from forwardtrader.live.execution.events import AccountEvent, Execution, Filled, Halted, Replaced
from forwardtrader.live.execution.journal import Journal
from forwardtrader.live.execution.order_lookup import QueryTimeouts
from tests.simulation.adversary import Adversary
from tests.simulation.checks import Violation
from tests.simulation.clients import fresh_client
from tests.simulation.network import Network, SimulatedSession
from tests.simulation.process_io import Crash, Gone, ProcessIo
from tests.simulation.scenario import Death
from tests.simulation.virtual_loop import LIFE, VirtualLoop

if TYPE_CHECKING:
    from tests.simulation.world import World

T = TypeVar("T")
_PING_MS: Final = 30_000
_LONG_S: Final = 3600.0


class StrategyError(Exception):
    """A mistake of the strategy."""


class SimulatedWake(threading.Condition):
    """Waiting lets the venue's side run, in this same thread."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop
        self._calls = 0

    def notify_all(self) -> None:
        self._calls += 1

    def wait(self, timeout: float | None = None) -> bool:
        before = self._calls
        return self._loop.pump(lambda: self._calls != before, timeout or _LONG_S)


class SimulatedThread(VenueThread):
    """The venue's thread as a part of the only one: it runs while the other side waits for it."""

    def __init__(self, network: Network, io: ProcessIo, rng: random.Random, interleaving: float) -> None:
        super().__init__()
        self._network, self._io = network, io
        self._rng, self._interleaving = rng, interleaving
        self._loop = network.loop
        self._is_on = False
        self.ping_ms = _PING_MS
        self.clients: list[Any] = []

    @property
    def is_running(self) -> bool:
        return self._is_on

    def start(self) -> None:
        self._is_on = True

    def monotonic(self) -> float:
        return self._network.loop.now

    def condition(self) -> threading.Condition:
        return SimulatedWake(self._network.loop)

    def wait(self, event: threading.Event, timeout_s: float) -> None:
        self._network.loop.pump(event.is_set, timeout_s)

    def open_client(self, exchange: str, **options: Any) -> Any:
        client = fresh_client(exchange, **options)
        client.ssl_context, client.own_session = False, False
        client.asyncio_loop = self._network.loop
        client.session = SimulatedSession(self._network, self._io, self.sent)
        client.streaming = {**client.streaming, "keepAlive": self.ping_ms}
        self.clients.append(client)
        return client

    def sent(self, method: str, path: str) -> None:
        """A request is about to leave; replaced by who looks."""

    def forget(self) -> None:
        """The clients of a process that is gone."""
        for client in self.clients:
            client.session, client.clients = None, {}

    def call(self, work: Coroutine[object, object, T], timeout_s: float | None = None) -> T:
        future = self._submit(work)
        if not self._network.loop.pump(future.done, timeout_s or _LONG_S):
            raise TimeoutError
        return future.result()

    def spawn(self, work: Coroutine[object, object, None]) -> Future[None]:
        if self._io.is_dead:
            work.close()
            raise Gone
        future = super().spawn(work)
        if self._interleaving and self._rng.random() < self._interleaving:
            self._network.loop.pump(lambda: False, self._rng.choice((0.0, 0.01, 0.1)))
        return future

    def _finished(self, future: Future[None]) -> None:
        if not self._io.is_dead:
            super()._finished(future)

    def stop(self, *closing: Any) -> None:
        if self._io.is_dead:
            raise Gone
        if self._is_on:
            self.call(_wind_up(closing))
            self._is_on = False


class Life:
    """One process. `run` returns how it ended: stopped, crash, or the error of a start that may be tried again."""

    def __init__(self, world: World, number: int, death: Death | None) -> None:
        self.world, self.number, self.scenario = world, number, world.scenario
        self.io = ProcessIo(death.step if death else 0, death.at if death else "", world.note)
        self.fills: list[Execution] = []  # executions since the last bar: kept with the next one
        self.is_recovered = False
        self.trades_before = world.executed_before()
        self.quiet_turns = 0
        self.thread = SimulatedThread(world.network, self.io, world.chance(f"scheduler {number}"), self.scenario.interleaving)
        self.thread.ping_ms *= max(1, self.scenario.bar_minutes // 5)
        self.is_at_rest = False
        self._chance = world.chance(f"strategy {number}")
        self.journal: Journal | None = None
        self.store: CCXTStore = None  # type: ignore[assignment]

    @property
    def is_quiet(self) -> bool:
        """Whether the bars of the scenario are over: what is left is to come to rest."""
        return self.world.is_quiet

    def run(self) -> str:
        """Live until the end. Raises what is no ending that the scenario knows."""
        with self.world.disk.under(self.io):
            return copy_context().run(self._run)

    def _run(self) -> str:
        LIFE.set(self.number)
        try:
            self._trade()
        except (Crash, Gone):
            return "crash"
        except StrategyError:
            return "the strategy failed"
        except TradingError as error:
            self.world.note("ended", error=f"{type(error).__name__}: {error}")
            return f"{type(error).__name__}: {error}"
        except Violation:
            raise
        except Exception as error:
            raise Violation(f"the process died of {type(error).__name__}: {error}") from error
        finally:
            self.io.is_dead = True
            self.world.loop.end_life(self.number)
            self.thread.forget()
            if self.journal is not None:
                self.journal.close()
        return "stopped"

    def _trade(self) -> None:
        scenario, venue = self.scenario, self.world.venue
        minute = 60.0 * scenario.bar_minutes
        self.journal = Journal(self.world.disk.path)
        for stand_in, executions in self.journal.replacements():
            self.world.replace(stand_in, executions)
        self.store = store = CCXTStore(
            scenario.protocol, api_key=venue.settings.api_key, api_secret=venue.settings.api_secret, base_url="http://127.0.0.1:1",
            ws_url="ws://127.0.0.1:1", journal=self.journal, run="simulated", clock=self.world.clock,
            poll=PollRule(base=minute / 2, least=2.0, most=minute), query_timeouts=QueryTimeouts(check_every_s=minute / 2),
            loop=self.thread,
        )  # fmt: skip
        self.thread.sent = self._on_sent  # type: ignore[method-assign]
        store.was_recorded = lambda fill: (fill.symbol, fill.trade_id) in self.world.kept
        cerebro = bt.Cerebro(quicknotify=True, stdstats=False)
        for symbol in scenario.symbols:
            data = store.getdata(dataname=symbol, compression=scenario.bar_minutes, history=2, qcheck=minute / 4)
            data.do_qcheck = lambda onoff, _lapse, data=data: type(data).do_qcheck(data, onoff, 0.0)
            cerebro.adddata(data, name=symbol)
        self.broker = store.getbroker(use_positions=not scenario.transfers)
        self.broker.on_event = self.on_event
        self.broker.on_turn = self.on_turn
        cerebro.setbroker(self.broker)
        cerebro.addstrategy(Adversary, life=self)
        try:
            cerebro.run()
        finally:
            store.stop()

    # What the session would do

    def on_event(self, event: AccountEvent) -> None:
        if isinstance(event, Filled):
            self.fills.append(event.execution)
        elif isinstance(event, Replaced):
            if event.stand_in in self.fills:
                self.fills.remove(event.stand_in)
                self.fills += event.executions
            self.world.replace(event.stand_in, event.executions)
        elif isinstance(event, Halted):
            self.world.note("halted", reason=event.reason)

    def on_bar(self, strategy: Any) -> None:
        """Keep what was executed since the last bar, in one commit; then look at everything."""
        self.io.step("before the bar is kept")
        for fill in self.fills:
            self.world.keep(fill)
        self.fills.clear()
        self.io.step("after the bar is kept")
        data = strategy.datas[0]
        self.world.note("bar", at=data.datetime[0], close=data.close[0], value=strategy.broker.getvalue())
        self.world.on_bar(self)
        self.is_recovered = True
        if self.is_quiet:
            return
        if self._chance.random() < self.scenario.slow_strategy:
            self.world.hurt()
            self.world.loop.pump(lambda: False, 5.0)
        if self._chance.random() < self.scenario.errors:
            raise StrategyError
        if self._chance.random() < self.scenario.stops:
            self.store.request_stop()

    def on_cancel(self, order: Any) -> None:
        self.world.protection.taken_back(order)

    def _on_sent(self, method: str, path: str) -> None:
        account = self.store.account
        if method == "POST" and path.endswith(("/order", "/order/create")) and account is not None and account.halted:
            self.world.broken = self.world.broken or f"an order was sent while halted: {account.halted}"

    def on_order(self, order: Any) -> None:
        self.world.note("order", status=order.getstatusname(), size=order.executed.size, price=order.executed.price)

    def on_turn(self) -> None:
        self.world.look(self)
        if self.is_quiet:
            self.world.on_quiet_turn(self)
