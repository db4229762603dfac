"""Orders of one decision: one write to the disk, then all of them to the venue, in their order; none of them before."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import backtrader as bt
import pytest

from forwardtrader.core.errors import StorageFull
from forwardtrader.live.execution.journal import Journal
from forwardtrader.live.execution.submit import OrderSubmitter
from forwardtrader.live.execution.write_ahead_log import WriteAheadLog
from tests.live.market import Script, play, practice, store_on

SIZES = (0.01, 0.02, 0.03, 0.04)


def received(venue: Any) -> list[float]:
    """The sizes of the orders that the venue received, in their order."""
    return [float(e["params"]["quantity"]) for e in venue.log() if e["kind"] == "rest" and e["name"] == "POST order"]


def buys(strategy: Any) -> None:
    strategy.made = [strategy.buy(size=size) for size in SIZES]


def together(strategy: Any) -> None:
    with strategy.broker.together():
        buys(strategy)
        assert [order.getstatusname() for order in strategy.made] == ["Submitted"] * len(SIZES)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What reached the disk of the journal and the client of the venue, in its order."""
    found: list[str] = []
    put, post = WriteAheadLog.put, OrderSubmitter.post

    def noted_put(self: WriteAheadLog, record: Any) -> int:
        number = put(self, record)
        found.extend(f"disk {each['size']}" for each in (record, *record.get("held", ())))
        found.append("written")
        return number

    async def noted_post(self: OrderSubmitter, intent: Any, left: Any) -> None:
        found.append(f"post {intent.request.size}")
        await post(self, intent, left)

    monkeypatch.setattr(WriteAheadLog, "put", noted_put)
    monkeypatch.setattr(OrderSubmitter, "post", noted_post)
    return found


def test_orders_of_one_decision_are_written_at_once_and_then_posted_in_their_order(tmp_path: Path, steps: list[str]) -> None:
    with practice() as venue:
        run = play(venue, store_on(venue, tmp_path / "j.db"), Script, 4, acts={0: together})
        assert [order.getstatusname() for order in run.made] == ["Completed"] * len(SIZES)
        assert steps == [*(f"disk {size}" for size in SIZES), "written", *(f"post {size}" for size in SIZES)]
        assert received(venue) == list(SIZES)


def test_an_order_by_itself_is_written_and_posted_before_the_next(tmp_path: Path, steps: list[str]) -> None:
    with practice() as venue:
        play(venue, store_on(venue, tmp_path / "j.db"), Script, 4, acts={0: buys})
        assert steps[:6] == ["disk 0.01", "written", "post 0.01", "disk 0.02", "written", "post 0.02"]


def test_where_the_disk_refuses_none_of_them_is_posted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: WriteAheadLog, record: Any) -> int:
        raise StorageFull("no space left")

    with practice() as venue:
        store = store_on(venue, tmp_path / "j.db")
        monkeypatch.setattr(WriteAheadLog, "put", full)
        with pytest.raises(StorageFull):
            play(venue, store, Script, 4, acts={0: together})
        assert received(venue) == []


def test_what_was_sent_before_the_strategy_fails_goes_to_the_venue(tmp_path: Path) -> None:
    def fails(strategy: Any) -> None:
        with strategy.broker.together():
            strategy.buy(size=0.01)
            raise ZeroDivisionError

    with practice() as venue:
        with pytest.raises(ZeroDivisionError):
            play(venue, store_on(venue, tmp_path / "j.db"), Script, 4, acts={0: fails})
        assert received(venue) == [0.01]
    journal = Journal(tmp_path / "j.db")
    assert len(journal.intents()) == 1
    journal.close()


def test_an_order_cancelled_in_the_decision_that_made_it_is_posted_first_and_those_after_it_together(
    tmp_path: Path, steps: list[str]
) -> None:
    def changes_its_mind(strategy: Any) -> None:
        with strategy.broker.together():
            strategy.made = [strategy.buy(size=0.01, price=strategy.data.close[0] / 2, exectype=bt.Order.Limit)]
            strategy.cancel(strategy.made[0])
            strategy.made += [strategy.buy(size=size) for size in (0.02, 0.03)]

    with practice() as venue:
        run = play(venue, store_on(venue, tmp_path / "j.db"), Script, 4, acts={0: changes_its_mind})
        assert [order.getstatusname() for order in run.made] == ["Canceled", "Completed", "Completed"]
        assert [step for step in steps if step != "post 0.01"] == [
            "disk 0.01",
            "written",
            "disk 0.02",
            "disk 0.03",
            "written",
            "post 0.02",
            "post 0.03",
        ]


def rotates(strategy: Any) -> None:
    """Sells all of one coin and buys as much of the other with it, again and again."""
    sold, bought = strategy.datas if strategy.getposition(strategy.datas[0]).size else reversed(strategy.datas)
    size = strategy.getposition(sold).size
    if size:
        strategy.sell(data=sold, size=size)
    worth = size * sold.close[0] if size else strategy.broker.get_cash()
    strategy.made = [*getattr(strategy, "made", []), strategy.buy(data=bought, size=worth * 0.97 / bought.close[0])]


def rotates_together(strategy: Any) -> None:
    with strategy.broker.together():
        rotates(strategy)


@pytest.mark.parametrize("act", [rotates, rotates_together])
def test_what_is_bought_with_the_proceeds_of_a_sale_reaches_the_venue_after_it(
    tmp_path: Path, act: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    post = OrderSubmitter.post

    async def delayed(self: OrderSubmitter, intent: Any, left: Any) -> None:
        if intent.request.side == "sell":
            left()  # it is out, and on its way
            await asyncio.sleep(0.05)
        await post(self, intent, left)

    monkeypatch.setattr(OrderSubmitter, "post", delayed)
    with practice(symbols=("BTC/USDT", "ETH/USDT")) as venue:
        store = store_on(venue, tmp_path / "j.db")
        run = play(venue, store, Script, 8, symbols=("BTC/USDT", "ETH/USDT"), acts=dict.fromkeys(range(7), act))
    assert len(run.made) == 7
    assert {order.getstatusname() for order in run.made} == {"Completed"}, [order.info.get("refusal") for order in run.made]
