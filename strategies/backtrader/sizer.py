"""Default order size, where the strategy gives none."""

from __future__ import annotations

from typing import Any

import backtrader as bt

from forwardtrader.core.settings import StrategySettings
from forwardtrader.core.types import Side
from forwardtrader.strategies.feed_context import traded, traded_feeds
from forwardtrader.strategies.order_rules import adds_exposure


class EquityShare(bt.Sizer):
    """A buy takes its symbol's equal share of the exposure limit, as far as the cash goes; a sell gives back what is held."""

    params = (("settings", StrategySettings()),)

    def _getsizing(self, comminfo: Any, cash: float, data: Any, isbuy: bool) -> float:
        held = float(self.broker.getposition(data).size)
        if held and not adds_exposure(held, Side.BUY if isbuy else Side.SELL, abs(held)):
            return abs(held)
        settings, price = self.p.settings, float(traded(data).close[0])
        wanted = self.broker.get_value() * settings.max_exposure / len(traded_feeds(self.strategy.datas)) - abs(held) * price
        spendable = cash * (1 - settings.cash_reserve) / (1 + (settings.fee_bps + settings.slippage_bps) / 1e4)
        return float(max(0.0, min(wanted, spendable) if isbuy else wanted) / price)
