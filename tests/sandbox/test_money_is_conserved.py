"""Whatever is requested of the engine in whatever order: money is conserved, locks match, fills can be traced, runs repeat."""

from __future__ import annotations

import random
from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forwardtrader.core.types import Side
from forwardtrader.sandbox.engine.events import OrderChanged
from forwardtrader.sandbox.faults.catalogue import Switchboard
from forwardtrader.sandbox.faults.request_faults import ExecutionFaults
from forwardtrader.sandbox.orders.order import WITH_LIMIT, WITH_TRIGGER, NewOrder, OrderType, TimeInForce
from forwardtrader.sandbox.orders.refusal import OrderRefused
from forwardtrader.sandbox.orders.settings import SandboxSettings
from forwardtrader.sandbox.transport.host import Host
from forwardtrader.sandbox.venue import ACCOUNT, SandboxVenue, open_venue

SYMBOLS = ("BTC/USDT", "ETH/USDT")
START = {"USDT": Decimal(50_000), "BTC": Decimal(1), "ETH": Decimal(10), "BNB": Decimal("0.05")}
MODES = [("bar", "received"), ("bar", "quote"), ("book", "received"), ("book", "BNB")]
# One step: what is done, to which symbol, side and type, how far from the price (bps), how much (part of the account), and a choice.
STEP = st.tuples(
    st.sampled_from(["place"] * 5 + ["list", "cancel", "advance", "advance", "cap", "deposit", "print"]),
    st.sampled_from(SYMBOLS), st.sampled_from(list(Side)), st.sampled_from(list(OrderType)),
    st.integers(-300, 300), st.integers(1, 120), st.integers(0, 10_000),
)  # fmt: skip


