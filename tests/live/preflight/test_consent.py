"""Consent before real orders: a symbol is typed, or nothing is sent."""

from __future__ import annotations

import pytest
from rich.console import Console

from forwardtrader.core.errors import AccountTooSmall, ConfigError
from forwardtrader.live.preflight.consent import require_consent
from forwardtrader.live.venue.identity import real_account
from tests.live.market import practice, store_on

PRICES = {"BTC/USDT": 40_000.0}
ACCOUNT = real_account("binance", "", "key", ("BTC/USDT",))


def test_the_symbol_must_be_typed_before_the_first_order(capsys: pytest.CaptureFixture[str]) -> None:
    with practice() as venue:
        store = store_on(venue)
        store.getdata(dataname="BTC/USDT")
        store.getbroker()
        store.start()
        try:
            with pytest.raises(ConfigError, match="no order was sent"):
                require_consent(store, ("BTC/USDT",), 1, Console(), lambda _text: "yes", account=ACCOUNT, prices=PRICES)
            require_consent(store, ("BTC/USDT",), 1, Console(), lambda _text: "BTC/USDT ", account=ACCOUNT, prices=PRICES)
            require_consent(store, ("BTC/USDT",), 2, Console(), lambda _text: pytest.fail("asked"), account=ACCOUNT, prices=PRICES)
        finally:
            store.stop()
        shown = capsys.readouterr().out
        assert "smallest order 5" in shown and ACCOUNT.text in shown
        assert "REAL MONEY" in shown and "api.binance.com:443" in shown and ACCOUNT.key in shown
        assert venue.state()["orders"] == 0


def test_an_account_without_money_is_refused() -> None:
    with practice(balances={"USDT": "1"}) as venue:
        store = store_on(venue)
        store.getdata(dataname="BTC/USDT")
        store.getbroker()
        store.start()
        try:
            with pytest.raises(AccountTooSmall, match="deposit"):
                require_consent(store, ("BTC/USDT",), 2, Console(), account=ACCOUNT, prices=PRICES)
        finally:
            store.stop()
