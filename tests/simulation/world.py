"""One seed, one world: venue, network, disk and the lives of the trading process, all on one clock in one thread."""

from __future__ import annotations

import bisect
import hashlib
import random
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

from forwardtrader.live.execution.events import Execution
from forwardtrader.sandbox.engine.events import CandleChanged, ExecutionType, OrderChanged
from forwardtrader.sandbox.engine.exchange import Exchange
from forwardtrader.sandbox.venue import ACCOUNT
from tests.simulation import checks
from tests.simulation.checks import Violation, require
from tests.simulation.disk import SimulatedDisk
from tests.simulation.life import Life
from tests.simulation.network import Network, Weather
from tests.simulation.other_hands import OtherHands
from tests.simulation.protection import Protection
from tests.simulation.scenario import Scenario
from tests.simulation.venue import SimulatedVenue
from tests.simulation.virtual_loop import Stuck, VirtualClock, VirtualLoop

if TYPE_CHECKING:
    from forwardtrader.live.execution.journal import Journal

_SOMEBODY_ACTS_S: Final = 300.0  # after a halt
_MOST_STARTS: Final = 40
_LONGEST_S: Final = 2 * 86400.0  # virtual seconds, and bars, within which every scenario comes to its end
_LONGEST_BARS: Final = 500
_PATIENCE_S: Final = 2400.0  # virtual seconds, in bars of a minute or five, from the last bar of the scenario until everything is at rest


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        digest: equal for runs that did the same.
        struck: how often something went wrong: faults, deaths and ends of the process.
        recoveries: virtual seconds from each of these until everything agreed again.
    """

    scenario: Scenario
    violation: str
    digest: str
    days: float
    lives: int
    orders: int
    trades: int
    struck: int
    recoveries: tuple[float, ...]
    log: tuple[str, ...]


class World:
    """Everything of one run."""

    def __init__(self, scenario: Scenario, folder: Path) -> None:
        self.scenario = scenario
        self.rng = random.Random(scenario.seed)
        self.loop = VirtualLoop()
        self.loop.ends = _LONGEST_S + 60.0 * scenario.bar_minutes * _LONGEST_BARS
        self.clock = VirtualClock(self.loop)
        self.log: list[str] = []
        self.disk = SimulatedDisk(folder, self.chance("disk"))
        self.disk.path.parent.mkdir(parents=True)
        length = scenario.bar_minutes
        self.venue = SimulatedVenue(
            self.loop, self.clock, protocol=scenario.protocol, symbols=scenario.symbols,
            timeframe=f"{length}m", history=30, ticks_per_bar=4, fills=scenario.fills, fee_asset=scenario.fee_asset, seed=scenario.seed,
            read_lag_s=scenario.lags, page_limit=scenario.page_limit, order_answers="ids" if scenario.bare_answers else "full",
            keeps_state=bool(scenario.restarts), balances={"USDT": scenario.cash}, **self._perpetuals(folder),
        )  # fmt: skip
        self.network = Network(self.loop, self.chance("network"), self.venue, self.note)
        self.network.weather = Weather(
            slowest_s=scenario.slowest_s, lost=scenario.lost, unanswered=scenario.unanswered, reset=scenario.reset
        )
        self.kept: dict[tuple[str, str], Execution] = {}  # the fills that the owner has for good
        self.quiet_since: float | None = None
        self._seen_from = 0.0
        self.broken = ""  # a violation seen by the venue's side
        self.venue.on_fault = self._on_fault
        self.venue.on_start = self._watch_venue
        self.others = OtherHands(self.venue, self.chance("others"), scenario.transfers, self._others_acted)
        self.protection = Protection(self.venue)
        self.executed_at: list[float] = []  # virtual seconds of the venue's executions
        if scenario.fill_cap:
            self.exchange.fill_cap = Decimal(str(scenario.fill_cap))
        self.lives = self.struck = 0
        self.recoveries: list[float] = []
        self._hurt_at: float | None = None
        self._restart_chance = self.chance("restarts")
        self._forced_chance = self.chance("forced")

    def _perpetuals(self, folder: Path) -> dict[str, Any]:
        """Funding every three bars, of up to a hundredth."""
        if not self.scenario.is_perpetual:
            return {}
        step, rng = 180_000 * self.scenario.bar_minutes, self.chance("funding")
        now = int(self.clock.seconds() * 1000) // step * step
        rates = [f"{now + number * step},{rng.uniform(-0.01, 0.01):.6f}" for number in range(2000)]
        path = folder / "funding.csv"
        path.write_text("\n".join(["timestamp,rate", *rates]) + "\n")
        return {"funding": dict.fromkeys(self.scenario.symbols, str(path)), "leverage": "1"}

    def run(self) -> None:
        """Play the scenario to its end. Raises Violation."""
        self.venue.start()
        for name, options in self.scenario.faults.items():
            self.venue.faults.arm(name, dict(options))
        self.disk.full_from = self.scenario.disk_full
        deaths, rests = iter(self.scenario.deaths), 0
        for number in range(1, _MOST_STARTS):
            death = next(deaths, None)
            self.lives = number
            life = Life(self, number, death)
            ended = life.run()
            rests += life.is_at_rest
            if not life.is_at_rest:
                self.hurt()
            if rests == 2:  # once more from the files alone
                break
            require(not ended.startswith("ReconciliationFailed"), f"a start was refused: {ended}")
            self.disk.next_life(power_cut=death is not None and death.power_cut and ended == "crash")
            self.loop.pump(lambda: False, self.rng.choice((0.1, 5.0, 100.0, 600.0)))
        else:
            raise Violation("the process does not come to its end")

    def chance(self, name: str) -> random.Random:
        """Randomness of its own for one purpose, so that taking away another changes nothing here."""
        return random.Random(f"{name} {self.scenario.seed}")

    @property
    def exchange(self) -> Exchange:
        """The engine of the venue, which is another one after a restart."""
        return self.venue.venue.exchange

    def executed_before(self) -> int:
        """How many of the venue's executions everybody can see by now, whatever lags."""
        return bisect.bisect_right(self.executed_at, self.loop.now - self.scenario.longest_lag_s)

    # What the lives report

    def note(self, kind: str, **facts: object) -> None:
        """Write a line of the log by which two runs are compared."""
        self.log.append(f"{self.loop.now:.6f} {kind} {facts}")

    def keep(self, fill: Execution) -> None:
        """The owner has this execution for good."""
        key = (fill.symbol, fill.trade_id)
        require(key not in self.kept, f"kept twice: {fill}")
        self.kept[key] = fill

    def replace(self, stand_in: Execution, executions: Iterable[Execution]) -> None:
        """The owner has these in place of one that stood for them, if it has that one for good."""
        if self.kept.pop((stand_in.symbol, stand_in.trade_id), None) is not None:
            for fill in executions:
                self.keep(fill)

    @property
    def is_quiet(self) -> bool:
        return self.quiet_since is not None

    def on_bar(self, life: Life) -> None:
        """Look at everything that must hold at any moment."""
        journal: Journal = life.store.account.journal  # type: ignore[union-attr]
        require(not self.broken, self.broken)
        checks.every_order_known(self.venue, journal)
        checks.booked_is_true(self.venue, journal.executions())
        if not life.is_recovered:
            checks.nothing_overlooked(self.venue, life.trades_before, journal)
        checks.position_is(life, self.kept.values())
        self.protection.require_kept(life)
        if self.quiet_since is None and self.venue.venue.driver.played >= self.scenario.bars:
            self._calm()

    def on_quiet_turn(self, life: Life) -> None:
        """End once nothing is in flight."""
        broker = life.broker
        patience = _PATIENCE_S * max(1, self.scenario.bar_minutes // 5)
        require(self.loop.now - (self.quiet_since or 0.0) < patience, f"not at rest after {patience} s: {broker.get_orders_open()}")
        if broker.halted:  # somebody acts: the process is started anew
            life.store.request_stop()
            return
        journal: Journal = life.store.account.journal  # type: ignore[union-attr]
        if not broker.is_settled or broker.get_orders_open() or journal.open_intents() or self.loop.now < self._seen_from:
            return
        life.quiet_turns += 1
        if life.quiet_turns > 2:
            checks.at_rest(life, self.kept)
            checks.each_intent_once(self.venue)
            require(not self.broken, self.broken)
            life.is_at_rest = True
            life.store.request_stop()

    def hurt(self) -> None:
        """Something went wrong now."""
        self.struck += 1
        self._hurt_at = self.loop.now if self._hurt_at is None else self._hurt_at

    def look(self, life: Life) -> None:
        """Note how long it took until everything agreed again."""
        if life.broker.halted and self.loop.now - (self._hurt_at or 0.0) > _SOMEBODY_ACTS_S:
            life.store.request_stop()
        if self._hurt_at is None or not life.store.is_connected or life.broker.halted or not life.broker.is_settled:
            return
        if checks.agrees(self.venue, life.store.account.journal) and checks.cash_agrees(life):  # type: ignore[union-attr]
            self.recoveries.append(self.loop.now - self._hurt_at)
            self._hurt_at = None

    def _on_fault(self, name: str) -> None:
        self.note("fault", name=name)
        self.hurt()

    def _watch_venue(self) -> None:
        if self.is_quiet:
            self.venue.venue.funding.rates.clear()
        self.exchange.subscribe(self._on_venue_event)
        self.others.watch()

    def _on_venue_bar(self, played: int) -> None:
        if self.is_quiet:
            return
        self.others.act()
        self._force()
        if played in self.scenario.restarts and not self.venue.is_down:
            self.note("venue restarts")
            self.hurt()
            self.venue.restart(self._restart_chance.choice((1.0, 30.0, 400.0)))

    def _force(self) -> None:
        """The venue reduces a position, by chance."""
        if not self.scenario.forced or self._forced_chance.random() >= self.scenario.forced or self.venue.is_down:
            return
        account = self.exchange.accounts[ACCOUNT]
        held = [symbol for symbol, position in account.positions.items() if position.size]
        if held:
            symbol = self._forced_chance.choice(held)
            step, size = self.exchange.listings[symbol].rules.step, abs(account.position(symbol).size)
            part = size * Decimal(self._forced_chance.choice(("0.5", "1"))) // step * step
            self._others_acted("deleveraged", symbol=symbol, size=part or size)
            self.venue.venue.liquidation.deleverage(account, symbol, part or size)
            self.venue.commit(moved=True)

    def _others_acted(self, kind: str, **facts: object) -> None:
        self.note(kind, **facts)
        self.hurt()

    def _calm(self) -> None:
        self.quiet_since = self.loop.now
        # What others did last is noticed by the next comparison, and believed a while later.
        late = self.scenario.transfers or self.scenario.is_perpetual
        self._seen_from = self.loop.now + (60.0 * self.scenario.bar_minutes + 20.0 if late else 0.0)
        self.venue.venue.funding.rates.clear()
        self.venue.board.disarm()
        self.others.leave()
        self.exchange.fill_cap = None
        self.network.weather = Weather()

    def _on_venue_event(self, fact: Any) -> None:
        if isinstance(fact, CandleChanged) and fact.closed and fact.symbol == self.scenario.symbols[0] and not self.venue.is_down:
            self.loop.in_world(0.0, self._on_venue_bar, self.venue.venue.driver.played)
        if not isinstance(fact, OrderChanged):
            return
        if fact.trade is not None:
            self.executed_at.append(self.loop.now)
        order = fact.order
        self.note("venue", what=fact.execution.value, id=order.id, client_id=order.request.client_id, filled=order.filled)
        if fact.execution is ExecutionType.NEW:
            same = [o for o in self.exchange.order_index.orders.values() if o.request.client_id == order.request.client_id]
            if len(same) > 1 and not self.broken:
                self.broken = f"sent twice: {order.request.client_id}"


def simulate(scenario: Scenario) -> Outcome:
    """Run one scenario in files of its own."""
    folder = Path(tempfile.mkdtemp(prefix="simulation-", dir=_fast_folder()))
    violation = ""
    try:
        world = World(scenario, folder)
        with _virtual_time_in_ccxt(world.clock):
            try:
                world.run()
            except (Violation, Stuck) as found:
                violation = f"{type(found).__name__}: {found}"
            finally:
                world.loop.finish()
        text = "\n".join(world.log)
        index = world.venue.venue.exchange.order_index
        return Outcome(
            scenario, violation, hashlib.sha256(text.encode()).hexdigest(), world.loop.now / 86400, world.lives, len(index.orders),
            len(index.trades), world.struck, tuple(world.recoveries), tuple(world.log),
        )  # fmt: skip
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fast_folder() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


@contextmanager
def _virtual_time_in_ccxt(clock: VirtualClock) -> Iterator[None]:
    from ccxt.base.exchange import BaseExchange

    def milliseconds() -> int:
        return int(clock.seconds() * 1000)

    with patch.object(BaseExchange, "milliseconds", staticmethod(milliseconds)):
        yield
