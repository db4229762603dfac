"""Perpetuals, live: shorts, exits that only reduce, funding, and what the venue closes by itself. Real ccxt classes, real journal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from forwardtrader.core.errors import ReconciliationFailed, StartRefused
from forwardtrader.live.execution.journal import Journal
from forwardtrader.sandbox.process import SandboxHandle
from tests.live.market import Script, play, practice, store_on

PERPETUAL = "BTC/USDT:USDT"
HOURLY = {"symbols": [PERPETUAL], "timeframe": "1h", "funding_bps": 100, "funding_hours": 1, "leverage": 3, "taker_fee_bps": 5}
Act = Callable[[Any], object]


@pytest.fixture
def venue() -> Iterator[SandboxHandle]:
    with practice(protocol="bybit", **HOURLY) as venue:
        yield venue


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
    return bool(broker.getcash() + held * last == pytest.approx(worth(venue), abs=0.005))


def sell(size: float, **more: Any) -> Act:
    return lambda strategy: strategy.sell(size=size, **more)


def buy(size: float, **more: Any) -> Act:
    return lambda strategy: strategy.buy(size=size, **more)


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
    sent = [e["params"] for e in venue.control("log")["entries"] if e["name"] == "POST order/create"]
    assert [(p["side"], p["qty"], p.get("reduceOnly", False)) for p in sent] == [
        ("Sell", "0.1", False), ("Buy", "0.05", True), ("Buy", "0.2", False),
    ]  # fmt: skip


def test_the_leverage_of_the_settings_is_set_once_and_is_there(venue: SandboxHandle, tmp_path: Path) -> None:
    for _ in range(2):
        run(venue, tmp_path, {}, bars=1, leverage=2)
    asked = [e["params"]["buyLeverage"] for e in venue.control("log")["entries"] if e["name"] == "POST position/set-leverage"]
    assert asked == ["2"]


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
    strategy, broker = run(venue, tmp_path, {0: sell(0.1), 1: lambda _s: venue.control("deleverage", **reduce)}, bars=4)
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


def test_a_liquidation_is_booked_and_halts_the_account(venue: SandboxHandle, tmp_path: Path) -> None:
    def crash(_strategy: Any) -> None:
        venue.arm("F38", bps=-4000.0, symbol=PERPETUAL, count=1)

    strategy, broker = run(venue, tmp_path, {0: buy(0.4), 1: crash}, bars=5, leverage=4)
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
