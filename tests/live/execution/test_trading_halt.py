"""The trading halt: what triggers it, and that it is reported once."""

from __future__ import annotations

import asyncio

import ccxt
import pytest

from forwardtrader.core.errors import StorageFull, VenueRefused
from forwardtrader.live.execution.events import AccountEvent, Halted
from forwardtrader.live.execution.trading_halt import TradingHalt


def halt() -> tuple[TradingHalt, list[AccountEvent]]:
    events: list[AccountEvent] = []
    return TradingHalt(events.append), events


def test_a_refused_key_halts_once_and_a_lost_answer_does_not() -> None:
    trading, events = halt()
    assert not trading.on_error(ccxt.RequestTimeout("-1007"))
    assert not trading.on_error(None)
    assert trading.on_error(ccxt.AuthenticationError("-2015 Invalid API-key"))
    assert trading.on_error(ccxt.AuthenticationError("-2015 Invalid API-key"))
    assert [type(event) for event in events] == [Halted]
    assert "does not accept the key" in trading.reason


def test_a_journal_that_cannot_be_written_halts_and_the_error_goes_on() -> None:
    trading, events = halt()
    with pytest.raises(StorageFull), trading.on_storage_error():
        raise StorageFull("no space left")
    assert events == [Halted("no space left", unwritable=True)]


def test_a_failed_attempt_is_survived_unless_its_cause_halts() -> None:
    trading, events = halt()

    async def refused() -> None:
        raise VenueRefused("no") from ccxt.PermissionDenied("-2015")

    async def unreadable() -> None:
        raise VenueRefused("no") from ccxt.BadResponse("<html>")

    asyncio.run(trading.attempt(unreadable))
    assert events == []
    asyncio.run(trading.attempt(refused))
    assert [type(event) for event in events] == [Halted]
