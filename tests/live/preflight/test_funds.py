"""Who can trade at all."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from forwardtrader.core.errors import AccountTooSmall
from forwardtrader.feeds.venues.market_rules import market_rules
from forwardtrader.live.preflight.funds import require_enough

BTC, ETH, SPY = (market_rules(symbol, "binance") for symbol in ("BTC/USDT", "ETH/USDT", "SPY"))
PRICES = {"BTC/USDT": 40_000.0, "ETH/USDT": 2_000.0, "SPY": 600.0}


@pytest.mark.parametrize(
    ("balances", "rules"),
    [
        ({"USDT": "5.2"}, [BTC]),  # 0.00013 BTC
        ({"USDT": "5.2"}, [replace(BTC, min_notional=Decimal(500)), ETH]),  # one of the two is enough
        ({"BTC": "0.01"}, [BTC]),  # nothing can be bought, something can be sold
        ({"USDT": "1", "ETH": "0.0026"}, [BTC, ETH]),
        ({"USD": "600"}, [SPY]),
    ],
)
def test_an_account_that_can_buy_or_sell_one_symbol_may_start(balances: dict[str, str], rules: list[object]) -> None:
    require_enough(held(balances), rules, PRICES, "deposit some first")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("balances", "rules", "said"),
    [
        ({}, [BTC], "holds 0 USDT, the smallest order of BTC/USDT needs 5.2; deposit"),
        ({"USDT": "5.19"}, [BTC], "holds 5.19 USDT, the smallest order of BTC/USDT needs 5.2; deposit"),  # 5 are not on the grid of sizes
        ({"USDT": "4", "BTC": "0.00011"}, [BTC], "holds 4 USDT"),  # 4.40 USDT worth: the venue takes no order for that
        ({"USDT": "4"}, [replace(BTC, min_notional=Decimal(500)), ETH], "the smallest order of ETH/USDT needs 5"),  # the nearer one
        ({"USDT": "99", "USD": "599.99"}, [SPY], "holds 599.99 USD, the smallest order of SPY needs 600"),
        ({"USDT": "99"}, [market_rules("ETH/BTC", "binance")], "holds 0 BTC"),  # what it is paid in counts
    ],
)
def test_an_account_that_can_do_nothing_may_not(balances: dict[str, str], rules: list[object], said: str) -> None:
    with pytest.raises(AccountTooSmall, match=said.replace(".", r"\.")) as refusal:
        require_enough(held(balances), rules, {**PRICES, "ETH/BTC": 0.05}, "deposit some first")  # type: ignore[arg-type]
    assert refusal.value.exit_code == 2


def test_what_is_needed_never_reads_as_less_than_it_is() -> None:
    odd = replace(BTC, min_size=Decimal("0.00012345"), step=Decimal("0.00012345"), min_notional=Decimal(0))
    with pytest.raises(AccountTooSmall, match=r"needs 5\.00001;"):
        require_enough(held({"USDT": "5"}), [odd], {"BTC/USDT": 40_502.3}, "deposit some first")


def test_without_a_price_the_smallest_notional_decides() -> None:
    require_enough(held({"USDT": "5"}), [BTC], {}, "")
    with pytest.raises(AccountTooSmall):
        require_enough(held({"USDT": "4.99"}), [BTC], {}, "")


def held(balances: dict[str, str]) -> dict[str, Decimal]:
    return {asset: Decimal(amount) for asset, amount in balances.items()}
