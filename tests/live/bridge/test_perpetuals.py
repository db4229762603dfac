"""Perpetuals, live: shorts, exits that only reduce, funding, and what the venue closes by itself. Real ccxt classes, real journal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import backtrader as bt
import pytest

from forwardtrader.core.errors import ReconciliationFailed, StartRefused
from forwardtrader.live.execution.journal import Journal
from forwardtrader.live.execution.recovery.journal_file import open_journal
from forwardtrader.sandbox.process import SandboxHandle
from forwardtrader.strategies.backtrader.bars_frame import epoch_seconds
from tests.live.books import require_agreement
from tests.live.market import Script, play, practice, store_on
from tests.live.recorded_session import wait_for

PERPETUAL = "BTC/USDT:USDT"
HOURLY = {"symbols": [PERPETUAL], "timeframe": "1h", "funding_bps": 100, "funding_hours": 1, "leverage": 3, "taker_fee_bps": 5}
Act = Callable[[Any], object]


@pytest.fixture(params=["bybit", "binance"])
def venue(request: pytest.FixtureRequest) -> Iterator[SandboxHandle]:
    with practice(protocol=request.param, **HOURLY) as venue:
        yield venue


def sent(venue: SandboxHandle, bybit: str, binance: str) -> list[dict[str, Any]]:
    """The parameters of the requests of one kind, by its name at either venue."""
    name = bybit if venue.protocol == "bybit" else binance
    return [entry["params"] for entry in venue.control("log")["entries"] if entry["name"] == name]


def run(venue: SandboxHandle, folder: Path, acts: dict[int, Act], bars: int = 3, **more: Any) -> tuple[Any, Any]:
    """Play a script on hourly bars; returns strategy and broker."""
    store = store_on(venue, folder / "journal.db", **more)
    strategy = play(venue, store, Script, bars, symbols=(PERPETUAL,), compression=60, acts=acts)
    return strategy, strategy.broker


def worth(venue: SandboxHandle) -> float:
    """Equity at the last price, from the venue's own books."""
    state = venue.state()
    position, balance = state["positions"][PERPETUAL], state["accounts"]["main"]["USDT"]
    last = float(state["symbols"][PERPETUAL]["last"])
    return float(balance["free"]) + float(balance["locked"]) + float(position["size"]) * (last - float(position["entry"]))


def cash_is_the_venues(venue: SandboxHandle, folder: Path) -> bool:
    """Whether a start, which asks for everything, finds the money that the venue has, to the cent."""
    strategy, broker = run(venue, folder, {}, bars=0)
    held = broker.getposition(strategy.data).size
    last = float(venue.state()["symbols"][PERPETUAL]["last"])
    return bool(broker.cash + held * last == pytest.approx(worth(venue), abs=0.005))


def sell(size: float, **more: Any) -> Act:
    return lambda strategy: strategy.sell(size=size, **more)


def buy(size: float, **more: Any) -> Act:
    return lambda strategy: strategy.buy(size=size, **more)


def booked_as_forced(strategy: Any) -> None:
    """Wait until what the venue closed is booked: it is heard at any time, and nothing waits for it."""
    journal = strategy.broker.store.account.journal
    wait_for(lambda: any(intent.role == "forced" for intent, _ in journal.intents()))


def test_a_short_is_held_with_its_funding_and_goes_on_after_a_restart(venue: SandboxHandle, tmp_path: Path) -> None:
    strategy, broker = run(venue, tmp_path, {0: sell(0.1)}, bars=4)
    assert broker.getposition(strategy.data).size == -0.1
    position = venue.state()["positions"][PERPETUAL]
    assert cash_is_the_venues(venue, tmp_path)
    paid = Journal(tmp_path / "journal.db").payments()
    assert len(paid) >= 2 and sum(p.amount for p in paid) == Decimal(position["funding"])
    strategy, broker = run(venue, tmp_path, {0: buy(0.1)}, bars=2)
    assert broker.getposition(strategy.data).size == 0
    assert cash_is_the_venues(venue, tmp_path)


