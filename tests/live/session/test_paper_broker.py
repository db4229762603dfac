"""The paper broker: blocked entries are cancelled, settled orders are dropped."""

from __future__ import annotations

from pathlib import Path

import backtrader as bt

from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.session.paper_broker import Confirmations, PaperBroker
from forwardtrader.live.session.strategy_guard import KEPT, BarHook
from forwardtrader.strategies.backtrader.assembly import build_cerebro
from forwardtrader.strategies.backtrader.recorders.order_recorder import OrderRecorder
from tests.strategies.market import PERP, candles, feed, knobs


def test_a_long_session_lets_go_of_orders_that_are_done() -> None:
    class Restless(bt.Strategy):
        most = told = 0

        def next(self) -> None:
            self.close() if self.position else self.buy(size=0.1)
            self.most = max(self.most, len(self._orders), len(self.broker.orders), len(self.broker._pchildren))
            self.told = max(self.told, len(self.analyzers.orders.collected))

    broker = PaperBroker(cash=100_000.0)
    cerebro = build_cerebro(
        [feed(candles(2_400))], knobs(), strategy=Restless, broker=broker,
        analyzers=[(BarHook, {"done": lambda *_: None}), (OrderRecorder, {"_name": "orders"})],
    )  # fmt: skip
    run = cerebro.run()[0]
    orders = run.analyzers.orders.frame()
    assert len(orders) > 2_000
    assert not orders["timestamp"].duplicated().any(), "an order was collected twice"
    assert len(run.analyzers.fills.frame()) > 2_000
    assert run.most < 2 * KEPT
    assert run.told < len(orders) / 1.5


def test_a_blocked_entry_is_cancelled_with_its_reason_and_a_sale_never_is() -> None:
    class InAndOut(bt.Strategy):
        def next(self) -> None:
            self.close() if self.position else self.buy(size=0.1)

    broker, asked = PaperBroker(cash=100_000.0), []

    def objection(symbol: str, at: int) -> str:
        asked.append((symbol, at))
        return "the venues disagree" if len(asked) == 2 else ""

    broker.entry_objection = objection
    frame = candles(8)
    cerebro = build_cerebro([feed(frame)], knobs(), strategy=InAndOut, broker=broker, analyzers=[(OrderRecorder, {"_name": "orders"})])
    run = cerebro.run()[0]
    orders = run.analyzers.orders.frame()
    assert [symbol for symbol, _ in asked] == ["BTC/USDT"] * len(asked)
    assert asked[0][1] == int(frame.index[0].timestamp() * 1000)
    refused = orders[orders["refusal"] != ""]
    assert (list(refused["side"]), list(refused["refusal"])) == (["buy"], ["the venues disagree"])
    assert refused["timestamp"].iloc[0].timestamp() * 1000 == asked[1][1]
    assert {"buy", "sell"} == set(run.analyzers.fills.frame()["side"])


def test_a_blocked_short_is_cancelled_too_and_covering_one_never_is() -> None:
    class ShortAndCover(bt.Strategy):
        def next(self) -> None:
            self.close() if self.position else self.sell(size=0.1)

    broker = PaperBroker(cash=100_000.0)
    cerebro = build_cerebro(
        [feed(candles(8), rules=PERP)], knobs(allow_short=True), strategy=ShortAndCover, broker=broker,
        analyzers=[(OrderRecorder, {"_name": "orders"})],
    )  # fmt: skip
    asked: list[int] = []

    def objection(_symbol: str, at: int) -> str:
        asked.append(at)
        return "the venues disagree" if len(asked) == 2 else ""

    broker.entry_objection = objection
    run = cerebro.run()[0]
    refused = run.analyzers.orders.frame().query("refusal != ''")
    assert (list(refused["side"]), list(refused["refusal"])) == (["sell"], ["the venues disagree"])
    assert {"buy", "sell"} == set(run.analyzers.fills.frame()["side"])


def test_confirming_venues_are_asked_at_new_bars_and_read_from_the_record_at_old_ones(tmp_path: Path) -> None:
    store, answers = SessionStore(tmp_path / "session.db"), {"BTC/USDT": "they disagree", "ETH/USDT": ""}
    store.block_entry(10, "BTC/USDT", "they disagreed")
    store.block_entry(30, "ETH/USDT", "an earlier process that died at this bar got another answer")
    confirmations = Confirmations(store, lambda symbol, _at: answers[symbol], 20)
    assert (confirmations.objection("BTC/USDT", 10), confirmations.objection("ETH/USDT", 10)) == ("they disagreed", "")
    assert (confirmations.objection("BTC/USDT", 30), confirmations.objection("ETH/USDT", 30)) == ("they disagree", "")
    assert store.blocked_entries(after=20) == {(30, "BTC/USDT"): "they disagree", (30, "ETH/USDT"): ""}
    store.close()


def test_a_blocked_bracket_is_cancelled_whole() -> None:
    class Bracket(bt.Strategy):
        def next(self) -> None:
            if len(self) == 3:
                close = self.data.close[0]
                self.orders = self.buy_bracket(size=0.1, exectype=bt.Order.Market, stopprice=close * 0.5, limitprice=close * 2)

    broker = PaperBroker(cash=100_000.0)
    broker.entry_objection = lambda _symbol, _at: "the venues disagree"
    run = build_cerebro([feed(candles(8))], knobs(), strategy=Bracket, broker=broker).run()[0]
    assert [order.getstatusname() for order in run.orders] == ["Canceled", "Rejected", "Rejected"]
    assert run.orders[0].info.refusal == "the venues disagree"
    assert run.position.size == 0
