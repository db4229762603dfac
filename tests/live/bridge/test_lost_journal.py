"""A journal that is lost, damaged or moved away is rebuilt from what the venue lists, or the start is refused."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import backtrader as bt
import pytest

from forwardtrader.core.errors import ReconciliationFailed, StoreDamaged
from forwardtrader.core.types import MarketRules
from forwardtrader.live.execution.events import Execution, StandsStill, Unprotected
from forwardtrader.live.execution.journal import Journal
from forwardtrader.live.execution.reconciliation import require_bought
from forwardtrader.live.execution.recovery.journal_file import open_journal
from forwardtrader.live.execution.recovery.rebuild import bar_of
from forwardtrader.live.supervision.account_access import AccountAccess, LoneAccount
from forwardtrader.live.supervision.account_actions import stand_down
from forwardtrader.live.venue.keys import ccxt_credentials
from tests.live.books import require_agreement
from tests.live.market import Script, play, practice, store_on


def act(side: str, size: float, share: float = 0.0) -> Any:
    def do(s: Any) -> None:
        if share:
            getattr(s, side)(size=size, price=round(s.data.close[0] * share, 2), exectype=bt.Order.Limit)
        else:
            getattr(s, side)(size=size)

    return do


ACTS = {0: act("buy", 0.02), 1: act("sell", 0.015), 2: act("buy", 0.01), 3: act("sell", 0.01), 4: act("buy", 0.01, 0.8)}


def move_away(path: Path, *, log: bool) -> None:
    for name in ("j.db", "j.db-wal", "j.db-shm", *(["j.intents"] if log else [])):
        (path / name).unlink(missing_ok=True)


@pytest.mark.parametrize("protocol", ["binance", "bybit"])
@pytest.mark.parametrize("slots", [256, 4])
def test_a_journal_that_was_moved_away_is_rebuilt_from_the_venue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str, slots: int
) -> None:
    for module in ("write_ahead_log", "journal"):
        monkeypatch.setattr(f"forwardtrader.live.execution.{module}.SLOTS", slots)
    monkeypatch.setattr("forwardtrader.live.execution.journal._FEW", 2)
    with practice(protocol=protocol) as venue:
        journal = open_journal(tmp_path / "j.db")
        play(venue, store_on(venue, journal, run="one"), Script, 7, acts=ACTS)
        before = {i.client_id: (i.request.side, i.request.size, i.request.limit_price, i.bar) for i, _ in journal.intents()}
        executions = sorted(journal.executions(), key=lambda e: int(e.trade_id))
        journal.close()
        move_away(tmp_path, log=False)
        journal = open_journal(tmp_path / "j.db")
        assert journal.is_lost
        run = play(venue, store_on(venue, journal, run="one"), Script, 2)
        assert not journal.is_lost
        assert sorted(journal.executions(), key=lambda e: int(e.trade_id)) == executions
        after = {i.client_id: (i.request.side, i.request.size, i.request.limit_price, i.bar) for i, _ in journal.intents()}
        assert after == before
        require_agreement(venue, journal, run, prefix="one-")
        journal.close()
        assert not open_journal(tmp_path / "j.db").is_lost


def test_without_its_log_too_what_the_session_recorded_shows_that_it_is_lost(tmp_path: Path) -> None:
    with practice() as venue:
        journal = open_journal(tmp_path / "j.db")
        play(venue, store_on(venue, journal, run="one"), Script, 7, acts=ACTS)
        recorded = {(e.symbol, e.trade_id) for e in journal.executions()}
        journal.close()
        move_away(tmp_path, log=True)
        journal = open_journal(tmp_path / "j.db")
        store = store_on(venue, journal, run="one")
        store.recorded = recorded
        require_agreement(venue, journal, play(venue, store, Script, 2), prefix="one-")
        store = store_on(venue, Journal(tmp_path / "other.db"), run="one")
        store.recorded = {*recorded, ("BTC/USDT", "999999")}
        with pytest.raises(ReconciliationFailed, match="--session NAME"):
            play(venue, store, Script, 1)


def test_a_damaged_journal_is_set_aside_and_rebuilt(tmp_path: Path) -> None:
    with practice() as venue:
        journal = open_journal(tmp_path / "j.db")
        play(venue, store_on(venue, journal, run="one"), Script, 7, acts=ACTS)
        journal.close()
        whole = (tmp_path / "j.db").read_bytes()
        (tmp_path / "j.db").write_bytes(whole[:5000] + bytes(range(256)) * ((len(whole) - 5000) // 256))
        journal = open_journal(tmp_path / "j.db")
        assert journal.is_lost
        assert (tmp_path / "j.db.damaged-1").is_file()
        require_agreement(venue, journal, play(venue, store_on(venue, journal, run="one"), Script, 2), prefix="one-")


def test_a_journal_of_a_newer_version_is_left_as_it_is(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.db")
    journal._file.run("pragma user_version = 99")
    journal.close()
    with pytest.raises(StoreDamaged, match="newer version"):
        open_journal(tmp_path / "j.db")
    assert [p.name for p in tmp_path.glob("*damaged*")] == []


def test_more_sales_than_purchases_refuse_the_start_where_nothing_can_be_short() -> None:
    rules = MarketRules(symbol="BTC/USDT", base="BTC", quote="USDT", tick=Decimal("0.01"), step=Decimal("0.00001"))
    sold = Execution(
        symbol="BTC/USDT", trade_id="1", client_id="a", venue_id="7", side="sell", size=Decimal("0.00207"), price=Decimal(1),
        fee=Decimal(0), fee_currency="", at=0,
    )  # fmt: skip
    with pytest.raises(ReconciliationFailed, match=r"-0\.00207"):
        require_bought([sold], [rules])
    require_bought([sold], [replace(rules, can_short=True)])


def test_a_client_id_names_its_bar() -> None:
    assert (bar_of("ft-one-s6k5g0-1"), bar_of("x")) == (int("s6k5g0", 36) * 1000, 0)


def enter(s: Any) -> None:
    price = s.data.close[0]
    s.buy_bracket(size=0.02, exectype=bt.Order.Market, stopprice=price * 0.9, limitprice=price * 1.1)


@pytest.mark.parametrize(
    ("acts", "reason"),
    [
        ({0: act("buy", 0.02)}, "no stop rests for"),
        ({0: enter}, ""),  # its stop rests at the venue
        ({0: act("buy", 0.01, 0.8)}, "whether a stop belongs to an order"),
        ({0: act("buy", 0.02), 2: act("sell", 0.02)}, ""),
    ],
)
def test_a_position_whose_stop_may_be_lost_with_the_journal_takes_no_new_exposure_until_somebody_resumes(
    tmp_path: Path, acts: dict[int, Any], reason: str
) -> None:
    with practice(fee_asset="quote") as venue:
        journal = open_journal(tmp_path / "j.db")
        play(venue, store_on(venue, journal, run="one"), Script, 4, acts=acts)
        journal.close()
        move_away(tmp_path, log=True)
        journal = open_journal(tmp_path / "j.db")
        journal.mark_lost()
        store, told, seen = store_on(venue, journal, run="one"), [], []
        store.getbroker().on_event = seen.append

        def add(s: Any) -> None:
            told.append(str(s.buy(size=0.001).info.refusal))

        play(venue, store, Script, 3, acts={1: add})
        reasons = [event.reason for event in seen if isinstance(event, Unprotected)]
        assert len(reasons) == bool(reason) and all(reason in each for each in reasons)
        assert ("an order that protects the position is missing" in told[0]) == bool(reason)


def test_what_a_stop_command_had_rebuilt_is_told_at_the_next_start(tmp_path: Path) -> None:
    """The journal was lost while nothing ran, and the first to open it was a command for a session that does not run."""
    with practice(fee_asset="quote") as venue:
        journal = open_journal(tmp_path / "j.db")
        play(venue, store_on(venue, journal, run="one"), Script, 3, acts={0: act("buy", 0.02)})
        journal.close()
        move_away(tmp_path, log=True)
        journal = open_journal(tmp_path / "j.db")
        journal.mark_lost()
        journal.close()
        access = AccountAccess(
            exchange=venue.protocol, keys=ccxt_credentials(venue.api_key, venue.api_secret), base_url=venue.url, ws_url=venue.ws_url,
            journal=str(tmp_path / "j.db"), symbols=("BTC/USDT",), run="one",
        )  # fmt: skip
        account = LoneAccount(access)
        account.prepare()
        assert account.use(lambda used: stand_down(used, 20.0)).text == "no order rests"
        account.close()
        store, seen = store_on(venue, open_journal(tmp_path / "j.db"), run="one"), []
        store.getbroker().on_event = seen.append
        play(venue, store, Script, 2)
        assert [event.symbol for event in seen if isinstance(event, Unprotected)] == ["BTC/USDT"]


def trail(s: Any) -> None:
    s.buy(size=0.02)
    s.sell(size=0.02, exectype=bt.Order.StopTrail, trailpercent=0.1)


@pytest.mark.parametrize(("acts", "told"), [({0: act("buy", 0.02), 2: trail}, 1), ({0: act("buy", 0.02)}, 0)])
def test_a_stop_that_trailed_is_told_to_stand_still_once_its_journal_was_lost(tmp_path: Path, acts: dict[int, Any], told: int) -> None:
    seen: list[object] = []
    with practice(fee_asset="quote") as venue:
        journal = open_journal(tmp_path / "j.db")
        play(venue, store_on(venue, journal, run="one"), Script, 5, acts=acts)
        journal.close()
        move_away(tmp_path, log=True)
        journal = open_journal(tmp_path / "j.db")
        journal.mark_lost()
        store = store_on(venue, journal, run="one")
        store.getbroker().on_event = seen.append
        play(venue, store, Script, 2)
    stops = [event for event in seen if isinstance(event, StandsStill)]
    assert len(stops) == told
    assert all("does not move any more where it trailed; cancel it and send a trailing stop in its place" in stop.what for stop in stops)
