"""The account that one strategy leaves behind and the next one goes on with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import backtrader as bt
from backtrader.position import Position

from forwardtrader.core.settings import StrategySettings
from forwardtrader.core.types import MarketRules
from forwardtrader.strategies.backtrader.assembly import venue_broker
from forwardtrader.strategies.backtrader.broker import VenueRulesBroker


@dataclass(frozen=True)
class CarriedAccount:
    """Cash, and by symbol the units held and their price: dust, mostly, since a strategy leaves no position where it can be closed."""

    cash: float
    held: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, strategy: bt.Strategy) -> CarriedAccount:
        """What a strategy left behind."""
        held = strategy.broker.holdings.held.items()
        return cls(float(strategy.broker.cash), {data._name: (float(p.size), float(p.price)) for data, p in held if p.size})

    def broker(self, rules: Sequence[MarketRules], settings: StrategySettings, trade_from: float) -> VenueRulesBroker:
        """A broker whose account this is, with the costs of `settings`."""
        made = venue_broker(rules, settings.model_copy(update={"cash": self.cash}), trade_from=trade_from, kind=_CarryingBroker)
        made.carried = self
        return made


class _CarryingBroker(VenueRulesBroker):
    """A broker that does not begin with cash alone."""

    carried: CarriedAccount

    def start(self) -> None:
        super().start()
        datas: Mapping[str, Any] = {data._name: data for data in reversed(self.cerebro.datas)}
        for symbol, (size, price) in self.carried.held.items():
            self.holdings.held[datas[symbol]] = Position(size, price)
        worth = self.cash + sum(size * price for size, price in self.carried.held.values())
        if self.margin is not None:  # its cash is the wallet, of which positions take nothing
            stakes = {symbol: (size, price, price) for symbol, (size, price) in self.carried.held.items()}
            self.margin.restore({"wallet": self.cash, "stakes": stakes})
            worth = self.cash
        self.opened_shares = self._fundshares = worth / self._fundval
