"""Consent before real orders: a symbol is typed, or nothing is sent."""

from __future__ import annotations

import pytest
from rich.console import Console

from forwardtrader.core.errors import AccountTooSmall, ConfigError
from forwardtrader.live.preflight.consent import require_consent
from tests.live.market import practice, store_on

PRICES = {"BTC/USDT": 40_000.0}


def test_the_symbol_must_be_typed_before_the_first_order(capsys: pytest.CaptureFixture[str]) -> None:
    with practice() as venue:
        store = store_on(venue)
        store.getdata(dataname="BTC/USDT")
        store.getbroker()
        store.start()
        try:
            with pytest.raises(ConfigError, match="no order was sent"):
                require_consent(store, ("BTC/USDT",), 1, Console(), lambda _text: "yes", prices=PRICES)
            require_consent(store, ("BTC/USDT",), 1, Console(), lambda _text: "BTC/USDT ", prices=PRICES)
            require_consent(store, ("BTC/USDT",), 2, Console(), lambda _text: pytest.fail("asked"), prices=PRICES)
        finally:
            store.stop()
        assert "smallest order 5" in capsys.readouterr().out
        assert venue.state()["orders"] == 0


def test_an_account_without_money_is_refused() -> None:
    with practice(balances={"USDT": "1"}) as venue:
        store = store_on(venue)
        store.getdata(dataname="BTC/USDT")
        store.getbroker()
        store.start()
        try:
            with pytest.raises(AccountTooSmall, match="deposit"):
                require_consent(store, ("BTC/USDT",), 2, Console(), prices=PRICES)
        finally:
            store.stop()