class Player:
    """Carries out steps on a venue of its own and keeps the books independently."""

    def __init__(self, fills: str, fee_asset: str, seed: int = 5) -> None:
        tree = {
            "symbols": (*SYMBOLS, "BNB/USDT"), "speed": "lockstep", "history": 3, "fills": fills, "fee_asset": fee_asset, "seed": seed,
            "balances": START, "maker_fee_bps": 7, "taker_fee_bps": 11, "book": {"level_value": 9000},
            "max_orders": 60, "max_trigger_orders": 20,
        }  # fmt: skip
        self.venue: SandboxVenue = open_venue(SandboxSettings.model_validate(tree), Host())
        self.moved: dict[str, Decimal] = defaultdict(Decimal)
        self.log: list[tuple[Any, ...]] = []
        board = Switchboard(seed, lambda: 0, lambda name, facts: None)
        board.arm("F10", {"count": 0, "probability": 0.2, "parts": 3})
        board.arm("F39", {"count": 0, "probability": 0.05})
        self.venue.exchange.divide = ExecutionFaults(board).parts
        self.venue.exchange.subscribe(self._note)

    def step(self, what: str, symbol: str, side: Side, kind: OrderType, bps: int, part: int, choice: int) -> None:
        exchange = self.venue.exchange
        try:
            if what == "place":
                exchange.place(ACCOUNT, self._wish(symbol, side, kind, bps, part, choice))
            elif what == "list":
                legs = [self._wish(symbol, side, OrderType.LIMIT, bps, part, 0), self._wish(symbol, side, OrderType.STOP, -bps, part, 0)]
                working = self._wish(symbol, Side.BUY, OrderType.LIMIT, bps, part, 0) if choice % 3 == 0 else None
                exchange.place_list(ACCOUNT, legs, working=working)
            elif what == "cancel":
                orders = [o for s in SYMBOLS for o in exchange.order_index.open_orders(s)]
                if orders:
                    exchange.cancel(orders[choice % len(orders)])
            elif what == "advance":
                self.venue.driver.advance()
            elif what == "cap":
                exchange.fill_cap = Decimal(choice) / 10_000 if choice % 2 else None
            elif what == "print":
                price = (exchange.listings[symbol].last * (10_000 + bps) / 10_000).quantize(Decimal("0.01"))
                self.venue.driver.set_price(symbol, price, Decimal(choice) / 1000)
            else:
                amount = Decimal(choice - 3000) / 100
                exchange.move_balance(ACCOUNT, "USDT", amount)
                self.moved["USDT"] += amount
        except OrderRefused as refusal:
            self.log.append(("refused", refusal.reason))

    def _wish(self, symbol: str, side: Side, kind: OrderType, bps: int, part: int, choice: int) -> NewOrder:
        last = self.venue.exchange.listings[symbol].last
        price = (last * (10_000 + bps) / 10_000).quantize(Decimal("0.01"))
        second = (price * (10_000 + choice % 50 - 25) / 10_000).quantize(Decimal("0.01"))
        base = symbol.split("/")[0]
        account = self.venue.exchange.accounts[ACCOUNT]
        free = account.available("USDT") / last if side is Side.BUY else account.available(base)
        size = (free * part / 100).quantize(Decimal("0.00001"))
        quote = kind is OrderType.MARKET and choice % 7 == 0
        return NewOrder(
            symbol=symbol, side=side, type=kind, size=Decimal(0) if quote else size,
            quote_size=(size * last).quantize(Decimal("0.01")) if quote else None,
            limit_price=price if kind in WITH_LIMIT else None, stop_price=second if kind in WITH_TRIGGER else None,
            tif=list(TimeInForce)[choice % 3] if kind is OrderType.LIMIT else TimeInForce.GTC, client_id=f"c{len(self.log)}-{kind}",
        )  # fmt: skip

    def _note(self, fact: Any) -> None:
        if isinstance(fact, OrderChanged):
            self.log.append((fact.order.id, fact.execution, fact.order.status, fact.order.filled, fact.trade, fact.at))

    def check(self) -> None:
        exchange = self.venue.exchange
        account = exchange.accounts[ACCOUNT]
        held: dict[str, Decimal] = defaultdict(Decimal)
        for order in exchange.order_index.all_open(ACCOUNT):
            held[order.lock_asset] += order.locked
        for asset in account.assets():
            assert account.available(asset) >= 0
            assert account.total(asset) - account.available(asset) == held[asset], asset
        self._check_value(account)

    def _check_value(self, account: Any) -> None:
        flows: dict[str, Decimal] = defaultdict(Decimal, START)
        for asset, amount in self.moved.items():
            flows[asset] += amount
        for trade in self.venue.exchange.order_index.trades:
            base, quote = trade.symbol.split("/")
            sign = 1 if trade.side is Side.BUY else -1
            flows[base] += sign * trade.size
            flows[quote] -= sign * trade.quote
            flows[trade.fee_asset] -= trade.fee
        for asset in account.assets():
            assert account.total(asset) == flows[asset], asset

    def check_fills(self) -> None:
        order_index = self.venue.exchange.order_index
        assert [t.id for t in order_index.trades] == list(range(1, len(order_index.trades) + 1))
        for order in order_index.orders.values():
            assert sum((t.size for t in order.trades), Decimal(0)) == order.filled <= order.size
            for trade in order.trades:
                assert trade.order_id == order.id
                assert trade.at >= order.placed_at
                limit = order.request.limit_price
                worse = limit is not None and (trade.price > limit if order.request.side is Side.BUY else trade.price < limit)
                assert not worse


@pytest.mark.parametrize(("fills", "fee_asset"), MODES, ids=str)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, max_size=30))
def test_money_and_locks_are_exact_after_every_step(fills: str, fee_asset: str, steps: list[Any]) -> None:
    player = Player(fills, fee_asset)
    for step in steps:
        player.step(*step)
        player.check()
    player.check_fills()


def random_steps(seed: int, count: int) -> list[Any]:
    rng = random.Random(seed)
    kinds = ["place"] * 5 + ["list", "cancel", "cancel", "advance", "advance", "cap", "deposit", "print"]
    return [
        (
            rng.choice(kinds), rng.choice(SYMBOLS), rng.choice(list(Side)), rng.choice(list(OrderType)), rng.randint(-300, 300),
            rng.randint(1, 120), rng.randint(0, 10_000),
        )
        for _ in range(count)
    ]  # fmt: skip


