"""Putting a run together: the recorders, anybody's strategy and analyzers, plots, and mistakes answered in one line."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import backtrader as bt
import pytest

from forwardtrader.core.config import load_settings
from forwardtrader.core.errors import InvalidSetting
from forwardtrader.strategies.backtrader.assembly import build_cerebro, record_of
from forwardtrader.strategies.backtrader.indicator import LSTMForecast
from tests.strategies.market import BTC, ETH, candles, feed, knobs, run, source

EAGER = knobs(margin=0.2, holding="0d", min_trade=0.1)


class Momentum(bt.Strategy):
    """A stranger's strategy: names no size, and reads our forecast without knowing where it comes from."""

    params = (("fast", 10),)

    def __init__(self) -> None:
        self.forecast = LSTMForecast(self.data)
        self.cross = bt.indicators.CrossOver(bt.indicators.EMA(period=self.p.fast), bt.indicators.EMA(period=40))

    def next(self) -> None:
        if self.cross[0] > 0 and self.forecast.p_up[0] > 0.4:
            self.buy()
        elif self.cross[0] < 0 and self.position:
            self.sell()


def test_fills_and_equity_tell_one_story() -> None:
    record = record_of(run(candles(800), EAGER))
    fills, equity = record.fills, record.equity
    assert list(fills.columns[:9]) == ["timestamp", "symbol", "side", "size", "price", "fee", "fee_currency", "order_ref", "reason"]
    assert str(fills["timestamp"].dt.tz) == "UTC"
    sign = fills["side"].map({"buy": 1.0, "sell": -1.0})
    spent = (sign * fills["size"] * fills["price"] + fills["fee"]).sum()
    held = (sign * fills["size"]).sum() * equity["close:BTC/USDT"].iloc[-1]
    assert equity["equity"].iloc[-1] == pytest.approx(10_000 - spent + held)
    assert (fills["fee"] / (fills["size"] * fills["price"])).round(12).eq(0.001).all()
    market = fills[fills["reason"] != "protective stop"]
    opens = candles(800)["open"].reindex(market["timestamp"]).to_numpy()
    slipped = (market["price"].to_numpy() - opens) * sign[market.index].to_numpy()
    assert slipped == pytest.approx(2e-4 * opens)
    assert market["slippage"].to_numpy() == pytest.approx(slipped * market["size"].to_numpy())


def test_orders_that_the_venue_would_not_take_are_counted_with_their_reason() -> None:
    whole = replace(BTC, step=Decimal(1), min_size=Decimal(1))
    record = record_of(run(candles(800), EAGER, rules=whole))
    [(why, count)] = record.refused["BTC/USDT"].items()
    assert record.fills.empty
    assert count > 10
    assert "1 BTC is the smallest order" in why
    assert record_of(run(candles(800), EAGER)).refused == {}


def test_equity_has_one_row_a_bar() -> None:
    bars = candles(300)
    equity = record_of(run(bars)).equity
    assert (equity.index == bars.index).all()
    assert equity["close:BTC/USDT"].to_list() == bars["close"].to_list()


def test_anybodys_strategy_trades_with_a_fitting_size_and_our_forecast() -> None:
    bars = candles(1600)
    strategy = run(bars, strategy=Momentum, strategy_params={"fast": 8})
    fills = record_of(strategy).fills
    assert len(fills) > 10
    assert fills["side"].iloc[:4].to_list() == ["buy", "sell", "buy", "sell"]
    assert fills["size"].iloc[0] * fills["price"].iloc[0] == pytest.approx(9_890, rel=0.02)
    assert record_of(strategy).equity["cash"].min() >= 0


def test_standard_analyzers_work_beside_the_recorders() -> None:
    strategy = run(
        candles(800),
        EAGER,
        analyzers=[
            (bt.analyzers.TradeAnalyzer, {"_name": "trades"}),
            (bt.analyzers.DrawDown, {"_name": "drawdown"}),
            (bt.analyzers.TimeReturn, {"timeframe": bt.TimeFrame.Days, "_name": "daily"}),
            (bt.analyzers.SQN, {}),
            (bt.analyzers.PyFolio, {}),
        ],
    )
    trades = strategy.analyzers.trades.get_analysis()
    fills = record_of(strategy).fills
    assert trades.total.closed > 3
    assert trades.total.total >= (fills["side"] == "buy").sum() / 3
    equity = record_of(strategy).equity["equity"]
    assert strategy.analyzers.drawdown.get_analysis().max.drawdown == pytest.approx(100 * (1 - equity / equity.cummax()).max())


def test_a_closed_position_is_a_closed_trade() -> None:
    class Counting(bt.Analyzer):
        def start(self) -> None:
            self.open = 0

        def notify_trade(self, trade: bt.Trade) -> None:
            self.open += trade.justopened - trade.isclosed

    strategy = run(candles(800), EAGER, analyzers=[(Counting, {"_name": "counting"})])
    assert strategy.analyzers.counting.open == bool(strategy.position.size)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::PendingDeprecationWarning")
def test_the_run_can_be_plotted() -> None:
    import backtrader.plot  # noqa: F401  # chooses a window of its own; what is chosen after it counts
    import matplotlib

    matplotlib.use("Agg")
    bars = candles(200)
    cerebro = build_cerebro([feed(bars, source(bars))], EAGER, stdstats=True)
    cerebro.run()
    figures = cerebro.plot(iplot=False)
    assert len(figures[0][0].axes) >= 3


def test_nothing_to_trade_and_a_symbol_twice_are_refused() -> None:
    bars = candles(60)
    with pytest.raises(InvalidSetting, match="at least one symbol"):
        build_cerebro([], knobs())
    with pytest.raises(InvalidSetting, match="BTC/USDT is named twice"):
        build_cerebro([feed(bars, rules=BTC), feed(bars, rules=ETH), feed(bars, rules=BTC)], knobs())


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("cash", 0, "strategies.cash: Input should be greater than 0, not 0"),
        ("cash", -5, "strategies.cash"),
        ("cash", "nan", "strategies.cash"),
        ("cash", "inf", "strategies.cash"),
        ("fee_bps", -1, "strategies.fee_bps: Input should be greater than or equal to 0, not -1"),
        ("slippage_bps", -0.1, "strategies.slippage_bps"),
        ("risk_tolerance", 0, "strategies.risk_tolerance"),
        ("max_exposure", 1.5, "strategies.max_exposure"),
        ("fee_bps", "ten", "strategies.fee_bps"),
    ],
)
def test_an_account_that_cannot_be_is_refused_in_one_line(key: str, value: object, words: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        load_settings(overrides={f"strategies.{key}": value}, environment={})
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
