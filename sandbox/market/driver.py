"""The market driver: opens, prints and closes bars, in lockstep or in real time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeAlias

from forwardtrader.sandbox.engine.events import CandleChanged, Printed
from forwardtrader.sandbox.engine.exchange import Exchange
from forwardtrader.sandbox.orders.candle import Candle
from forwardtrader.sandbox.orders.listing import Listing
from forwardtrader.sandbox.orders.matching import over_bar
from forwardtrader.sandbox.orders.order import ZERO, Status

Path: TypeAlias = list[tuple[Decimal, Decimal]]  # price and size of each print


@dataclass(slots=True)
class BarFeed:
    """The upcoming bars of one symbol, and the path of the running one.

    Attributes:
        bars: the source; of it, those that open after `after` are still to come.
        ahead: the next bar; then come those in `waiting`, then the source's.
    """

    bars: Iterator[Candle]
    after: int = -1
    ahead: Candle | None = None
    waiting: list[Candle] = field(default_factory=list)
    path: Path = field(default_factory=list)
    factor: Decimal = Decimal(1)
    hidden: bool = False  # the running bar is neither published nor stored

    def pull(self) -> None:
        """Make the following bar the next one."""
        if self.waiting:
            self.ahead = self.waiting.pop(0)
            return
        self.ahead = next((bar for bar in self.bars if bar.start > self.after), None)
        if self.ahead is not None:
            self.after = self.ahead.start

    def push(self, candle: Candle) -> None:
        """Make `candle` the next bar; bars that do not open after it are dropped."""
        self.waiting = [bar for bar in (self.ahead, *self.waiting) if bar is not None and bar.start > candle.start]
        self.ahead = candle
        self.after = max(self.after, candle.start)


class MarketClock:
    """The market's clock, milliseconds UTC; it advances only with the bars."""

    def __init__(self, at: int = 0) -> None:
        self.at = at

    def __call__(self) -> int:
        return self.at


