"""Ways to trade at prices that were not yet known: each is refused, or gains nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import backtrader as bt
import pytest

from forwardtrader.core.errors import InvalidSetting
from forwardtrader.strategies.backtrader.assembly import build_cerebro
from forwardtrader.strategies.backtrader.cheating import never_called
from tests.strategies.market import candles, feed, knobs

FREE = knobs(fee_bps=0, slippage_bps=0)


def in_init(cheat: Callable[[Any], None]) -> type[bt.Strategy]:
    class Cheat(bt.Strategy):
        def __init__(self) -> None:
            cheat(self)

        def next(self) -> None:
            self.buy(size=0.01)

    return Cheat


def in_start(cheat: Callable[[Any], None]) -> type[bt.Strategy]:
    class Cheat(bt.Strategy):
        def start(self) -> None:
            cheat(self)

        def next(self) -> None:
            self.buy(size=0.01)

    return Cheat


def in_next(cheat: Callable[[Any], None]) -> type[bt.Strategy]:
    class Cheat(bt.Strategy):
        def next(self) -> None:
            if len(self) == 5:
                cheat(self)
            self.buy(size=0.01)

    return Cheat


def switch(strategy: Any) -> None:
    strategy.broker.p.coc = True


@pytest.mark.parametrize("where", [in_init, in_start, in_next])
@pytest.mark.parametrize(
    ("cheat", "words"),
    [
        (lambda s: s.broker.set_coc(True), "set_coc"),
        (lambda s: s.broker.set_coo(True), "set_coo"),
        (switch, "set_coc"),
    ],
)  # fmt: skip
def test_a_strategy_that_switches_cheating_on_is_refused(where: Any, cheat: Callable[[Any], None], words: str) -> None:
    with pytest.raises(InvalidSetting, match=rf"{words}.*lets a strategy trade at prices that are not known when it decides"):
        build_cerebro([feed(candles(20))], FREE, strategy=where(cheat)).run()


@pytest.mark.parametrize("where", [in_init, in_start])
def test_a_timer_that_cheats_is_refused(where: Any) -> None:
    strategy = where(lambda s: s.add_timer(when=bt.Timer.SESSION_START, cheat=True))
    with pytest.raises(InvalidSetting, match="cheat=True"):
        build_cerebro([feed(candles(20))], FREE, strategy=strategy).run()


def test_a_timer_of_cerebro_that_cheats_is_refused_and_an_honest_one_runs() -> None:
    for cheat in (False, True):
        cerebro = build_cerebro([feed(candles(20))], FREE, strategy=bt.Strategy)
        cerebro.add_timer(when=bt.Timer.SESSION_START, cheat=cheat)
        if cheat:
            with pytest.raises(InvalidSetting, match="cheat=True"):
                cerebro.run()
        else:
            cerebro.run()


def test_what_was_asked_of_the_broker_or_of_cerebro_before_the_run_is_refused() -> None:
    cerebro = build_cerebro([feed(candles(20))], FREE, strategy=bt.Strategy)
    with pytest.raises(InvalidSetting, match="set_coc"):
        cerebro.broker.set_coc(True)
    cerebro.p.cheat_on_open = True
    with pytest.raises(InvalidSetting, match="cheat_on_open"):
        cerebro.run()


def test_cheating_may_be_switched_off() -> None:
    build_cerebro([feed(candles(20))], FREE, strategy=in_init(lambda s: (s.broker.set_coc(False), s.broker.set_coo(False)))).run()


class AtTheKnownLow(bt.Strategy):
    """Bids for the low of the bar that is over, from wherever Backtrader calls."""

    def __init__(self) -> None:
        self.add_timer(when=bt.Timer.SESSION_START)
        self.filled: list[tuple[float, float, float, float]] = []

    def _bid(self) -> None:
        self.buy(size=0.01, exectype=bt.Order.Limit, price=self.data.low[0])

    def next(self) -> None:
        self._bid()

    def notify_timer(self, timer: Any, when: Any, *args: Any, **kwargs: Any) -> None:
        self._bid()

    def notify_order(self, order: Any) -> None:
        if order.status == order.Completed:
            self.filled.append((order.created.dt, order.executed.dt, self.data.low[0], order.executed.price))
            self._bid()


def test_a_limit_at_a_known_low_is_filled_by_a_later_bar_only() -> None:
    run = build_cerebro([feed(candles(150))], FREE, strategy=AtTheKnownLow).run()[0]
    assert len(run.filled) > 20
    for made, filled, low, price in run.filled:
        assert filled > made
        assert low <= price


def test_methods_that_only_cheat_on_open_calls_are_named_also_where_a_base_class_has_them() -> None:
    class Early(bt.Strategy):
        def nextstart_open(self) -> None:
            self.buy(size=0.01)

    class Later(Early):
        def next(self) -> None:
            self.close()

    assert never_called(Early).startswith("Early.nextstart_open is never called")
    assert never_called(Later).startswith("Later.nextstart_open")
    assert never_called(bt.SignalStrategy) == never_called(bt.strategies.SMA_CrossOver) == ""
