"""Brings an exchange back to where it was when its process ended."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from forwardtrader.core.errors import InvalidSetting, StoreDamaged
from forwardtrader.sandbox.faults.catalogue import Switch
from forwardtrader.sandbox.orders.account import ClientAccount
from forwardtrader.sandbox.orders.order import ZERO
from forwardtrader.sandbox.orders.order_list import OrderList
from forwardtrader.sandbox.orders.settings import SandboxSettings
from forwardtrader.sandbox.state import rows as shapes
from forwardtrader.sandbox.state.recorder import ExchangeParts
from forwardtrader.sandbox.state.state_file import Rows

# Settings of one run of the process; the others are those of the first start where they are not given.
OF_THE_PROCESS: Final = frozenset({"port", "state", "owner", "orphan_s", "waits"})
CHANGEABLE: Final = OF_THE_PROCESS | frozenset({
    "limits", "weight_per_minute", "orders_per_10s", "orders_per_day", "connection_life_s", "withdrawals", "trading", "order_answers",
    "page_limit", "read_lag_s", "read_lag_bars", "more_keys", "faults", "api_key", "api_secret", "admin_token", "bars",
})  # fmt: skip


@dataclass(frozen=True)
class FirstStart:
    """What an earlier process of the exchange has left: `faults` are those of its settings, `port` its last one."""

    settings: SandboxSettings
    opened_at: int
    faults: dict[str, dict[str, float | int | str]]
    port: int


def resumed(given: SandboxSettings, rows: Rows) -> FirstStart | None:
    """The settings to go on with; None at the first start.

    Raises:
        InvalidSetting: a setting that cannot change differs from that of the first start.
        StoreDamaged: the state cannot be read.
    """
    header = shapes.HEADER.found(rows).get(shapes.ONLY)
    if header is None:
        if rows:
            raise StoreDamaged("the state of the exchange has no header; move its folder away to start anew")
        return None
    stored = header.settings
    for name in sorted(given.model_fields_set - CHANGEABLE):
        was, now = getattr(stored, name), getattr(given, name)
        if was != now:
            flag = name.replace("_", "-")
            raise InvalidSetting(f"--{flag}: the exchange in this state folder has {was!r}, not {now!r}; leave it out, or change --state")
    named = {name for name in given.model_fields_set & CHANGEABLE if getattr(given, name) != ""}
    settings = stored.model_copy(update={name: getattr(given, name) for name in named | OF_THE_PROCESS})
    port = shapes.PORT.found(rows).get(shapes.ONLY, 0)
    return FirstStart(settings, header.opened_at, stored.faults, port)


def restore(parts: ExchangeParts, rows: Rows) -> None:
    """Put everything back into a newly opened exchange of the same settings.

    Raises:
        StoreDamaged: the rows do not fit together.
    """
    try:
        _restore_orders(parts, rows)
        _restore_listings(parts, rows)
        _restore_market(parts, rows)
        _restore_faults(parts, rows)
    except (KeyError, IndexError) as error:
        raise StoreDamaged(f"the state of the exchange is damaged ({error} is missing); move its folder away to start anew") from error


def _restore_orders(parts: ExchangeParts, rows: Rows) -> None:
    exchange = parts.venue.exchange
    for name, account in shapes.ACCOUNT_ROW.found(rows).items():
        exchange.accounts[name] = kept = ClientAccount(name, account.free, parts.venue.margin.usable)
        kept.locked, kept.positions, kept.insured, kept.mode = account.locked, account.positions, account.insured, account.mode
        for symbol, position in kept.positions.items():  # an earlier version kept their margin apart from the balance
            kept.receive(exchange.listings[symbol].rules.settle, position.margin)
            position.margin = ZERO
    index = exchange.order_index
    for order in shapes.ORDER.found(rows).values():
        index.restore(order)
    for trade in shapes.TRADE.found(rows).values():
        index.trades.append(trade)
        index.orders[trade.order_id].trades.append(trade)
    exchange.payments += shapes.FUNDED.found(rows).values()
    for number, group in enumerate(shapes.LIST.found(rows).values(), start=1):
        working = None if group.working is None else index.orders[group.working]
        legs = [index.orders[leg] for leg in group.legs]
        made = OrderList(group.id, group.account, group.symbol, group.client_id, group.placed_at, working, legs, group.done)
        exchange.lists[number] = made


def _restore_listings(parts: ExchangeParts, rows: Rows) -> None:
    venue = parts.venue
    paths = shapes.PATH.found(rows)
    for key, candle in shapes.CANDLE.found(rows).items():
        venue.exchange.listings[key.partition(" ")[0]].candles.closed.append(candle)
    for symbol, row in shapes.LISTING.found(rows).items():
        listing, feed = venue.exchange.listings[symbol], venue.driver.feeds[symbol]
        listing.rules = replace(listing.rules, tick=row.tick, step=row.step, min_size=row.min_size)
        listing.last, listing.bar, listing.halted, listing.prints = row.last, row.bar, row.halted, row.prints
        listing.taken, listing.candles.running, listing.mark_price = row.taken, row.running, row.mark_price
        feed.after, feed.ahead, feed.waiting = row.after, row.ahead, row.waiting
        feed.factor, feed.hidden, feed.path = row.factor, row.hidden, paths[symbol]


def _restore_market(parts: ExchangeParts, rows: Rows) -> None:
    row, driver = shapes.MARKET.found(rows)[shapes.ONLY], parts.venue.driver
    driver.clock.at, driver.played, driver.printed, driver.ended = row.at, row.played, row.printed, row.ended
    parts.venue.exchange.fill_cap = row.fill_cap
    parts.venue.funding.paid_until, parts.venue.skew_ms = row.paid_until, row.skew_ms
    parts.venue.rights.revoked, parts.venue.protected_s = set(row.revoked), row.protected_s
    rights, first = parts.venue.rights, shapes.HEADER.found(rows)[shapes.ONLY].settings
    if rights.withdrawals == first.withdrawals:  # not given anew
        rights.withdrawals = row.withdrawals
    if rights.trading == first.trading:
        rights.trading = row.trading


def _restore_faults(parts: ExchangeParts, rows: Rows) -> None:
    row = shapes.FAULTS.found(rows)[shapes.ONLY]
    parts.board.switches.clear()
    for switch in row.switches:
        parts.board.switches[switch.name] = Switch(switch.name, switch.values, switch.left, switch.fired)
    parts.board.rng.setstate((row.version, tuple(row.internal), row.gauss))
    parts.faults.halted, parts.faults.foreign = row.halted, row.foreign
