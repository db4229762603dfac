"""Requests that go wrong on their way: each intent is one order at most, and everyone agrees in the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import backtrader as bt
import pytest

from forwardtrader.live.execution.journal import Journal
from tests.live.books import require_agreement
from tests.live.market import Script, play, practice, store_on


@contextmanager
def played(tmp_path: Path, acts: dict[int, Any], bars: int = 5, *, setting: dict[str, Any] | None = None, **more: Any) -> Iterator[Any]:
    """A run over `bars` bars whose acts may use `s.venue`; venue, journal and Backtrader must agree when it is over."""
    journal = Journal(tmp_path / "journal.db")
    with practice(**(setting or {})) as venue:
        run = play(venue, store_on(venue, journal), type("Faulty", (Script,), {"venue": venue}), bars, acts=acts, **more)
        run.journal = journal
        require_agreement(venue, journal, run)
        yield run


def posts(venue: Any) -> list[dict[str, Any]]:
    return [e for e in venue.log() if e["kind"] == "rest" and e["name"] == "POST order"]


def buy(fault: str = "", size: float = 0.01, **options: Any) -> Any:
    """An act: arm a fault, then buy; the order is kept as `order`, then `second`, ..."""

    def act(s: Any) -> None:
        if fault:
            s.venue.arm(fault, **options)
        s.made = [*getattr(s, "made", []), s.buy(size=size)]

    return act


def hasty(act: Any, timeout_ms: int = 600) -> Any:
    """The same act with a client that waits for answers no longer than this."""

    def hurried(s: Any) -> None:
        s.broker.store.account.client.timeout = timeout_ms
        act(s)

    return hurried


def ends(run: Any) -> list[str]:
    return [run.statuses_of(order)[-1] for order in run.made]


def test_an_order_whose_answer_never_comes_is_looked_up_and_not_sent_again(tmp_path: Path) -> None:
    with played(tmp_path, {0: hasty(buy("F3", seconds=20.0)), 2: buy()}) as run:
        assert ends(run) == ["Completed", "Completed"]
        assert len(posts(run.venue)) == 2


def test_a_query_that_hangs_as_well_changes_nothing(tmp_path: Path) -> None:
    def act(s: Any) -> None:
        s.venue.arm("F3", seconds=20.0, on="query", count=2)
        buy("F1")(s)

    with played(tmp_path, {0: hasty(act)}) as run:
        assert ends(run) == ["Completed"]
        assert len(posts(run.venue)) == 1


def test_a_venue_that_asks_for_a_pause_gets_it_and_the_order_counts_as_not_sent(tmp_path: Path) -> None:
    with played(tmp_path, {0: buy("F18", on="place", seconds=2), 1: buy()}) as run:
        assert ends(run) == ["Rejected", "Completed"]
        first, second = posts(run.venue)
        assert (first["status"], second["status"]) == (429, 200)
        assert second["at_ns"] - first["at_ns"] >= 2e9


def test_nothing_is_asked_while_the_venue_has_banned_us(tmp_path: Path) -> None:
    with played(tmp_path, {0: buy("F19", on="any", seconds=2.0), 1: buy()}, bars=4) as run:
        assert ends(run) == ["Rejected", "Completed"]
        teapots = [e for e in run.venue.log() if e["kind"] == "rest" and e.get("status") == 418]
        assert len(teapots) <= 2, "the account and the candles each learn of the ban once; nobody asks again before it is over"


def test_a_cancel_that_comes_too_late_ends_in_the_execution_it_met(tmp_path: Path) -> None:
    def rest(s: Any) -> None:
        s.made = [s.buy(size=0.01, price=s.data.close[0] * 0.5, exectype=bt.Order.Limit)]

    def regret(s: Any) -> None:
        s.venue.arm("F28")
        s.cancel(s.made[0])

    with played(tmp_path, {0: rest, 2: regret}) as run:
        assert run.statuses_of(run.made[0]) == ["Submitted", "Accepted", "Completed"]


@pytest.mark.parametrize("fault", ["F1", "F2", "F4", "F5", "F18"])
def test_a_cancel_that_is_answered_wrongly_is_repeated_until_it_is_clear(tmp_path: Path, fault: str) -> None:
    def rest(s: Any) -> None:
        s.made = [s.buy(size=0.01, price=s.data.close[0] * 0.5, exectype=bt.Order.Limit)]

    def regret(s: Any) -> None:
        s.venue.arm(fault, on="cancel")
        s.cancel(s.made[0])

    with played(tmp_path, {0: rest, 2: regret}) as run:
        assert ends(run) == ["Canceled"]
        assert run.venue.state()["open_orders"] == []


def test_a_halted_market_refuses_orders_and_they_are_taken_when_it_trades_again(tmp_path: Path) -> None:
    with played(tmp_path, {0: buy("F27", bars=2), 3: buy()}, bars=6) as run:
        assert ends(run) == ["Rejected", "Completed"]
        assert "closed" in run.made[0].info.refusal.lower()


def test_rules_that_change_while_we_trade_are_read_again_after_the_first_refusal(tmp_path: Path) -> None:
    with played(tmp_path, {0: buy("F25", size=0.01234, factor=100), 2: buy(size=0.01234)}) as run:
        assert ends(run) == ["Rejected", "Completed"]
        assert [run.journal.intents()[n][0].request.size for n in (0, 1)] == [Decimal("0.01234"), Decimal("0.012")]


def test_a_stop_whose_price_is_jumped_over_fills_at_the_open_behind_it(tmp_path: Path) -> None:
    def protect(s: Any) -> None:
        s.stop_price = round(s.data.close[0] * 0.98, 2)
        s.made.append(s.sell(size=s.position.size, price=s.stop_price, exectype=bt.Order.Stop))

    def gap(s: Any) -> None:
        s.venue.arm("F38", bps=-500.0)

    with played(tmp_path, {0: buy(), 1: protect, 2: gap}, bars=7, setting={"fee_asset": "quote"}) as run:
        assert ends(run) == ["Completed", "Completed"]
        sold = run.clones[-1].executed.price
        assert sold < run.stop_price * 0.99
        assert sold in [bar[0] for bar in run.bars]
        assert run.broker.holdings.held[run.data].size == 0


def test_a_rest_too_small_to_trade_is_kept_and_disturbs_nobody(tmp_path: Path) -> None:
    def leave(s: Any) -> None:
        s.venue.arm("F39")
        s.made.append(s.close())

    def nothing_to_sell(s: Any) -> None:
        s.kept = s.broker.holdings.held[s.data].size
        assert s.close() is None and not s.position

    def again(s: Any) -> None:
        s.made.append(s.close())

    acts = {0: buy(size=0.01), 2: leave, 4: nothing_to_sell, 5: buy(size=0.01), 7: again}
    with played(tmp_path, acts, bars=10, setting={"fee_asset": "quote"}) as run:
        assert ends(run)[0] == "Completed"
        dust = run.clones[-1]
        assert ends(run)[2:] == ["Completed", "Completed"], [c.info.get("refusal") for c in run.clones]
        assert run.kept > 0
        assert dust.executed.size < -0.01
        assert run.broker.holdings.held[run.data].size == 0
