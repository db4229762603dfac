"""A strategy that does everything at once, the same for the same seed and bar, whatever was restarted in between."""

from __future__ import annotations

import random
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import backtrader as bt


class Adversary(bt.Strategy):
    """Sends orders of every kind and cancels at random.

    Params:
        life: what it reports to: `next_bar`, `slow` and the scenario.
    """

    params = (("life", None),)

    def next(self) -> None:
        self.p.life.on_bar(self)
        if self.p.life.is_quiet:
            self._take_back()
            return
        scenario = self.p.life.scenario
        moment = random.Random(f"together {scenario.seed} {self.datas[0].datetime[0]}")
        with self.broker.together() if moment.random() < scenario.together else nullcontext():
            self._decide(scenario)

    def _decide(self, scenario: Any) -> None:
        for data in self.datas:
            rng = random.Random(f"{scenario.seed} {data._name} {data.datetime[0]}")
            if data.is_current and rng.random() < scenario.activity:
                for _ in range(rng.choice((1, 1, 2, 3))):
                    self._act(rng.choice(scenario.actions), data, rng)

    def notify_order(self, order: Any) -> None:
        self.p.life.on_order(order)

    def _take_back(self) -> None:
        for order in self.broker.get_orders_open():
            self._cancel(order)

    def _cancel(self, order: Any) -> None:
        self.p.life.on_cancel(order)
        self.cancel(order)

    def _act(self, action: str, data: Any, rng: random.Random) -> None:
        price, worth = data.close[0], rng.choice((6.0, 50.0, 400.0))
        size = worth / price
        held = self.broker.getposition(data).size
        near = price * (1 + rng.uniform(-0.003, 0.003))
        if action == "market":
            self._either(rng, data, size, held)
        elif action == "limit":
            self._either(rng, data, size, held, price=near, exectype=bt.Order.Limit)
        elif action == "valid":
            until = data.num2date(data.datetime[0]) + timedelta(minutes=rng.randint(1, 4) * self.p.life.scenario.bar_minutes)
            self.buy(data=data, size=size, price=price * 0.998, exectype=bt.Order.Limit, valid=until)
        elif action == "stop" and held:
            act, away = (self.sell, rng.uniform(0.99, 0.9995)) if held > 0 else (self.buy, rng.uniform(1.0005, 1.01))
            act(data=data, size=abs(held) * rng.choice((0.5, 1.0)), price=price * away, exectype=bt.Order.Stop)
        elif action == "bracket":
            kind = rng.choice((bt.Order.Market, bt.Order.Limit))
            self.buy_bracket(
                data=data, size=size, price=near if kind == bt.Order.Limit else None, exectype=kind,
                limitprice=price * rng.uniform(1.001, 1.01), stopprice=price * rng.uniform(0.99, 0.998),
            )  # fmt: skip
        elif action == "oco" and held:
            first = self.sell(data=data, size=held, price=price * rng.uniform(1.0005, 1.01), exectype=bt.Order.Limit)
            self.sell(data=data, size=held, price=price * rng.uniform(0.99, 0.9995), exectype=bt.Order.Stop, oco=first)
        elif action == "cancel" and (alive := self.broker.get_orders_open()):
            self._cancel(rng.choice(alive))
        elif action == "close" and held:
            self.close(data=data)

    def _either(self, rng: random.Random, data: Any, size: float, held: float, **how: Any) -> None:
        if self.p.life.scenario.is_perpetual and rng.random() < 0.5:
            self.sell(data=data, size=size, **how)
        elif held and rng.random() < 0.5:
            (self.sell if held > 0 else self.buy)(data=data, size=abs(held) * rng.choice((0.3, 1.0)), **how)
        else:
            self.buy(data=data, size=size, **how)
