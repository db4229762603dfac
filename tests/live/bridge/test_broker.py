"""The life of orders through Backtrader, ccxt's unmodified classes and the practice exchange; each case is one that bridges got wrong."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import backtrader as bt
import pytest

from forwardtrader.live.execution.journal import IntentState, Journal
from forwardtrader.strategies.orders.families import CAME_TO_NOTHING
from tests.live.market import Script, play, practice, store_on


def orders_at(venue: Any) -> list[dict[str, Any]]:
    return [e for e in venue.log() if e["kind"] == "request" and e["name"].startswith("POST order")]


def posts(venue: Any) -> int:
    return len([e for e in venue.log() if "POST" in str(e["name"]) and "order" in str(e["name"])])


def keep(name: str, make: Any) -> Any:
    def act(strategy: Any) -> None:
        setattr(strategy, name, make(strategy))

    return act


def test_a_limit_filled_in_two_parts_is_executed_once_with_its_fee() -> None:
    with practice(fee_asset="quote") as venue:

        def enter(s: Any) -> None:
            s.order = s.buy(size=0.1, price=s.data.close[0] * 1.01, exectype=bt.Order.Limit)

        def leave(s: Any) -> None:
            venue.control("fill_cap", size=None)
            s.exit = s.close()

        venue.control("fill_cap", size=0.04)
        run = play(venue, store_on(venue), Script, 8, acts={0: enter, 5: leave})
        assert run.statuses_of(run.order) == ["Submitted", "Accepted", "Partial", "Partial", "Completed"]
        done = [o for o in run.clones if o.ref == run.order.ref][-1]
        assert round(done.executed.size, 8) == 0.1
        assert done.exectype == bt.Order.Limit
        assert done.executed.comm == pytest.approx(done.executed.value * 0.001)
        assert [t.isclosed for t in run.closed_trades] == [False, True]
        assert run.analyzers.trades.get_analysis().total.total == 1


def test_a_part_that_was_filled_before_the_cancel_stays() -> None:
    with practice(fee_asset="quote") as venue:
        venue.control("fill_cap", size=0.04)

        def enter(s: Any) -> None:
            s.order = s.buy(size=0.1, price=s.data.close[0] * 1.01, exectype=bt.Order.Limit)

        def drop(s: Any) -> None:
            s.cancel(s.order)

        run = play(venue, store_on(venue), Script, 4, acts={0: enter, 1: drop})
        last = [o for o in run.clones if o.ref == run.order.ref][-1]
        assert last.getstatusname() == "Canceled"
        assert last.executed.size == pytest.approx(run.position.size)
        assert 0 < run.position.size < 0.1


@pytest.mark.parametrize("fault", ["F1", "F2"])
def test_an_order_whose_answer_is_lost_is_found_and_not_sent_again(fault: str) -> None:
    with practice() as venue:
        venue.control("fault", name=fault)
        run = play(venue, store_on(venue), Script, 3, acts={0: keep("order", lambda s: s.buy(size=0.01))})
        assert run.statuses_of(run.order)[-1] == "Completed"
        assert venue.state()["orders"] == 1
        assert posts(venue) == 1


@pytest.mark.parametrize(("fault", "how"), [("F4", "503"), ("F4", "html"), ("F5", "")])
def test_an_order_that_never_arrived_is_rejected_after_the_search_and_posted_once(fault: str, how: str) -> None:
    with practice() as venue:
        venue.control("fault", name=fault, **({"how": how} if how else {}))
        run = play(venue, store_on(venue), Script, 3, acts={0: keep("order", lambda s: s.buy(size=0.01))})
        assert run.statuses_of(run.order) == ["Submitted", "Rejected"]
        assert (venue.state()["orders"], posts(venue)) == (0, 1)


def test_value_is_cash_and_coins() -> None:
    with practice() as venue:
        run = play(venue, store_on(venue), Script, 5, acts={0: lambda s: s.buy(size=0.1)})
        held = venue.state()["accounts"]["main"]
        cash, coins = (float(held[a]["free"]) for a in ("USDT", "BTC"))
        assert run.broker.getcash() == pytest.approx(cash, abs=1e-6)
        assert run.position.size == pytest.approx(coins, abs=1e-12)
        assert run.broker.getvalue() == pytest.approx(cash + coins * run.data.close[0])
        assert 9000 < run.values[-1] < 11000


def test_a_refused_order_comes_back_rejected_and_nothing_else_is_disturbed() -> None:
    with practice() as venue:
        venue.control("fault", name="F26")

        def both(s: Any) -> None:
            s.small, s.order = s.buy(size=0.0000001), s.buy(size=0.01, anything="at all", created=3)

        run = play(venue, store_on(venue), Script, 4, acts={0: both, 2: keep("second", lambda s: s.buy(size=0.01))})
        assert run.statuses_of(run.small) == ["Rejected"]
        assert run.statuses_of(run.order) == ["Submitted", "Margin"]
        assert run.statuses_of(run.second)[-1] == "Completed"


def test_an_order_that_is_refused_on_the_last_bar_of_a_run_is_recorded_too() -> None:
    with practice() as venue:
        run = play(venue, store_on(venue), Script, 3, acts={2: lambda s: s.sell(size=5.0)})
        [(*_, side, size, _kind, _price, _limit, _reason, refusal)] = run.analyzers.orders.rows()
        assert (side, size) == ("sell", 5.0) and refusal


def test_extra_keywords_reach_the_strategy_and_never_the_venue() -> None:
    with practice() as venue:
        run = play(venue, store_on(venue), Script, 2, acts={0: keep("order", lambda s: s.buy(size=0.01, created=1, leverage=5))})
        assert run.clones[-1].info["leverage"] == 5
        assert run.statuses_of(run.order)[-1] == "Completed"


def test_what_was_there_at_the_start_is_restored_and_what_is_foreign_left_alone(tmp_path: Path) -> None:
    with practice() as venue:

        def first(s: Any) -> None:
            s.buy(size=0.1)

        def rest(s: Any) -> None:
            s.sell(size=0.05, exectype=bt.Order.Stop, price=round(s.data.close[0] * 0.7, 2), role="stop")

        before = play(venue, store_on(venue, tmp_path / "j.db", run="one"), Script, 4, acts={0: first, 2: rest})
        venue.control("fault", name="F29", how="order")
        after = play(venue, store_on(venue, tmp_path / "j.db", run="one"), Script, 3)
        assert after.position.size == pytest.approx(before.position.size)
        assert after.position.price == pytest.approx(before.position.price)
        [stop] = after.broker.get_orders_open()
        assert (stop.getordername(), stop.info.role, stop.executed.remsize) == ("Stop", "stop", -0.05)
        assert len(venue.state()["open_orders"]) >= 1


def test_coins_that_the_journal_does_not_know_are_a_position() -> None:
    with practice(balances={"USDT": "1000", "BTC": "0.5"}) as venue:
        run = play(venue, store_on(venue), Script, 2)
        assert run.position.size == 0.5
        assert run.values[0] == pytest.approx(1000 + 0.5 * run.bars[0][3])


def test_two_stores_are_two_accounts() -> None:
    with practice() as one, practice(balances={"USDT": "777"}) as other:
        first, second = store_on(one), store_on(other)
        assert first is not second
        runs = [play(v, s, Script, 1, acts={0: lambda s: s.buy(size=0.001)}) for v, s in ((one, first), (other, second))]
        assert runs[1].values[0] == 777
        assert runs[0].values[0] == 10_000


def test_ten_resting_orders_cost_no_request_a_turn() -> None:
    with practice() as venue:

        def enter(s: Any) -> None:
            for n in range(10):
                s.buy(size=0.001, price=s.data.close[0] * (0.5 + n / 100), exectype=bt.Order.Limit)

        run = play(venue, store_on(venue), Script, 30, acts={0: enter})
        asked = [e for e in venue.log() if e["kind"] != "event" and "order" in str(e["name"]).lower() and "GET" in str(e["name"])]
        assert len(run.broker.get_orders_open()) == 10
        assert len(asked) < 30


def test_every_notification_carries_a_copy_with_its_own_executions() -> None:
    with practice(fee_asset="quote") as venue:
        venue.control("fill_cap", size=0.04)
        run = play(
            venue, store_on(venue), Script, 6,
            acts={0: keep("order", lambda s: s.buy(size=0.1, price=s.data.close[0] * 1.01, exectype=bt.Order.Limit))},
        )  # fmt: skip
        clones = [o for o in run.clones if o.ref == run.order.ref]
        assert len({id(o) for o in clones}) == len(clones)
        assert [o.status for o in clones] == [1, 2, 3, 3, 4]
        assert [round(sum(b.size for b in o.executed.iterpending()), 8) for o in clones] == [0, 0, 0.04, 0.04, 0.02]


def test_a_time_limit_counts_in_bar_time() -> None:
    import datetime

    with practice() as venue:

        def enter(s: Any) -> None:
            s.order = s.buy(size=0.01, price=s.data.close[0] * 0.5, exectype=bt.Order.Limit, valid=datetime.timedelta(minutes=2))

        run = play(venue, store_on(venue), Script, 6, acts={0: enter})
        assert run.statuses_of(run.order) == ["Submitted", "Accepted", "Expired"]


def test_a_bar_beyond_the_time_limit_of_an_order_neither_executes_it_nor_keeps_it_open_for_the_strategy() -> None:
    with practice() as venue:
        told: dict[int, int] = {}
        open_at: dict[int, int] = {}

        class Told(Script):
            def notify_order(self, order: Any) -> None:
                if order.status == order.Expired:
                    told[order.ref] = self.live_bars + 1  # `next` of the bar comes after what is told with it

            def next(self) -> None:
                super().next()
                if self.live_bars >= 0:
                    open_at[self.live_bars] = len(self.broker.get_orders_open())

        def enter(s: Any) -> None:
            now, price = s.data.num2date(s.data.datetime[0]), s.data.close[0]
            s.order = s.buy(size=0.01, price=price * 0.9, exectype=bt.Order.Limit, valid=timedelta(minutes=2))
            s.never = s.buy(size=0.01, price=price * 1.1, exectype=bt.Order.Limit, valid=now)

        def fall(s: Any) -> None:
            venue.control("price", symbol="BTC/USDT", price=s.data.close[0] * 0.8)  # in the third bar after the order

        run = play(venue, store_on(venue), Told, 6, acts={0: enter, 2: fall})
        assert told == {run.order.ref: 3, run.never.ref: 1}
        assert open_at == {0: 2, 1: 1, 2: 1, 3: 0, 4: 0, 5: 0}
        assert not run.position


def test_an_intent_is_never_posted_a_second_time(tmp_path: Path) -> None:
    with practice() as venue:
        journal = Journal(tmp_path / "j.db")
        run = play(venue, store_on(venue, journal, run="same"), Script, 2, acts={0: keep("order", lambda s: s.buy(size=0.01))})
        [(intent, state)] = journal.intents()
        assert (state, intent.request.size) == (IntentState.DONE, Decimal("0.01"))
        again = store_on(venue, journal, run="same")
        again.getdata(dataname="BTC/USDT")
        again.getbroker()
        again.start()
        again.loop.call(again.account.send(intent))
        again.stop()
        assert venue.state()["orders"] == 1
        assert run.statuses_of(run.order)[-1] == "Completed"


def test_a_clock_that_is_off_is_corrected_and_the_order_sent_again() -> None:
    with practice() as venue:
        run = play(
            venue, store_on(venue), Script, 3,
            acts={0: lambda s: venue.control("fault", name="F20", milliseconds=30000), 1: keep("order", lambda s: s.buy(size=0.01))},
        )  # fmt: skip
        assert run.statuses_of(run.order)[-1] == "Completed"
        assert venue.state()["orders"] == 1


def test_a_revoked_key_halts_the_account() -> None:
    with practice() as venue:

        def act(s: Any) -> None:
            venue.control("fault", name="F37", on="place", count=1)
            s.order = s.buy(size=0.01)

        run = play(venue, store_on(venue), Script, 4, acts={0: act, 2: keep("second", lambda s: s.buy(size=0.01))})
        assert run.statuses_of(run.order)[-1] == "Rejected"
        assert run.statuses_of(run.second) == ["Rejected"]
        assert "key" in run.broker.halted


@pytest.mark.parametrize("fault", ["F6", "F7", "F8", "F9", "F10", "F11"])
def test_reports_that_are_late_lost_doubled_or_hidden_change_no_amount(fault: str) -> None:
    with practice() as venue:

        def enter(s: Any) -> None:
            venue.control("fault", name=fault)
            s.order = s.buy(size=0.05)

        run = play(venue, store_on(venue), Script, 6, acts={0: enter, 3: keep("exit", lambda s: s.close())})
        assert run.statuses_of(run.order)[-1] == "Completed"
        assert run.statuses_of(run.exit)[-1] == "Completed"
        assert run.broker.getcash() == pytest.approx(float(venue.state()["accounts"]["main"]["USDT"]["free"]), abs=1e-6)


def test_orders_that_come_to_nothing_are_counted_by_symbol_and_reason_as_in_a_backtest() -> None:
    with practice() as venue:

        def orders(s: Any) -> None:
            venue.arm("F26")
            s.buy(size=0.01)
            s.buy(size=1e-9)
            s.buy(size=2e-9)
            until = s.data.num2date(s.data.datetime[0]) + timedelta(minutes=1)
            s.buy(size=0.01, price=s.data.close[0] * 0.5, exectype=bt.Order.Limit, valid=until)
            s.broker.entries_blocked = True
            s.buy(size=0.01)

        run = play(venue, store_on(venue), Script, 6, acts={0: orders})
        assert run.broker.refused["BTC/USDT"].pop("the session is paused") == 1
        small = [n for reason, n in run.broker.refused["BTC/USDT"].items() if reason.startswith("smaller than 0.")]
        assert (small, len(run.broker.refused["BTC/USDT"])) == ([2], 3), run.broker.refused
        assert {CAME_TO_NOTHING[bt.Order.Margin], CAME_TO_NOTHING[bt.Order.Expired]} < run.broker.refused["BTC/USDT"].keys()
