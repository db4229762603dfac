"""What a running session says of itself."""

from __future__ import annotations

import importlib.metadata
from datetime import UTC, datetime
from typing import Any

from forwardtrader.feeds.live.merge import Standing
from forwardtrader.reports.pages.session_status import OpenOrderRow, PositionRow, SessionState, SessionStatus, Source
from forwardtrader.strategies.backtrader.bars_frame import epoch_seconds

_PACKAGES = ("backtrader", "ccxt", "jax", "keras", "numpy", "pandas")


def status_of(session: Any) -> SessionStatus:
    """The whole of `session.json`, from a `LiveSession`."""
    request, strategy, supply = session.request, session.strategy, session.supply
    broker = session.broker
    last = None if session.last_bar is None else datetime.fromtimestamp(session.last_bar / 1000, UTC)
    known = strategy is not None and session.last_bar is not None
    return SessionStatus(
        name=request.name,
        mode=request.mode,
        kind=session.scene.kind,
        exchanges=[request.settings.feeds.exchange + (" (practice)" if session.scene.practice is not None else "")],
        symbols=list(request.symbols),
        timeframe=str(request.timeframe),
        state=SessionState(session.state),
        reason=session.reason,
        started=session.started,
        updated=session.clock.now(),
        command=request.command,
        bars=session.bars,
        last_bar=last,
        next_bar=None if last is None else last + request.timeframe.delta,
        start_equity=session.start_equity,
        equity=float(broker.get_value()) if known else None,
        cash=float(broker.get_cash()) if known else None,
        positions=positions(session) if known else [],
        dust={dust.symbol: dust.units for dust in broker.holdings.dust()} if known else {},
        model_id=supply.card.model_id if supply.card else "",
        model_since=supply.card_since,
        next_retrain=supply.next_boundary if supply.card else None,
        open_orders=orders(session) if known else [],
        sources=[source(session), *confirming(session)],
        process=session.health.process(),
        alerts=session.health.alerts,
        config=request.settings.model_dump(mode="json"),
        versions={name: importlib.metadata.version(name) for name in _PACKAGES},
    )


def positions(session: Any) -> list[PositionRow]:
    """What is held of each symbol."""
    found = []
    for data in session.strategy.datas:
        held = session.broker.getposition(data)
        if held.size and len(data):
            worth = held.size * data.close[0]
            profit = held.size * (data.close[0] - held.price)
            found.append(PositionRow(symbol=data._name, size=held.size, price=held.price, value=worth, profit=profit))
    return found


def orders(session: Any) -> list[OpenOrderRow]:
    """Orders that are not settled."""
    return [
        OpenOrderRow(
            client_id=str(order.info.get("client_id") or order.ref), symbol=order.data._name, side="buy" if order.isbuy() else "sell",
            size=abs(order.executed.remsize), price=order.created.price, state=order.getstatusname().lower(), at=_made_at(order),
        )
        for order in session.broker.get_orders_open()
    ]  # fmt: skip


def _made_at(order: Any) -> datetime | None:
    """Open time of the bar that the order was decided on; None for one that an earlier process left at the venue."""
    return datetime.fromtimestamp(epoch_seconds(order.created.dt), UTC) if order.created.dt else None


def source(session: Any) -> Source:
    """The market socket, and how often it was lost."""
    bridge = session.bridge
    reconnects = sum(market.source.reconnects for market in bridge._markets.values())
    missed = sum(market.barrier.missed for market in bridge._markets.values())
    detail = ", ".join(text for count, text in ((reconnects, f"{reconnects} reconnects"), (missed, f"{missed} bars not awaited")) if count)
    said, age = session.watchdog.troubles, session.watchdog.signs.bar_age_s
    state = "down" if not bridge.is_connected else "late" if said else "ok"
    return Source(name=bridge.exchange, state=state, age_s=age, detail="; ".join([*said, *([detail] if detail else [])]))


def confirming(session: Any) -> list[Source]:
    """The venues that confirm the traded one's prices."""
    found = []
    for merge in (m.merge for m in session.bridge._markets.values() if m.merge is not None):
        standings = {merge.standing(symbol) for symbol in merge.symbols}
        counts = ", ".join(f"{count} bars {name}" for name, count in sorted(merge.counts.items()))
        state = "ok" if standings == {Standing.AGREED} else "stale" if Standing.ALONE in standings else "down"
        found.append(Source(name=" + ".join(merge.names), state=state, detail=counts))
    return found
