"""An exchange that comes back is the one that ended, down to the last bar, order, fault and random number."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forwardtrader.core.errors import InvalidSetting, StorageFull, StoreDamaged
from forwardtrader.sandbox.control import Control
from forwardtrader.sandbox.parent_process import ParentProcess
from forwardtrader.sandbox.state import rows as shapes
from forwardtrader.sandbox.state.recorder import account_row, faults_row, list_row, listing_row, market_row
from forwardtrader.sandbox.state.state_file import MemoryState, SqliteState, StateFile
from forwardtrader.sandbox.venue import SandboxVenue
from tests.sandbox.plain_client import PlainClient

STATES = {"lots": {"USDT": "100000", "BTC": "5"}, "one": {"USDT": "900"}}


def whole_state(client: PlainClient) -> dict[str, Any]:
    """Everything that decides how the exchange goes on."""
    venue = client.venue
    exchange, feeds = venue.exchange, venue.driver.feeds
    return {
        "accounts": {name: asdict(account_row(account)) for name, account in exchange.accounts.items()},
        "orders": [asdict(order) for order in exchange.order_index.orders.values()],
        "open": {s: [o.id for o in exchange.order_index.open_orders(s)] for s in exchange.listings},
        "named": {
            o.request.client_id: getattr(exchange.order_index.by_client_id(o.account, o.request.client_id), "id", None)
            for o in exchange.order_index.orders.values()
        },
        "trades": [asdict(trade) for trade in exchange.order_index.trades],
        "lists": [asdict(list_row(group)) for group in exchange.lists.values()],
        "listings": {s: asdict(listing_row(venue, s)) for s in exchange.listings},
        "paths": {s: feed.path for s, feed in feeds.items()},
        "candles": {s: listing.candles.closed for s, listing in exchange.listings.items()},
        "market": asdict(market_row(venue)),
        "faults": asdict(faults_row(parts(client))),
        "keys": venue.keys,
    }


def parts(client: PlainClient) -> Any:
    from forwardtrader.sandbox.state.recorder import ExchangeParts

    return ExchangeParts(client.venue, client.exchange.board, client.exchange.faults)


class Trader:
    """Does to an exchange what a seed says: orders, cancels, lists, bars, control commands and faults."""

    def __init__(self, client: PlainClient, seed: int) -> None:
        self.client = client
        self.rng = random.Random(seed)
        self.control = Control(client.exchange, ParentProcess(0, 0.0), lambda: None)

    def act(self) -> None:
        self.rng.choice((self.place, self.place, self.place, self.cancel, self.advance, self.advance, self.order_list, self.interfere))()

    def _order(self) -> dict[str, Any]:
        venue = self.client.venue
        symbol = self.rng.choice(list(venue.exchange.listings))
        tick = venue.exchange.listings[symbol].rules.tick
        price = float(venue.exchange.listings[symbol].last) * self.rng.uniform(0.98, 1.02)
        return {
            "symbol": symbol,
            "side": self.rng.choice(("BUY", "SELL")),
            "quantity": "0.01",
            "price": f"{round(price / float(tick)) * tick}",
        }

    def place(self) -> None:
        order = self._order()
        if self.client.settings.protocol == "bybit":
            kind = self.rng.choice(({"orderType": "Market"}, {"orderType": "Limit", "price": order["price"]},
                                    {"orderType": "Limit", "price": order["price"], "triggerPrice": order["price"]}))  # fmt: skip
            spot = ":" not in order["symbol"]
            self.client.send("POST", "/v5/order/create", category="spot" if spot else "linear", symbol=ident(order["symbol"]),
                             side=order["side"].capitalize(), qty=order["quantity"], marketUnit="baseCoin", **kind)  # fmt: skip
            return
        kind = self.rng.choice((
            {"type": "MARKET"}, {"type": "LIMIT", "price": order["price"], "timeInForce": self.rng.choice(("GTC", "IOC", "FOK"))},
            {"type": "STOP_LOSS_LIMIT", "price": order["price"], "stopPrice": order["price"], "timeInForce": "GTC"},
        ))  # fmt: skip
        named = self.rng.choice(({}, {"newClientOrderId": f"c{self.rng.randint(1, 4)}"}))
        sent = {"symbol": ident(order["symbol"]), "side": order["side"], "quantity": order["quantity"]}
        self.client.send("POST", "/api/v3/order", **sent, **kind, **named)

    def order_list(self) -> None:
        if self.client.settings.protocol == "bybit":
            return
        order = self._order()
        last = float(self.client.venue.exchange.listings[order["symbol"]].last)
        pending = {
            "pendingSide": "SELL", "pendingQuantity": "0.01",
            "pendingAboveType": "LIMIT_MAKER", "pendingAbovePrice": f"{last * 1.01:.2f}",
            "pendingBelowType": "STOP_LOSS", "pendingBelowStopPrice": f"{last * 0.99:.2f}",
        }  # fmt: skip
        working = {"workingType": "LIMIT", "workingSide": "BUY", "workingQuantity": "0.01", "workingPrice": order["price"]}
        self.client.send("POST", "/api/v3/orderList/otoco", symbol=ident(order["symbol"]), workingTimeInForce="GTC", **working, **pending)

    def cancel(self) -> None:
        resting = list(self.client.venue.exchange.order_index.all_open("main"))
        if resting:
            order = self.rng.choice(resting)
            if self.client.settings.protocol == "bybit":
                category = "linear" if ":" in order.request.symbol else "spot"
                self.client.send("POST", "/v5/order/cancel", category=category, symbol=ident(order.request.symbol), orderId=str(order.id))
            else:
                self.client.send("DELETE", "/api/v3/order", symbol=ident(order.request.symbol), orderId=order.id)

    def advance(self) -> None:
        self.control.run("advance", {"bars": 1})

    def interfere(self) -> None:
        venue = self.client.venue
        last = next(iter(venue.exchange.listings.values())).last
        start = venue.market_clock() - venue.market_clock() % 60_000 + 60_000
        candle = {"start": start, "open": str(last), "high": str(last * 2), "low": str(last / 2), "close": str(last), "volume": "3"}
        commands: list[tuple[str, dict[str, Any]]] = [
            ("price", {"price": str(last)}), ("push", candle), ("fill_cap", {"size": self.rng.choice((None, "0.003"))}),
            ("deposit", {"asset": "BTC", "amount": "0.1"}), ("fault", {"name": "F27", "bars": 2}), ("fault", {"name": "F20"}),
            ("fault", {"name": "F10", "probability": 0.5, "count": 3}), ("fault", {"name": "F38", "bps": 30.0}),
            ("fault", {"name": "F29"}), ("fault", {"name": "F21"}), ("clear", {}),
        ]  # fmt: skip
        self.control.run(*self.rng.choice(commands))


def ident(symbol: str) -> str:
    return symbol.partition(":")[0].replace("/", "")


MARKETS: dict[str, dict[str, Any]] = {
    "binance bar": {"symbols": ["BTC/USDT", "ETH/USDT"]},
    "binance book": {"fills": "book", "ticks_per_bar": 8},
    "bybit": {"protocol": "bybit", "symbols": ["BTC/USDT", "BTC/USDT:USDT"], "fills": "book"},
}


@pytest.mark.parametrize("market", MARKETS)
@given(seed=st.integers(0, 10**6), before=st.integers(0, 40), after=st.integers(0, 15))
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_was_and_what_follows_are_the_same_after_a_restart(market: str, seed: int, before: int, after: int) -> None:
    given_settings = MARKETS[market] | {"balances": STATES["lots"]}
    state = MemoryState()
    straight = PlainClient(state=None, **given_settings)
    first = PlainClient(state=state, **given_settings)
    traders = [Trader(straight, seed), Trader(first, seed)]
    for _ in range(before):
        for trader in traders:
            trader.act()
    again = PlainClient(state=state, **given_settings)
    assert whole_state(again) == whole_state(first) == whole_state(straight)
    traders[1] = Trader(again, 0)
    traders[1].rng.setstate(traders[0].rng.getstate())
    again.venue.host.random.setstate(straight.venue.host.random.getstate())
    for _ in range(after):
        for trader in traders:
            trader.act()
    assert whole_state(again) == whole_state(straight)


def test_a_commit_that_did_not_happen_leaves_nothing_of_the_request() -> None:
    class Dying(MemoryState):
        dead = False

        def write(self, rows: Any) -> None:
            if self.dead:
                raise StorageFull("killed")
            super().write(rows)

    state = Dying()
    first = PlainClient(state=state)
    stream = first.user_stream()
    before = whole_state(first)
    state.dead = True
    with pytest.raises(StorageFull):
        first.send("POST", "/api/v3/order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.01")
    assert stream.ended == "reset"
    state.dead = False
    assert whole_state(PlainClient(state=state)) == before


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as path:
        yield Path(path) / "state"


def on_disk(path: Path, **given_settings: Any) -> tuple[PlainClient, StateFile]:
    state = SqliteState(path)
    try:
        return PlainClient(state=state, **given_settings), state
    except BaseException:
        state.close()
        raise


def test_the_folder_is_of_its_owner_alone_and_holds_the_same_state() -> None:
    with folder() as path:
        first, file = on_disk(path)
        Trader(first, 1).place()
        before = whole_state(first)
        file.close()
        assert [oct(p.stat().st_mode & 0o777) for p in (path, path / "exchange.db", path / "lock")] == ["0o700", "0o600", "0o600"]
        again, file = on_disk(path)
        assert whole_state(again) == before
        file.close()


def test_another_setting_of_the_market_is_refused_and_one_of_the_process_is_not() -> None:
    with folder() as path:
        on_disk(path, symbols=["BTC/USDT"])[1].close()
        with pytest.raises(InvalidSetting, match="--symbols: the exchange in this state folder has"):
            on_disk(path, symbols=["ETH/USDT"])
        again, file = on_disk(path, withdrawals="yes")
        assert again.exchange.settings.withdrawals == "yes"
        file.close()


def test_a_second_exchange_on_the_folder_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forwardtrader.sandbox.state.state_file._TURNOVER_S", 0.0)
    with folder() as path:
        _, file = on_disk(path)
        with pytest.raises(InvalidSetting, match="in use by another exchange"):
            on_disk(path)
        file.close()


DAMAGE = {
    "no database": (b"not a database" * 100, "damaged"),
    "empty": (b"", ""),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_file_is_one_line(how: str) -> None:
    content, words = DAMAGE[how]
    with folder() as path:
        on_disk(path)[1].close()
        for left in path.glob("exchange.db-*"):
            left.unlink()
        (path / "exchange.db").write_bytes(content)
        if not words:  # as new
            on_disk(path)[1].close()
            return
        with pytest.raises(StoreDamaged, match=words) as refused:
            on_disk(path)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", [shape.kind for shape in shapes.EVERY if shape is not shapes.PORT])
def test_a_row_that_cannot_be_read_is_one_line(kind: str) -> None:
    state = MemoryState()
    first = PlainClient(state=state)
    for _ in range(40):
        Trader(first, 5).act()
    Trader(first, 5).order_list()
    state.write([(kind, "000000000001", b'{"x": 1}'), (kind, "it", b'{"x": 1}')])
    with pytest.raises(StoreDamaged, match="is damaged") as refused:
        PlainClient(state=state)
    assert "\n" not in str(refused.value)


def test_a_folder_of_a_newer_version_is_refused() -> None:
    with folder() as path:
        _, file = on_disk(path)
        assert isinstance(file, SqliteState)
        file._db.execute("pragma user_version = 9")
        file.close()
        with pytest.raises(StoreDamaged, match="of version 9"):
            on_disk(path)


def test_a_link_in_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "exchange.db").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageFull):
        SqliteState(tmp_path / "state")
    assert not (tmp_path / "elsewhere").exists()


def test_the_same_bars_are_played_after_a_restart_from_a_file(tmp_path: Path) -> None:
    from tests.sandbox.small_market import FLAT, candle_file

    path = candle_file(tmp_path / "m.csv", [FLAT, (102.0, 106.0, 98.0, 104.0), FLAT, (99.0, 103.0, 98.0, 101.0), FLAT], skip=(2,))
    state = MemoryState()
    setting = {"market": [str(path)], "history": 1}
    first = PlainClient(state=state, **setting)
    first.venue.driver.advance()
    again = PlainClient(state=state, **setting)

    def rest(venue: SandboxVenue) -> list[Any]:
        while venue.driver.advance():
            pass
        return venue.exchange.listings["BTC/USDT"].candles.closed

    assert rest(again.venue) == rest(first.venue)