class Driver:
    """Plays the bars of all symbols through the exchange, one interval after the other.

    Args:
        feeds: symbol to the bars after its history.
        length: length of a bar in milliseconds.
        ticks: prints per bar.
        plan: splits a bar into prints, by chance that the seed, the symbol and the bar's open time decide.

    Attributes:
        after_step: called whenever the market has moved.
    """

    def __init__(
        self,
        exchange: Exchange,
        feeds: Mapping[str, Iterator[Candle]],
        *,
        clock: MarketClock,
        length: int,
        ticks: int,
        plan: Callable[[Candle, int, Decimal, random.Random], list[tuple[Decimal, Decimal]]],
        seed: int,
        limit: int = 0,
    ) -> None:
        self.exchange = exchange
        self.clock = clock
        self.length = length
        self.ticks = ticks
        self.played = 0
        self.ended = False
        self.after_bar: list[Callable[[], None]] = []
        self.before_close: list[Callable[[], None]] = []  # called while the bars that end are still running
        self.after_open: list[Callable[[], None]] = []  # called before anybody can learn of the bars that have opened
        self.after_step: Callable[[], None] = lambda: None
        self.hides: Callable[[str], bool] = lambda symbol: False
        self.printed = 0  # prints of the running bars so far
        self._limit = limit
        self._plan = plan
        self._seed = seed
        self.feeds = {symbol: BarFeed(bars) for symbol, bars in feeds.items()}
        for feed in self.feeds.values():
            feed.pull()

    def begin(self) -> None:
        """Open the first bars."""
        self._open(min((f.ahead.start for f in self.feeds.values() if f.ahead), default=self.clock.at))

    def advance(self) -> bool:
        """Complete the running bars and open the next ones; False once the market has ended.

        The next bars are open before the closed candles are published, so an order that reacts to a closed candle meets them.
        """
        if self.ended:
            return False
        while self.printed < self.ticks:
            self.tick()
        self.close()
        self.after_step()
        return not self.ended

    def tick(self, *, holds: bool = False) -> dict[str, Decimal]:
        """Make the next print of each running bar.

        Args:
            holds: nobody hears of the prints of a bar that has met an open order of its symbol, which is executed when the bar ends: a
                client that reacted to them would come between.

        Returns:
            The prices that the market heard of.
        """
        number = self.printed
        self.printed += 1
        self._move_clock(number)
        told = {}
        for symbol, feed in self.feeds.items():
            if number < len(feed.path):
                is_held = holds and self._has_met(symbol)
                if self._print(symbol, *feed.path[number], number, is_told=not is_held):
                    told[symbol] = feed.path[number][0]
        return told

    def _has_met(self, symbol: str) -> bool:
        """Whether the running bar, as far as it was printed, executes an open order when it ends."""
        running = self.exchange.listings[symbol].candles.running
        orders = self.exchange.order_index.open_orders(symbol)
        waiting = [o for o in orders if running is not None and o.status is not Status.HELD and o.rests_until != running.start]
        return running is not None and any(over_bar(o.request, o.triggered, running).price is not None for o in waiting)

    def close(self) -> None:
        """Close the running bars, open the next ones, then publish."""
        start = self.clock.at - self.clock.at % self.length
        self.clock.at = start + self.length - 1
        for call in self.before_close:
            call()
        closed = [done for symbol in self.feeds if (done := self._finish(symbol)) is not None]
        self.played += 1
        upcoming = [f.ahead.start for f in self.feeds.values() if f.ahead]
        over = not upcoming or (self._limit and self.played >= self._limit)
        self._open(start + self.length if not over else -1)
        self.ended = bool(over)
        for call in self.after_open if not over else ():
            call()
        for symbol, candle in closed:
            self.exchange.publish(CandleChanged(symbol, candle, True, start + self.length))
        self._publish_opened()
        for call in self.after_bar:
            call()

    async def run(self, speed: float, wall: Callable[[], float]) -> None:
        """Play in real time, `speed` times as fast, until the market ends."""
        started, origin = wall(), self.clock.at
        while not self.ended:
            slot = self.clock.at - self.clock.at % self.length
            while self.printed < self.ticks:
                due = slot + self.printed * self.length // self.ticks
                await _until(started + (due - origin) / 1000 / speed, wall)
                self.tick()
                self.after_step()
            await _until(started + (slot + self.length - origin) / 1000 / speed, wall)
            self.close()
            self.after_step()

    def skip_to(self, at: int) -> None:
        """Play everything before `at` at once: a market at real time starts inside a bar, which need not be the one that it stopped in."""
        while not self.ended and self.clock.at - self.clock.at % self.length + self.length <= at:
            self.advance()
        slot = self.clock.at - self.clock.at % self.length
        while self.printed < self.ticks and slot + self.printed * self.length // self.ticks < at:
            self.tick()
        self.clock.at = max(self.clock.at, at)
        self.after_step()

    def push(self, symbol: str, candle: Candle) -> None:
        """Insert a candle as the next bar; the one that was next follows it."""
        self.feeds[symbol].push(candle)

    def set_price(self, symbol: str, price: Decimal, volume: Decimal) -> None:
        """Print a market trade at `price` and widen the running bar to contain it; no effect in a halted market."""
        listing = self.exchange.listings[symbol]
        bar = listing.bar
        if bar is not None:
            high, low = max(bar.high, price), min(bar.low, price)
            listing.bar = Candle(bar.start, bar.open, high, low, bar.close, bar.volume + volume, bar.trades + 1)
            self._print(symbol, price, volume, self.printed)

    def shift(self, symbol: str, factor: Decimal) -> None:
        """Multiply the prices of `symbol` by `factor` from the next bar on."""
        self.feeds[symbol].factor *= factor

    def _move_clock(self, number: int) -> None:
        slot = self.clock.at - self.clock.at % self.length
        self.clock.at = slot + min(self.length - 1, number * self.length // self.ticks)

    def _open(self, start: int) -> None:
        self.printed = 0
        if start >= 0:
            self.clock.at = start
        for symbol, feed in self.feeds.items():
            listing = self.exchange.listings[symbol]
            bar = feed.ahead
            listing.bar, feed.path = None, []
            if bar is None or bar.start != start:
                continue
            feed.pull()
            if listing.halted:
                continue
            feed.hidden = self.hides(symbol)
            bar = scaled(bar, feed.factor, listing.rules.tick)
            self._open_bar(listing, bar)
            feed.path = self._plan(bar, self.ticks, listing.rules.tick, random.Random(f"{self._seed}:{symbol}:{bar.start}"))

    @staticmethod
    def _open_bar(listing: Listing, bar: Candle) -> None:
        listing.bar = bar
        listing.last = bar.open
        listing.taken.clear()
        listing.candles.running = Candle(bar.start, bar.open, bar.open, bar.open, bar.open, ZERO, 0)

    def _publish_opened(self) -> None:
        for symbol in self.feeds:
            running = self.exchange.listings[symbol].candles.running
            if running is not None and not self.feeds[symbol].hidden:
                self.exchange.publish(CandleChanged(symbol, running, False, self.clock.at))

    def _print(self, symbol: str, price: Decimal, volume: Decimal, number: int, *, is_told: bool = True) -> bool:
        """Print a trade; returns whether the market heard of it."""
        listing = self.exchange.listings[symbol]
        running = listing.candles.running
        if listing.bar is None or running is None or listing.halted:
            return False
        rose = price >= listing.last
        self.exchange.print_price(symbol, price, volume)
        listing.prints += 1
        count = listing.bar.trades * (number + 1) // self.ticks
        listing.candles.running = Candle(
            running.start, running.open, max(running.high, price), min(running.low, price), price, running.volume + volume, count
        )
        if not is_told:
            return False
        self.exchange.publish(Printed(symbol, listing.prints, price, volume, not rose, self.clock.at))
        if self.feeds[symbol].hidden:
            return False
        self.exchange.publish(CandleChanged(symbol, listing.candles.running, False, self.clock.at))
        return True

    def _finish(self, symbol: str) -> tuple[str, Candle] | None:
        listing = self.exchange.listings[symbol]
        bar = listing.bar
        if bar is None:
            return None
        if listing.halted:  # halted within the bar: it consists of what was printed
            bar = listing.candles.running or bar
        else:
            listing.last = bar.close
            self.exchange.end_bar(symbol)
        if self.feeds[symbol].hidden:
            listing.candles.running = None
            return None
        listing.candles.close(bar)
        return symbol, bar


def scaled(bar: Candle, factor: Decimal, tick: Decimal) -> Candle:
    """The bar with its prices multiplied by `factor`, on the tick grid."""
    if factor == 1:
        return bar
    first, high, low, close = (max(tick, (p * factor / tick).to_integral_value() * tick) for p in (bar.open, bar.high, bar.low, bar.close))
    return Candle(bar.start, first, high, low, close, bar.volume, bar.trades)


async def _until(moment: float, wall: Callable[[], float]) -> None:
    # Yields even when late, so that requests are answered while the market catches up.
    await asyncio.sleep(max(0.0, moment - wall()))