@pytest.mark.parametrize(("fills", "fee_asset"), MODES, ids=str)
def test_the_same_seed_gives_the_same_log(fills: str, fee_asset: str) -> None:
    def log() -> list[Any]:
        player = Player(fills, fee_asset)
        for step in random_steps(3, 300):
            player.step(*step)
        return player.log

    first = log()
    assert first == log()
    assert sum(len(entry) > 2 and entry[4] is not None for entry in first) > 20


@pytest.mark.slow
@pytest.mark.parametrize(("fills", "fee_asset"), MODES, ids=str)
def test_ten_thousand_random_steps_keep_every_promise(fills: str, fee_asset: str) -> None:
    player = Player(fills, fee_asset, seed=11)
    for number, step in enumerate(random_steps(17, 10_000)):
        player.step(*step)
        if number % 25 == 0:
            player.check()
    player.check()
    player.check_fills()


PERP = "BTC/USDT:USDT"
PERP_STEP = st.tuples(
    st.sampled_from(["place"] * 5 + ["cancel", "advance", "advance", "jump"]), st.sampled_from(list(Side)),
    st.sampled_from([OrderType.MARKET, OrderType.LIMIT, OrderType.STOP]), st.integers(-200, 200), st.integers(1, 400), st.booleans(),
)  # fmt: skip


@pytest.mark.parametrize("fills", ["bar", "book"])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(steps=st.lists(PERP_STEP, max_size=30))
def test_a_perpetuals_money_is_conserved_but_for_fees_and_funding(fills: str, steps: list[Any]) -> None:
    tree = {
        "protocol": "bybit", "symbols": [PERP], "speed": "lockstep", "fills": fills, "history": 3, "timeframe": "1h", "funding_bps": 20,
        "max_trigger_orders": 50,
    }  # fmt: skip
    venue = open_venue(SandboxSettings.model_validate(tree), Host())
    exchange, account = venue.exchange, venue.exchange.accounts[ACCOUNT]
    for number, (what, side, kind, bps, size, reduce_only) in enumerate(steps):
        try:
            if what == "place":
                price = (exchange.listings[PERP].last * (10_000 + bps) / 10_000).quantize(Decimal("0.01"))
                limit, stop = (price if kind is OrderType.LIMIT else None), (price if kind is OrderType.STOP else None)
                request = NewOrder(
                    symbol=PERP, side=side, type=kind, size=Decimal(size) / 100, limit_price=limit, stop_price=stop,
                    client_id=f"p{number}", reduce_only=reduce_only,
                )  # fmt: skip
                exchange.place(ACCOUNT, request)
            elif what == "cancel" and (orders := exchange.order_index.open_orders(PERP)):
                exchange.cancel(orders[size % len(orders)])
            elif what == "jump":
                venue.driver.shift(PERP, 1 + Decimal(bps) / 1000)
            else:
                venue.driver.advance()
        except OrderRefused:
            continue
        check_perpetual(venue, account)


def check_perpetual(venue: SandboxVenue, account: Any) -> None:
    """Cash and realised gains add up, whatever was insured; the position is the sum of its trades, and worth more than nothing."""
    position = account.position(PERP)
    trades = venue.exchange.order_index.trades
    assert position.size == sum((t.size if t.side is Side.BUY else -t.size for t in trades), Decimal(0))
    held = sum((o.locked for o in venue.exchange.order_index.all_open(ACCOUNT)), Decimal(0))
    assert account.locked.get("USDT", Decimal(0)) == held
    assert position.size or account.total("USDT") >= 0
    expected = Decimal(10_000) + position.realised + position.funding + account.insured.get("USDT", Decimal(0))
    assert account.total("USDT") == expected
    assert position.funding == sum((paid.received for paid in venue.exchange.payments), Decimal(0))