def test_what_closes_only_reduces_and_what_turns_a_position_round_does_not(venue: SandboxHandle, tmp_path: Path) -> None:
    run(venue, tmp_path, {0: sell(0.1), 1: buy(0.05), 2: buy(0.2)})
    posted = sent(venue, "POST order/create", "POST v1/order")
    assert [(p["side"].upper(), p.get("qty", p.get("quantity")), bool(p.get("reduceOnly"))) for p in posted] == [
        ("SELL", "0.1", False), ("BUY", "0.05", True), ("BUY", "0.2", False),
    ]  # fmt: skip


def test_the_leverage_of_the_settings_is_set_once_and_is_there(venue: SandboxHandle, tmp_path: Path) -> None:
    for _ in range(2):
        run(venue, tmp_path, {}, bars=1, leverage=2)
    asked = sent(venue, "POST position/set-leverage", "POST v1/leverage")
    assert [p.get("buyLeverage", p.get("leverage")) for p in asked] == ["2"]


@pytest.mark.parametrize(("mode", "line"), [({"hedged": True}, "one-way"), ({"isolated": True}, "cross")])
def test_another_mode_of_the_account_is_refused_in_one_line(venue: SandboxHandle, tmp_path: Path, mode: Any, line: str) -> None:
    venue.control("mode", **mode)
    with pytest.raises(StartRefused, match=f"to {line} at the venue"):
        run(venue, tmp_path, {})


def test_a_leverage_that_the_venue_does_not_take_is_refused_in_one_line(venue: SandboxHandle, tmp_path: Path) -> None:
    with pytest.raises(StartRefused, match=r"BTC/USDT:USDT: the venue does not set a leverage of 101"):
        run(venue, tmp_path, {}, leverage=101)


def test_a_deleveraged_position_is_heard_and_booked(venue: SandboxHandle, tmp_path: Path) -> None:
    reduce = {"symbol": PERPETUAL, "size": "0.04"}
    acts: dict[int, Act] = {0: sell(0.1), 1: lambda _s: venue.control("deleverage", **reduce), 2: booked_as_forced}
    strategy, broker = run(venue, tmp_path, acts, bars=4)
    assert broker.getposition(strategy.data).size == pytest.approx(-0.06)
    forced = [intent for intent, _ in Journal(tmp_path / "journal.db").intents() if intent.role == "forced"]
    assert [(i.client_id.split("-")[0], i.request.side.value, i.request.size) for i in forced] == [("deleveraging", "buy", Decimal("0.04"))]
    assert cash_is_the_venues(venue, tmp_path)
    assert not broker.halted


def test_what_the_venue_closed_while_nobody_listened_is_found_at_the_start(venue: SandboxHandle, tmp_path: Path) -> None:
    run(venue, tmp_path, {0: sell(0.1)}, bars=2)
    venue.control("deleverage", symbol=PERPETUAL)
    venue.advance()
    strategy, broker = run(venue, tmp_path, {}, bars=2)
    assert broker.getposition(strategy.data).size == 0
    assert cash_is_the_venues(venue, tmp_path)


def test_a_position_in_a_symbol_that_is_delisted_is_booked_as_closed_and_not_opened_again(venue: SandboxHandle, tmp_path: Path) -> None:
    def delist(strategy: Any) -> None:
        venue.control("delist", symbol=PERPETUAL)
        booked_as_forced(strategy)

    strategy, broker = run(venue, tmp_path, {0: sell(0.1), 1: delist}, bars=2)
    assert broker.getposition(strategy.data).size == 0
    [forced] = [intent.client_id for intent, _ in Journal(tmp_path / "journal.db").intents() if intent.role == "forced"]
    assert forced.startswith("delisting-") and not broker.halted
    assert "has ended the symbol" in broker.store.unsafe[PERPETUAL]
    assert cash_is_the_venues(venue, tmp_path)


