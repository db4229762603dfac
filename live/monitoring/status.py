"""The status of a running session: `session.json`, read by page, `--status` and mirror."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import backtrader as bt

from forwardtrader.core.clock import Clock
from forwardtrader.core.types import DataKind, Forecast
from forwardtrader.feeds.confirmation.verdict import Agreement
from forwardtrader.live.bridge.store import CCXTStore
from forwardtrader.live.monitoring.health import SessionHealth
from forwardtrader.live.monitoring.progress import SessionProgress
from forwardtrader.live.monitoring.watchdog import Watchdog
from forwardtrader.live.request import LiveRequest
from forwardtrader.models.registry.card import ModelCard
from forwardtrader.reports.manifest import LimitsSection
from forwardtrader.reports.pages.session_status import OpenOrderRow, PositionRow, SessionStatus, Source
from forwardtrader.reports.sections.learned import LearnedSection
from forwardtrader.strategies.backtrader.assembly import refused_orders
from forwardtrader.strategies.backtrader.bars_frame import epoch_seconds
from forwardtrader.strategies.backtrader.strategy import LSTMStrategy
from forwardtrader.strategies.feed_context import traded_feeds
from forwardtrader.strategies.holdings import Holdings
from forwardtrader.strategies.trading_state.guard import TradingGuard

_PACKAGES = ("backtrader", "ccxt", "jax", "keras", "numpy", "pandas")


class BrokerReadings(Protocol):
    """What is read of a broker, paper or live."""

    holdings: Holdings
    guard: TradingGuard | None

    def get_value(self) -> float: ...

    def get_cash(self) -> float: ...

    def getposition(self, data: bt.feed.DataBase) -> bt.Position: ...

    def get_orders_open(self) -> list[bt.Order]: ...


class ModelView(Protocol):
    """What is read of the model supply."""

    @property
    def card(self) -> ModelCard | None:
        """Of the model in force."""

    @property
    def card_since(self) -> datetime | None: ...

    @property
    def next_boundary(self) -> datetime: ...

    @property
    def training(self) -> object | None:
        """The training in progress."""


class NewestForecast(Protocol):
    """What is read of a symbol's forecast source."""

    @property
    def newest(self) -> Forecast | None: ...


@dataclass(frozen=True, kw_only=True)
class RunningSession:
    """What status and terminal view read of a session.

    Attributes:
        is_practice: whether the venue is the practice exchange.
        forecasts: by symbol.
    """

    request: LiveRequest
    kind: DataKind
    is_practice: bool
    clock: Clock
    progress: SessionProgress
    broker: BrokerReadings
    supply: ModelView
    forecasts: Mapping[str, NewestForecast]
    bridge: CCXTStore
    watchdog: Watchdog
    health: SessionHealth


def status_of(session: RunningSession) -> SessionStatus:
    """The whole of `session.json`."""
    request, progress, broker, supply = session.request, session.progress, session.broker, session.supply
    last = None if progress.last_bar is None else datetime.fromtimestamp(progress.last_bar / 1000, UTC)
    strategy = progress.strategy if last is not None else None
    return SessionStatus(
        name=request.name,
        mode=request.mode,
        kind=session.kind,
        exchanges=[request.settings.feeds.exchange + (" (practice)" if session.is_practice else "")],
        symbols=list(request.symbols),
        timeframe=str(request.timeframe),
        state=progress.state,
        reason=progress.reason,
        started=progress.started,
        updated=session.clock.now(),
        command=request.command,
        bars=progress.bars,
        last_bar=last,
        next_bar=None if last is None else last + request.timeframe.delta,
        start_equity=progress.start_equity,
        equity=None if strategy is None else float(broker.get_value()),
        cash=None if strategy is None else float(broker.get_cash()),
        positions=[] if strategy is None else positions(strategy, broker),
        limits=None if broker.guard is None else LimitsSection.model_validate(broker.guard.report().plain()),
        learned=learned(strategy),
        refused={} if strategy is None else refused_orders(broker, strategy),
        dust={} if strategy is None else {dust.symbol: dust.units for dust in broker.holdings.dust()},
        model_id=supply.card.model_id if supply.card else "",
        model_since=supply.card_since,
        next_retrain=supply.next_boundary if supply.card else None,
        open_orders=[] if strategy is None else open_orders(broker),
        sources=[market_source(session.bridge, session.watchdog), *confirming_sources(session.bridge)],
        process=session.health.process(),
        alerts=session.health.alerts,
        config=request.settings.model_dump(mode="json"),
        versions={name: importlib.metadata.version(name) for name in _PACKAGES},
    )


def learned(strategy: bt.Strategy | None) -> LearnedSection | None:
    """What our strategy learned from its outcomes; None where it learns nothing, and of any other."""
    report = strategy.learned if isinstance(strategy, LSTMStrategy) else None
    return None if report is None else LearnedSection.model_validate(report.plain())


def positions(strategy: bt.Strategy, broker: BrokerReadings) -> list[PositionRow]:
    """The open position of each symbol, with its value and profit in quote units."""
    found = []
    for data in traded_feeds(strategy.datas):
        held = broker.getposition(data)
        if held.size and len(data):
            value, profit = held.size * data.close[0], held.size * (data.close[0] - held.price)
            found.append(PositionRow(symbol=data._name, size=held.size, price=held.price, value=value, profit=profit))
    return found


def open_orders(broker: BrokerReadings) -> list[OpenOrderRow]:
    """Orders that are not settled."""
    return [
        OpenOrderRow(
            client_id=str(order.info.get("client_id") or order.ref), symbol=order.data._name, side="buy" if order.isbuy() else "sell",
            size=abs(order.executed.remsize), price=order.created.price, state=order.getstatusname().lower(), at=_made_at(order),
        )
        for order in broker.get_orders_open()
    ]  # fmt: skip


def _made_at(order: bt.Order) -> datetime | None:
    """Open time of the bar that the order was decided on; None for one that an earlier process left at the venue."""
    return datetime.fromtimestamp(epoch_seconds(order.created.dt), UTC) if order.created.dt else None


def market_source(bridge: CCXTStore, watchdog: Watchdog) -> Source:
    """The market socket of the traded venue: whether it is up, the age of its newest bar, and how often it was lost."""
    reconnects = sum(market.source.reconnects for market in bridge.markets)
    missed = sum(market.barrier.missed for market in bridge.markets)
    counts = ((reconnects, f"{reconnects} reconnects"), (missed, f"{missed} bars not awaited"))
    details = [*watchdog.troubles, *(text for count, text in counts if count)]
    state = "down" if not bridge.is_connected else "late" if watchdog.troubles else "ok"
    return Source(name=bridge.exchange, state=state, age_s=watchdog.signs.bar_age_s, detail="; ".join(details))


def confirming_sources(bridge: CCXTStore) -> list[Source]:
    """The venues that confirm the traded one's prices."""
    found = []
    for merge in (market.merge for market in bridge.markets if market.merge is not None):
        standings = {merge.agreement(symbol) for symbol in merge.symbols}
        counts = ", ".join(f"{count} bars {name}" for name, count in sorted(merge.counts.items()))
        state = "ok" if standings == {Agreement.AGREED} else "stale" if Agreement.ALONE in standings else "down"
        found.append(Source(name=" + ".join(merge.names), state=state, detail=counts))
    return found
