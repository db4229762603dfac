"""Balances: locked and free amounts, and no amount below zero."""

from __future__ import annotations

from decimal import Decimal

import pytest

from forwardtrader.sandbox.orders.account import ClientAccount
from forwardtrader.sandbox.orders.refusal import OrderRefused


def test_a_lock_moves_free_balance_and_an_unlock_moves_it_back() -> None:
    account = ClientAccount("main", {"USDT": Decimal(100)})
    account.lock("USDT", Decimal(60))
    assert (account.available("USDT"), account.total("USDT")) == (40, 100)
    account.unlock("USDT", Decimal(60))
    assert (account.available("USDT"), account.total("USDT")) == (100, 100)


def test_more_than_is_free_can_be_neither_locked_nor_spent() -> None:
    account = ClientAccount("main", {"USDT": Decimal(100)})
    account.lock("USDT", Decimal(60))
    for change in (account.lock, account.spend):
        with pytest.raises(OrderRefused):
            change("USDT", Decimal("40.01"))
    assert (account.available("USDT"), account.total("USDT")) == (40, 100)
    account.spend("USDT", Decimal(40))
    assert account.available("USDT") == 0


def test_an_asset_exists_once_it_was_received() -> None:
    account = ClientAccount("main", {})
    assert account.available("BTC") == account.total("BTC") == 0
    account.receive("BTC", Decimal(1))
    assert account.assets() == ["BTC"]
