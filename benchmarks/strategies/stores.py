"""Plain Backtrader scripts with `CCXTStore`: real orders at the practice exchange, against the same bars in a backtest.

The script sees one bar of the past, on which no order is taken; orders are numbered by their first execution.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import backtrader as bt
import pandas as pd

from benchmarks.strategies.compared import Case, Notices, alike
from forwardtrader.core.settings import StrategySettings
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.backtrader_data import frame_data
from forwardtrader.feeds.venues.market_rules import market_rules
from forwardtrader.live.bridge.store import CCXTStore
from forwardtrader.live.session.sandbox_process import Lockstep
from forwardtrader.sandbox.process import SandboxHandle, start_sandbox
from forwardtrader.strategies.backtrader.assembly import Feed, build_cerebro

NAMES: Final = (
    "crossover, one order at a time", "Bollinger bands, limit entries", "signal, accumulating", "signal, long and short, own next",
    "bracket", "OCO of stop and limit", "trailing stop", "stop limit entry that expires", "ladder of limits", "cancel and replace",
    "hold five bars after Completed", "wait until Completed", "order_target_value",
)  # fmt: skip
BARS: Final = 100
_PAST: Final = 50  # bars that the market has behind it when the script begins; the script asks for none of them
_HOUR: Final = Timeframe.parse("1h")
_SYMBOL: Final = "BTC/USDT"
Fills = list[tuple[Any, ...]]


def in_both(case: Case, market: pd.DataFrame, bars: int = BARS) -> tuple[Fills, Fills, str]:
    """The fills of the script and of the backtest (bars so far, number of the order, size, price), and the first difference or ""."""
    played = market.iloc[-(bars + _PAST + 1) :]
    here, there = _in_store(case, played, bars), _in_backtest(case, played, bars)
    pairs = [f"{a} for {b}" for a, b in zip(here, there, strict=False) if not alike(a, b)]
    first = pairs[0] if pairs else "" if len(here) == len(there) else f"{len(here)} for {len(there)} fills"
    return here, there, first


def _in_store(case: Case, played: pd.DataFrame, bars: int) -> Fills:
    account, rules = StrategySettings(), market_rules(_SYMBOL, "binance")
    grid = {"tick": rules.tick, "step": rules.step, "min_size": rules.min_size, "min_notional": rules.min_notional}
    with TemporaryDirectory(prefix="store-") as folder:
        path = Path(folder) / "market.csv"
        played.set_axis(pd.DatetimeIndex(played.index).as_unit("ms").asi8).rename_axis("timestamp").to_csv(path)
        with start_sandbox(
            speed="lockstep", timeframe="1h", market=[str(path)], history=_PAST, symbols=[_SYMBOL], rules={_SYMBOL: grid},
            balances={"USDT": str(account.cash)}, fee_asset="received", maker_fee_bps=account.fee_bps, taker_fee_bps=account.fee_bps,
            slippage_bps=account.slippage_bps,
        ) as venue:  # fmt: skip
            return _script(case, venue, bars)


def _script(case: Case, venue: SandboxHandle, bars: int) -> Fills:
    store = CCXTStore(
        venue.protocol, api_key=venue.api_key, api_secret=venue.api_secret, base_url=venue.url, ws_url=venue.ws_url, clock=venue
    )  # fmt: skip
    cerebro, begun = bt.Cerebro(stdstats=False), list[int]()

    def before_bar(at: int) -> None:
        begun.append(at)
        if len(begun) > bars:
            store.request_stop()

    cerebro.adddata(store.getdata(_SYMBOL, timeframe=bt.TimeFrame.Minutes, compression=60), name=_SYMBOL)
    cerebro.setbroker(store.getbroker())
    venue_: Any = venue  # it plays a market as the exchange of a session does
    store.on_idle = Lockstep(
        venue_, store, _HOUR.seconds * 1000, is_done=lambda _: store.getbroker().is_settled, before_bar=before_bar, ended=store.request_stop
    )  # fmt: skip
    cerebro.addstrategy(case.strategy, **case.params)
    cerebro.addanalyzer(Notices, _name="notices")
    try:
        [run] = cerebro.run()
    finally:
        store.stop()
    return _numbered(run.analyzers.notices.fills, bars)


def _in_backtest(case: Case, played: pd.DataFrame, bars: int) -> Fills:
    seen = played.iloc[_PAST - 1 : _PAST + bars]
    feed = Feed(data=frame_data(seen, _HOUR, name=_SYMBOL), rules=market_rules(_SYMBOL, "binance"), timeframe=_HOUR)
    cerebro = build_cerebro(
        [feed], StrategySettings(), strategy=case.strategy or bt.SignalStrategy, strategy_params=case.params,
        trade_from=seen.index[1].to_pydatetime(), analyzers=[(Notices, {"_name": "notices"})],
    )  # fmt: skip
    return _numbered(cerebro.run()[0].analyzers.notices.fills, bars)


def _numbered(fills: Sequence[tuple[Any, ...]], bars: int) -> Fills:
    """The fills of the first bars; orders are numbered by their first one, and those of one bar have no order in time."""
    made = sorted((fill for fill in fills if fill[0] <= bars), key=lambda fill: (fill[0], fill[2], fill[3]))
    known = {order: number for number, order in enumerate(dict.fromkeys(fill[1] for fill in made))}
    return [(bar, known[order], size, price) for bar, order, size, price in made]