def test_a_liquidation_is_booked_and_halts_the_account(venue: SandboxHandle, tmp_path: Path) -> None:
    def crash(_strategy: Any) -> None:
        venue.arm("F38", bps=-4000.0, symbol=PERPETUAL, count=1)

    strategy, broker = run(venue, tmp_path, {0: buy(0.4), 1: crash, 3: booked_as_forced}, bars=5, leverage=4)
    assert broker.getposition(strategy.data).size == 0
    assert "liquidated" in broker.halted
    assert cash_is_the_venues(venue, tmp_path)


def test_a_position_that_the_session_did_not_open_is_not_taken_for_its_own(venue: SandboxHandle, tmp_path: Path) -> None:
    venue.arm("F29", count=1, how="order", amount=0.01)
    store = store_on(venue, tmp_path / "journal.db")
    store.getbroker(use_positions=False)
    with pytest.raises(ReconciliationFailed, match="did not open"):
        play(venue, store, Script, 1, symbols=(PERPETUAL,), compression=60)
    store = store_on(venue, tmp_path / "other.db")
    strategy = play(venue, store, Script, 2, symbols=(PERPETUAL,), compression=60)
    assert strategy.broker.getposition(strategy.data).size == 0.01


def test_funding_of_a_bar_that_is_still_to_come_is_booked_with_that_bar_also_after_a_restart(venue: SandboxHandle, tmp_path: Path) -> None:
    """As in a backtest: the venue settles as soon as a bar opens, and the strategy sees that bar when it is closed."""
    strategy, broker = run(venue, tmp_path, {0: sell(0.1)}, bars=3)
    ends = round(epoch_seconds(strategy.data.datetime[0]) * 1000) + 3_600_000
    ahead = [payment for payment in Journal(tmp_path / "journal.db").payments() if payment.at >= ends]
    assert [event.payment for event in broker.funding.coming] == ahead and len(ahead) == 1
    assert broker.cash + float(ahead[0].amount) == pytest.approx(cash_at(venue), abs=0.005)
    store = store_on(venue, tmp_path / "journal.db")
    store.recorded_until = ends
    seen: list[float] = []
    acts: dict[int, Act] = {0: lambda s: seen.append(s.broker.cash)}
    strategy = play(venue, store, Script, 1, symbols=(PERPETUAL,), compression=60, acts=acts)
    assert seen == [pytest.approx(broker.cash + float(ahead[0].amount), abs=0.005)]


def cash_at(venue: SandboxHandle) -> float:
    """The wallet once the position is paid for at its entry, from the venue's own books."""
    state = venue.state()
    position, balance = state["positions"][PERPETUAL], state["accounts"]["main"]["USDT"]
    return float(balance["free"]) + float(balance["locked"]) - float(position["size"]) * float(position["entry"])


def test_a_lost_journal_is_rebuilt_with_a_stop_that_waits_and_one_that_became_an_order(tmp_path: Path) -> None:
    def stop(share: float) -> Act:
        return lambda s: s.sell(size=0.01, exectype=bt.Order.Stop, price=round(s.data.close[0] * share, 2))

    with practice(protocol="binance", symbols=[PERPETUAL], funding_bps=0, fee_asset="quote") as venue:
        journal = open_journal(tmp_path / "j.db")
        falls = lambda s: venue.control("price", price=str(round(s.data.close[0] * 0.9, 2)))  # noqa: E731
        acts: dict[int, Act] = {0: buy(0.03), 1: stop(0.97), 2: falls, 3: stop(0.8)}
        play(venue, store_on(venue, journal, run="one"), Script, 5, symbols=(PERPETUAL,), acts=acts)
        recorded = {(e.symbol, e.trade_id) for e in journal.executions()}
        journal.close()
        for name in ("j.db", "j.db-wal", "j.db-shm", "j.intents"):
            (tmp_path / name).unlink(missing_ok=True)
        journal = open_journal(tmp_path / "j.db")
        store = store_on(venue, journal, run="one")
        store.recorded = recorded
        run = play(venue, store, Script, 1, symbols=(PERPETUAL,))
        require_agreement(venue, journal, run, prefix="one-")
        assert run.position.size == pytest.approx(0.02)
        assert [intent.request.stop_price is not None for intent, _ in journal.open_intents()] == [True]
