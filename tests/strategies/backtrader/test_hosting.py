"""A strategy meets its first bar on the first traded day, keeps its sizer, and gets its notifications as in Backtrader."""

from __future__ import annotations

import datetime
from typing import Any

import backtrader as bt
import pytest

from forwardtrader.live.session.strategy_guard import BarHook, guarded
from forwardtrader.strategies.backtrader.assembly import build_cerebro, record_of
from forwardtrader.strategies.backtrader.hosting import hosted
from tests.strategies.market import candles, feed, knobs

FREE = knobs(fee_bps=0, slippage_bps=0)
FIRST = 30


class Diary(bt.Strategy):
    """Writes down what Backtrader calls, and buys once in `nextstart`."""

    params = (("period", 10),)

    def __init__(self) -> None:
        self.average = bt.ind.SMA(period=self.p.period)
        self.calls: list[tuple[str, int]] = []
        self.add_timer(when=datetime.time(3, 0))

    def _write(self, name: str) -> None:
        self.calls.append((name, len(self.data)))

    def prenext(self) -> None:
        self._write("prenext")

    def nextstart(self) -> None:
        self._write("nextstart")
        self.buy(size=0.1)

    def next(self) -> None:
        self._write("next")

    def notify_order(self, order: Any) -> None:
        self._write(order.getstatusname())

    def notify_timer(self, timer: Any, when: Any, *args: Any, **kwargs: Any) -> None:
        self._write("timer")

    def notify_cashvalue(self, cash: float, value: float) -> None:
        self._write("cash")

    def named(self, *names: str) -> list[tuple[str, int]]:
        return [call for call in self.calls if call[0] in names]


def play(kind: type[bt.Strategy], bars: int = 60, first: int = FIRST, **options: Any) -> Any:
    frame = candles(bars)
    return build_cerebro([feed(frame)], FREE, strategy=kind, trade_from=frame.index[first].to_pydatetime(), **options).run()[0]


@pytest.mark.parametrize("at_once", [True, False])
def test_indicators_are_warm_and_the_first_traded_bar_is_the_first_that_is_met(at_once: bool) -> None:
    s = play(Diary, runonce=at_once, preload=at_once)
    assert s.calls[0][1] == FIRST + 1
    assert s.named("prenext", "nextstart", "next") == [("nextstart", FIRST + 1), *(("next", n) for n in range(FIRST + 2, 61))]
    assert s.named("Submitted", "Accepted", "Completed") == [(name, FIRST + 2) for name in ("Submitted", "Accepted", "Completed")]
    assert [n for _, n in s.named("timer")] == [52]
    assert len(record_of(s).fills) == 1
    assert record_of(s).refused == {}


@pytest.mark.parametrize("at_once", [True, False])
def test_indicators_that_are_not_warm_yet_are_waited_for_as_in_backtrader(at_once: bool) -> None:
    s = play(Diary, first=5, runonce=at_once, preload=at_once)
    called = s.named("prenext", "nextstart", "next")
    assert called[:5] == [("prenext", 6), ("prenext", 7), ("prenext", 8), ("prenext", 9), ("nextstart", 10)]
    assert called[5] == ("next", 11)


def test_analyzers_of_the_users_begin_with_the_strategy() -> None:
    class Bars(bt.Analyzer):
        def start(self) -> None:
            self.lengths: list[int] = []

        def next(self) -> None:
            self.lengths.append(len(self.strategy))

    s = play(Diary, analyzers=[(Bars, {"_name": "bars"})])
    assert s.analyzers.bars.lengths == list(range(FIRST + 1, 61))


def test_a_strategy_shown_its_bars_again_after_a_restart_is_started_once_and_orders_from_the_new_bar_on() -> None:
    frame = candles(60)
    s = play(Diary, first=40, begins=frame.index[FIRST].to_pydatetime())
    assert s.named("nextstart") == [("nextstart", FIRST + 1)]
    assert s.named("Rejected") == [("Rejected", FIRST + 2)]
    assert record_of(s).refused == {"BTC/USDT": {"the first traded day has not come yet": 1}}


