"""Our margin account equals the practice exchange's own engine to the cent: fills, fees, funding and liquidations, bar by bar."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forwardtrader.core.types import Side
from forwardtrader.sandbox.orders.refusal import OrderRefused
from forwardtrader.sandbox.venue import ACCOUNT
from forwardtrader.strategies.margin.account import MarginAccount, Stake
from forwardtrader.strategies.margin.liquidation import closings, liquidate, make_good
from forwardtrader.strategies.margin.series import MarkBar
from tests.real_data import real_candles
from tests.sandbox.engine.perpetuals import HOUR_MS, PERPETUAL, Prices, perpetual_venue, take

FEE, LIQUIDATION_FEE, CASH = 0.0005, 0.005, 10_000.0


@dataclass(frozen=True)
class Market:
    """Bars of the last price and of the mark, and the rates settled in each."""

    bars: Sequence[Prices]
    marks: Sequence[Prices]
    rates: Sequence[float | None]


class OurAccount:
    """The margin account, led through the same bars."""

    def __init__(self, rules: object, leverage: float) -> None:
        self.stake = Stake.of(rules)  # type: ignore[arg-type]
        self.account = MarginAccount(CASH, leverage, [self.stake])

    def opens(self, mark: MarkBar, rate: float | None) -> None:
        self.stake.mark = mark.open
        if rate is not None:
            self.account.fund(self.stake, mark.open, rate)
        self._close(None)

    def trades(self, size: float, price: float) -> None:
        self.account.settle(self.stake, size, price, abs(size) * price * FEE)

    def closes(self, mark: MarkBar) -> None:
        self._close([mark.worst(self.stake.size)] if self.stake.size else None)
        self.stake.mark = mark.close

    def _close(self, worst: list[float] | None) -> None:
        for closing in closings(self.account, LIQUIDATION_FEE, worst):
            liquidate(self.account, closing)
        make_good(self.account)


def equal_to_the_cent(folder: Path, market: Market, leverage: float, seed: int) -> int:
    """Lead both through the market with the same orders; how many liquidations there were."""
    lines = [f"{(n + 1) * HOUR_MS},{rate:.8f}" for n, rate in enumerate(market.rates) if rate is not None]
    venue = perpetual_venue(
        folder, market.bars, files={"mark": list(market.marks), "funding": "\n".join(["timestamp,rate", *lines]) + "\n"},
        balances={"USDT": str(CASH)}, leverage=str(leverage), taker_fee_bps=FEE * 1e4, maker_fee_bps=FEE * 1e4,
        liquidation_fee_bps=LIQUIDATION_FEE * 1e4, tiers=[[0, 50, "0.01"], [20_000, 20, "0.025"], [100_000, 10, "0.05"]],
    )  # fmt: skip
    theirs, ours = venue.exchange.accounts[ACCOUNT], OurAccount(venue.exchange.listings[PERPETUAL].rules, leverage)
    draw, ruined = np.random.default_rng(seed), 0
    for n, (bar, prices) in enumerate(zip(market.bars, market.marks, strict=True)):
        mark = MarkBar(*prices)
        ours.opens(mark, market.rates[n] if n else None)
        size = _order(draw, ours, bar[0])
        held = theirs.position(PERPETUAL)
        before = held.size
        if size:
            with suppress(OrderRefused):  # what it takes is compared, not what it lets in
                take(venue, Side.BUY if size > 0 else Side.SELL, f"{abs(size):.3f}")
        if held.size != before:
            ours.trades(float(held.size - before), bar[0])
        ours.closes(mark)
        last = not venue.driver.advance()
        if n + 1 < len(market.bars) and not last:  # the venue has opened the next bar already, and so must we
            ours_next = OurAccount(venue.exchange.listings[PERPETUAL].rules, leverage)
            ours_next.account.wallet = ours.account.wallet
            ours_next.stake.size, ours_next.stake.entry = ours.stake.size, ours.stake.entry
            ours_next.opens(MarkBar(*market.marks[n + 1]), market.rates[n + 1])
            assert float(held.size) == pytest.approx(ours_next.stake.size, abs=1e-9), f"bar {n}"
            assert float(theirs.total("USDT")) == pytest.approx(ours_next.account.wallet, abs=0.005), f"bar {n}"
        if last:
            break
        if ours.account.wallet < 50.0:  # both go on with fresh money
            theirs.receive("USDT", Decimal(5000))
            ours.account.deposit(5000.0)
            ruined += 1
    assert ours.account.wallet == pytest.approx(ours.account.tally.balance, abs=1e-4)
    return ours.account.tally.liquidations


def _order(draw: np.random.Generator, ours: OurAccount, price: float) -> float:
    """Now and then a position near what the margin allows, to either side, or all closed again."""
    if draw.random() > 0.2:
        return 0.0
    if ours.stake.size and draw.random() < 0.4:
        return -ours.stake.size
    room = ours.account.free() * ours.account.leverage / (price * (1.0 + ours.account.leverage * 2 * FEE))
    size = float(np.floor(room * draw.uniform(0.1, 0.9) * 1000) / 1000)
    opens = -1.0 if draw.random() < 0.5 else 1.0
    worth = abs(ours.stake.size + opens * size) * price
    return opens * size if size * price > 10.0 and worth < ours.stake.tiers.largest(ours.account.leverage) else 0.0


def generated(seed: int, rows: int = 60) -> Market:
    draw = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(draw.standard_t(3, rows) * 0.02))
    opened = np.concatenate([[100.0], close[:-1]]) * np.exp(draw.normal(0, 0.002, rows))
    wick = np.abs(draw.normal(0, 0.02, (2, rows)))
    high, low = np.maximum(opened, close) * (1 + wick[0]), np.minimum(opened, close) / (1 + wick[1])
    bars = np.round(np.stack([opened, high, low, close], axis=1), 2)
    marks = np.round(bars * (1 + draw.normal(0, 0.001, rows))[:, None], 2)
    rates = [float(np.round(draw.normal(1e-4, 1e-3), 8)) if draw.random() < 0.3 else None for _ in range(rows)]
    return Market([tuple(row) for row in bars.tolist()], [tuple(row) for row in marks.tolist()], rates)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000), leverage=st.sampled_from([1.0, 3.0, 10.0]))
def test_over_generated_markets(seed: int, leverage: float) -> None:
    with TemporaryDirectory() as folder:
        equal_to_the_cent(Path(folder), generated(seed), leverage, seed)


def test_over_a_market_with_forced_liquidations(tmp_path: Path) -> None:
    assert equal_to_the_cent(tmp_path, generated(3, 300), 10.0, 3) > 3


@pytest.mark.slow
def test_over_five_thousand_real_bars(tmp_path: Path) -> None:
    files = (real_candles(f"binance_perp_BTCUSDT_{name}.csv.gz") for name in ("1h", "mark_1h", "funding_8h"))
    candles, marks, funding = (pd.read_csv(path, index_col=0, parse_dates=True) for path in files)
    chosen = candles.loc["2020-02-20":].index.intersection(marks.index)[:5000]
    prices = ["open", "high", "low", "close"]
    rates = funding["funding_rate"].reindex(chosen)
    market = Market(
        [tuple(row) for row in candles.loc[chosen, prices].to_numpy().round(2).tolist()],
        [tuple(row) for row in marks.loc[chosen, prices].to_numpy().round(2).tolist()],
        [None if np.isnan(rate) else float(rate) for rate in rates],
    )
    assert equal_to_the_cent(tmp_path, market, 10.0, 1) > 3
