"""ccxt's orders and trades as our own types: anything may be missing."""

from __future__ import annotations

from decimal import Decimal

from forwardtrader.live.execution.ccxt_orders import client_id_in, execution, open_order, order_report, synthetic


def test_an_empty_order_is_read_and_says_nothing() -> None:
    report = order_report({})
    assert (report.client_id, report.status, report.size, report.filled, report.executions) == ("", "", 0, 0, ())
    assert (open_order({}).limit_price, open_order({}).stop_price) == (None, None)


def test_a_trade_takes_from_its_order_what_it_leaves_out() -> None:
    order = order_report(
        {"id": "7", "clientOrderId": "a", "symbol": "BTC/USDT", "side": "buy", "trades": [{"id": "1", "amount": "0.3", "price": 100.0}]}
    )
    [fill] = order.executions
    assert (fill.client_id, fill.venue_id, fill.symbol, fill.side, fill.size) == ("a", "7", "BTC/USDT", "buy", Decimal("0.3"))


def test_a_report_of_a_cancel_names_the_order_and_not_the_cancel() -> None:
    assert client_id_in({"clientOrderId": "of the cancel", "info": {"c": "of the cancel", "C": "of the order"}}) == "of the order"
    assert client_id_in({"info": {"orderLinkId": "bybit's"}}) == "bybit's"


def test_a_fee_is_read_in_its_own_currency() -> None:
    fill = execution({"id": "1", "amount": 1, "price": 2, "fee": {"cost": 0.001, "currency": "BTC"}})
    assert (fill.fee, fill.fee_currency) == (Decimal("0.001"), "BTC")


def test_a_fee_is_in_the_currency_that_the_venue_itself_names() -> None:
    guessed = {"cost": 0.4, "currency": "BTC"}  # ccxt, of a purchase at Bybit's spot market
    assert execution({"id": "1", "amount": 1, "price": 2, "fee": guessed, "info": {"feeCurrency": "USDT"}}).fee_currency == "USDT"
    assert execution({"id": "1", "amount": 1, "price": 2, "fee": guessed, "info": {"feeCurrency": ""}}).fee_currency == "BTC"


def test_equal_facts_give_an_equal_synthetic_execution() -> None:
    report = order_report({"id": "7", "clientOrderId": "a", "filled": "0.5", "average": 100})
    assert synthetic(report, Decimal("0.2")) == synthetic(report, Decimal("0.2"))
    assert (synthetic(report, Decimal("0.2")).size, synthetic(report, Decimal("0.2")).trade_id) == (Decimal("0.3"), "synthetic-a-0.5")