def test_a_fill_is_recorded_at_once_and_told_at_the_next_bar() -> None:
    recorded: list[tuple[int, int]] = []

    def bar_done(strategy: Any, number: float) -> None:
        recorded.append((len(strategy.analyzers.fills.rows()), len(strategy.named("Completed"))))

    play(Diary, analyzers=[(BarHook, {"done": bar_done, "_name": "hook"})])
    assert len(recorded) == 60
    assert [n for n, pair in enumerate(recorded, 1) if pair == (1, 1)] == list(range(FIRST + 2, 61))
    assert (1, 0) not in recorded


class Accumulating(bt.SignalStrategy):
    params = (("_accumulate", True),)

    def __init__(self) -> None:
        self.calls = 0
        self.signal_add(bt.SIGNAL_LONG, bt.ind.CrossOver(bt.ind.SMA(period=3), bt.ind.SMA(period=6)))
        self.setsizer(bt.sizers.FixedSize(stake=0.01))

    def next(self) -> None:
        self.calls += 1


def test_a_guarded_signal_strategy_sends_the_orders_of_an_unguarded_one() -> None:
    plain = play(Accumulating, bars=200)
    guard = play(guarded(Accumulating, lambda where, error: pytest.fail(f"{where}: {error}")), bars=200, runonce=False, preload=False)
    assert plain.calls == guard.calls == 170
    assert len(record_of(plain).fills) > 4
    assert record_of(guard).fills.equals(record_of(plain).fills)


def test_a_host_leaves_the_class_and_its_names_as_they_are() -> None:
    host = hosted(Diary, FREE, 1.0)
    assert (host.__name__, host.__module__, host.params.period) == ("Diary", __name__, 10)
    assert issubclass(host, Diary)
    assert "next" not in vars(bt.Strategy) or bt.Strategy.next is not host.next


class Saving(bt.Strategy):
    """Pays in, takes out, and trades nothing."""

    params = (("ways", "add"),)

    def __init__(self) -> None:
        if self.p.ways == "opening":
            self.broker.setcash(50_000.0)

    def next(self) -> None:
        if self.p.ways == "add" and len(self) % 7 == 0:
            self.broker.add_cash(1000.0)
        elif self.p.ways == "set" and len(self) == 40:
            self.broker.setcash(self.broker.getcash() + 500.0)
        elif self.p.ways == "out" and len(self) == 40:
            self.broker.add_cash(-2000.0)


@pytest.mark.parametrize(("ways", "deposits"), [("add", 4000.0), ("set", 500.0), ("out", -2000.0), ("opening", 40_000.0)])
def test_a_deposit_is_no_return(ways: str, deposits: float) -> None:
    s = play(Saving, strategy_params={"ways": ways})
    record = record_of(s)
    assert record.deposits == deposits
    assert record.equity["equity"].to_numpy() == pytest.approx(10_000.0)
    assert record.equity["value"].iloc[-1] == pytest.approx(10_000.0 + deposits)
    assert s.broker.getvalue() == pytest.approx(10_000.0 + deposits)


def test_with_deposits_the_return_is_that_of_what_was_held() -> None:
    class Holding(Saving):
        def next(self) -> None:
            super().next()
            self.order_target_percent(target=0.5)

    alone, saving = (record_of(play(Holding, strategy_params={"ways": ways})) for ways in ("none", "add"))
    assert alone.deposits == 0.0
    assert "value" not in alone.equity
    gains = [frame["equity"].iloc[-1] / 10_000.0 - 1.0 for frame in (alone.equity, saving.equity)]
    assert gains[1] == pytest.approx(gains[0], abs=0.002)
    assert abs(gains[0]) > 0.004


def test_a_commission_of_the_strategys_is_charged() -> None:
    class Dear(bt.Strategy):
        def __init__(self) -> None:
            self.broker.setcommission(commission=0.01)

        def nextstart(self) -> None:
            self.buy(size=0.1)

    [fill] = record_of(play(Dear)).fills.to_dict("records")
    assert fill["fee"] == pytest.approx(0.01 * fill["price"] * fill["size"])
