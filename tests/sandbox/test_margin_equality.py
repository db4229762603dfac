"""The engine and the margin account of backtests, written apart from each other, have the same money to the cent after every bar."""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from forwardtrader.core.types import Side
from forwardtrader.sandbox.engine.events import Liquidated
from forwardtrader.sandbox.orders.order import NewOrder, OrderType
from forwardtrader.sandbox.orders.refusal import OrderRefused
from forwardtrader.sandbox.orders.settings import SandboxSettings
from forwardtrader.sandbox.transport.host import Host
from forwardtrader.sandbox.venue import ACCOUNT, SandboxVenue, open_venue
from forwardtrader.strategies.margin import liquidation
from forwardtrader.strategies.margin.account import MarginAccount, Stake

HOUR_MS, CENT = 3_600_000, 0.005
SYMBOLS = ("BTC/USDT:USDT", "ETH/USDT:USDT")
TIERS = [[0, 50, "0.01"], [20_000, 20, "0.02"], [60_000, 5, "0.08"]]
TAKER, LIQUIDATION_FEE = 0.0005, 0.01


def candles(rng: random.Random, price: float, bars: int) -> Iterator[tuple[float, float, float, float]]:
    """A wild market: a tenth of its bars move by a third."""
    for _ in range(bars):
        first, reach = price, rng.choice((0.01, 0.01, 0.02, 0.3))
        price = max(1.0, round(first * (1 + rng.uniform(-reach, reach)), 2))
        yield first, max(first, price) * 1.001, min(first, price) * (1 - rng.choice((0.0, reach / 2))), price


def write(path: Path, rows: list[tuple[float, ...]]) -> str:
    lines = [f"{n * HOUR_MS},{','.join(f'{price:.2f}' for price in row)},1000" for n, row in enumerate(rows)]
    path.write_text("\n".join(["timestamp,open,high,low,close,volume", *lines]) + "\n")
    return str(path)


class Both:
    """One market, traded on by two accounts."""

    def __init__(self, folder: Path, seed: int, bars: int) -> None:
        self.rng = random.Random(seed)
        self.rates: dict[str, list[tuple[int, float]]] = {}
        self.marks: dict[str, Iterator[tuple[float, ...]]] = {}
        market, mark, funding = [], {}, {}
        for number, symbol in enumerate(SYMBOLS):
            rows = list(candles(self.rng, (1000.0, 50.0)[number], bars))
            market.append(f"{symbol}={write(folder / f'market{number}.csv', rows)}")
            basis = 1 + self.rng.uniform(-0.01, 0.01)
            marks = [tuple(round(price * basis, 2) for price in row) for row in rows]
            mark[symbol], self.marks[symbol] = write(folder / f"mark{number}.csv", marks), iter(marks[2:])
            rates = [(n * HOUR_MS + self.rng.choice((0, 1_700_000)), round(self.rng.uniform(-0.01, 0.01), 6)) for n in range(3, bars, 4)]
            path = folder / f"funding{number}.csv"
            path.write_text("timestamp,rate\n" + "".join(f"{at},{rate}\n" for at, rate in rates))
            funding[symbol], self.rates[symbol] = str(path), rates
        tree = {
            "protocol": "bybit", "symbols": SYMBOLS, "timeframe": "1h", "history": 2, "speed": "lockstep", "market": market, "mark": mark,
            "funding": funding, "tiers": TIERS, "leverage": 10, "taker_fee_bps": 5, "liquidation_fee_bps": 100,
            "balances": {"USDT": 20_000}, "rules": {symbol: {"max_market_size": "100000"} for symbol in SYMBOLS},
        }  # fmt: skip
        self.venue: SandboxVenue = open_venue(SandboxSettings.model_validate(tree), Host())
        listings = self.venue.exchange.listings
        self.stakes = {symbol: Stake.of(listings[symbol].rules) for symbol in SYMBOLS}
        self.account = MarginAccount(20_000.0, 10.0, list(self.stakes.values()))
        self.liquidated: list[Liquidated] = []
        self.venue.exchange.subscribe(lambda event: self.liquidated.append(event) if isinstance(event, Liquidated) else None)
        self.liquidations = 0

    def settle_start(self) -> None:
        """A bar has opened: marks, then what is due."""
        start = self.venue.market_clock()
        for symbol, stake in self.stakes.items():
            stake.mark = float(self.venue.exchange.listings[symbol].mark)
            for at, rate in self.rates[symbol]:
                if start <= at < start + HOUR_MS:
                    self.account.fund(stake, stake.mark, rate)
        self._liquidate(None)

    def trade(self) -> None:
        """Random orders at the open of the bar, in both accounts where the venue takes them."""
        symbol = self.rng.choice(SYMBOLS)
        side, worth = self.rng.choice(list(Side)), self.rng.choice((500, 5000, 60_000, 100_000))
        listing = self.venue.exchange.listings[symbol]
        size = Decimal(f"{worth / float(listing.last):.3f}")
        name = f"o{len(self.venue.exchange.order_index.orders)}"
        try:
            order = self.venue.exchange.place(ACCOUNT, NewOrder(symbol=symbol, side=side, type=OrderType.MARKET, size=size, client_id=name))
        except OrderRefused:
            return
        for trade in order.trades:
            change = float(trade.size) if side is Side.BUY else -float(trade.size)
            self.account.settle(self.stakes[symbol], change, float(trade.price), float(trade.fee))

    def finish_bar(self) -> None:
        """The marks go to their worst, then the next bar opens."""
        bars = [(self.marks[symbol], stake) for symbol, stake in self.stakes.items()]
        self._liquidate([next(bar)[2 if stake.size > 0 else 1] for bar, stake in bars])

    def _liquidate(self, worst: list[float] | None) -> None:
        closed = liquidation.closings(self.account, LIQUIDATION_FEE, worst)
        for closing in closed:
            liquidation.liquidate(self.account, closing)
        liquidation.make_good(self.account)
        self.liquidations += bool(closed)


@pytest.mark.parametrize("seed", [1, 2, 5, 6])
def test_money_agrees_after_every_bar_with_funding_and_liquidations(tmp_path: Path, seed: int) -> None:
    both = Both(tmp_path, seed, bars=150)
    client = both.venue.exchange.accounts[ACCOUNT]
    both.settle_start()
    while True:
        for _ in range(both.rng.choice((0, 1, 2))):
            both.trade()
        both.finish_bar()
        if not both.venue.driver.advance():
            break
        both.settle_start()
        assert float(client.total("USDT")) == pytest.approx(both.account.wallet, abs=CENT)
        assert [float(client.position(s).size) for s in SYMBOLS] == pytest.approx([stake.size for stake in both.account.stakes], abs=1e-9)
        equity = float(both.venue.margin.equity(client, "USDT"))
        assert equity == pytest.approx(both.account.equity(), abs=CENT)
        if equity < 500:
            both.venue.exchange.move_balance(ACCOUNT, "USDT", Decimal(20_000))
            both.account.deposit(20_000.0)
    assert both.liquidations == len(both.liquidated) >= 1
    assert len(both.venue.exchange.payments) > 10
