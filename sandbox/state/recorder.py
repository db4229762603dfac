"""Writes what has changed, before anybody can learn of it."""

from __future__ import annotations

from dataclasses import dataclass

from forwardtrader.sandbox.engine.events import (
    BalanceMoved,
    BalancesChanged,
    CandleChanged,
    EngineEvent,
    Funded,
    Liquidated,
    ListChanged,
    OrderChanged,
)
from forwardtrader.sandbox.faults.catalogue import Switchboard
from forwardtrader.sandbox.faults.instant_faults import InstantFaults
from forwardtrader.sandbox.orders.account import ClientAccount
from forwardtrader.sandbox.orders.order_list import OrderList
from forwardtrader.sandbox.state import rows as shapes
from forwardtrader.sandbox.state.state_file import Row, StateFile
from forwardtrader.sandbox.venue import SandboxVenue


@dataclass(frozen=True)
class ExchangeParts:
    """Everything of an exchange that has a state."""

    venue: SandboxVenue
    board: Switchboard
    faults: InstantFaults


class StateRecorder:
    """Collects changes from the engine's events and writes them as one, all or none."""

    def __init__(self, parts: ExchangeParts, file: StateFile) -> None:
        self._parts = parts
        self._file = file
        self._rows: dict[tuple[str, str], Row] = {}
        self._accounts: set[str] = set()
        self._lists: set[int] = set()
        self._paths: dict[str, int] = {}  # symbol: open time of the bar whose path was written
        self._faults_stamp: tuple[object, ...] = ()
        self._protected_s = 0
        self._market_moved = False
        self._index = parts.venue.exchange.order_index
        parts.venue.exchange.subscribe(self.on_event)

    def on_event(self, event: EngineEvent) -> None:
        if isinstance(event, OrderChanged):
            self._index.touched[event.order.id] = event.order
            self._accounts.add(event.order.account)
            if event.trade is not None:
                self._add(shapes.TRADE.row(event.trade.id, event.trade))
        elif isinstance(event, BalancesChanged | BalanceMoved | Funded | Liquidated):
            self._accounts.add(event.account)
            if isinstance(event, Funded):
                self._add(shapes.FUNDED.row(len(self._parts.venue.exchange.payments), event))
        elif isinstance(event, ListChanged):
            self._lists.add(event.list_id)
        elif isinstance(event, CandleChanged) and event.closed:
            self._add(shapes.CANDLE.row(f"{event.symbol} {event.candle.start:015d}", event.candle))

    def market_moved(self) -> None:
        """The market is no longer where it was, or something beside the orders was changed."""
        self._market_moved = True

    def begin(self) -> None:
        """Write the whole state for the first time, with the keys that were made for it."""
        venue = self._parts.venue
        keys = {"api_key": venue.keys.api_key, "api_secret": venue.keys.api_secret, "admin_token": venue.keys.admin_token}
        self._add(shapes.HEADER.row(shapes.ONLY, shapes.HeaderRow(venue.settings.model_copy(update=keys), venue.opened_at)))
        self._accounts.update(venue.exchange.accounts)
        self.market_moved()
        self.commit()

    def note_port(self, port: int) -> None:
        """Keep the port, so that the next start can take it again."""
        self._add(shapes.PORT.row(shapes.ONLY, port))
        self.commit()

    def commit(self) -> None:
        """Write what has changed since the last time.

        Raises:
            StorageFull: nothing was written.
        """
        self._collect()
        if self._rows:
            self._file.write(self._rows.values())
            self._rows = {}

    def _add(self, row: Row) -> None:
        self._rows[row[:2]] = row

    def _collect(self) -> None:
        exchange = self._parts.venue.exchange
        for number in self._lists:
            group = exchange.lists[number]
            self._add(shapes.LIST.row(number, list_row(group)))
            self._index.touched |= {order.id: order for order in group.orders}
        for order in self._index.touched.values():
            self._add(shapes.ORDER.row(order.id, order))
            self._note_taken(order.request.symbol)
        for name in self._accounts:
            self._add(shapes.ACCOUNT_ROW.row(name, account_row(exchange.accounts[name])))
        if self._market_moved or self._parts.venue.protected_s != self._protected_s:
            self._protected_s = self._parts.venue.protected_s
            self._collect_market()
        self._collect_faults()
        self._index.touched.clear()
        self._lists.clear()
        self._accounts.clear()
        self._market_moved = False

    def _note_taken(self, symbol: str) -> None:
        """An order may have taken size from the simulated book."""
        if self._parts.venue.exchange.listings[symbol].taken:
            self._add(shapes.LISTING.row(symbol, listing_row(self._parts.venue, symbol)))

    def _collect_market(self) -> None:
        venue = self._parts.venue
        for symbol, listing in venue.exchange.listings.items():
            self._add(shapes.LISTING.row(symbol, listing_row(venue, symbol)))
            start = listing.bar.start if listing.bar else -1
            if self._paths.get(symbol) != start:
                self._paths[symbol] = start
                self._add(shapes.PATH.row(symbol, venue.driver.feeds[symbol].path))
        self._add(shapes.MARKET.row(shapes.ONLY, market_row(venue)))

    def _collect_faults(self) -> None:
        faults = self._parts.faults
        stamp = (self._parts.board.changes, tuple(faults.halted.items()), faults.foreign)
        if stamp != self._faults_stamp:
            self._faults_stamp = stamp
            self._add(shapes.FAULTS.row(shapes.ONLY, faults_row(self._parts)))


def account_row(account: ClientAccount) -> shapes.AccountRow:
    return shapes.AccountRow(account.free, account.locked, account.positions, account.insured, account.mode)


def list_row(group: OrderList) -> shapes.ListRow:
    working = None if group.working is None else group.working.id
    legs = [leg.id for leg in group.legs]
    return shapes.ListRow(group.id, group.account, group.symbol, group.client_id, group.placed_at, working, legs, group.done)


def listing_row(venue: SandboxVenue, symbol: str) -> shapes.ListingRow:
    listing, feed = venue.exchange.listings[symbol], venue.driver.feeds[symbol]
    return shapes.ListingRow(
        last=listing.last, bar=listing.bar, running=listing.candles.running, halted=listing.halted, prints=listing.prints,
        taken=listing.taken, tick=listing.rules.tick, step=listing.rules.step, min_size=listing.rules.min_size,
        after=feed.after, ahead=feed.ahead, waiting=feed.waiting, factor=feed.factor, hidden=feed.hidden, mark_price=listing.mark_price,
    )  # fmt: skip


def market_row(venue: SandboxVenue) -> shapes.MarketRow:
    driver = venue.driver
    return shapes.MarketRow(
        at=driver.clock.at, played=driver.played, printed=driver.printed, ended=driver.ended, fill_cap=venue.exchange.fill_cap,
        paid_until=venue.funding.paid_until, skew_ms=venue.skew_ms, withdrawals=venue.rights.withdrawals,
        trading=venue.rights.trading, revoked=sorted(venue.rights.revoked), protected_s=venue.protected_s,
    )  # fmt: skip


def faults_row(parts: ExchangeParts) -> shapes.FaultsRow:
    version, internal, gauss = parts.board.rng.getstate()
    switches = [shapes.SwitchRow(s.name, s.values, s.left, s.fired) for s in parts.board.switches.values()]
    return shapes.FaultsRow(switches, version, list(internal), gauss, parts.faults.halted, parts.faults.foreign)
