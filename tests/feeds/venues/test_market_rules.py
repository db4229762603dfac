"""Market rules are known without network, and those stored from the venue win."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from forwardtrader.feeds.venues.market_rules import is_share, market_rules, store_rules, stored_rules
from tests.feeds.made_candles import DAY, made


def test_a_common_spot_market_has_its_usual_grid_and_no_shorts() -> None:
    rules = market_rules("BTC/USDT", "binance")
    assert (rules.tick, rules.step, rules.min_notional) == (Decimal("0.01"), Decimal("0.00001"), Decimal(5))
    assert (rules.base, rules.quote, rules.can_short, rules.fee_in_base, rules.periods_per_year) == ("BTC", "USDT", False, True, 365)


@pytest.mark.parametrize(("symbol", "venue", "shorts", "fee_in_base"), [
    ("BTC/USDT:USDT", "binance", True, False),
    ("BTC/USD", "kraken", False, False),
    ("ETH/BTC", "bybit", False, True),
    ("NEW/USDT", "binance", False, True),
])  # fmt: skip
def test_shorts_and_fees_follow_the_kind_of_market(symbol: str, venue: str, shorts: bool, fee_in_base: bool) -> None:
    rules = market_rules(symbol, venue)
    assert (rules.can_short, rules.fee_in_base) == (shorts, fee_in_base)
    assert rules.tick > 0
    assert rules.step > 0


def test_a_share_trades_whole_pieces_on_252_days() -> None:
    rules = market_rules("SPY", "file")
    assert (rules.quote, rules.tick, rules.step, rules.can_short, rules.periods_per_year) == (
        "USD",
        Decimal("0.01"),
        Decimal(1),
        False,
        252,
    )
    assert is_share("BRK-B")
    assert not is_share("BTC/USDT")


def test_candles_reveal_a_market_that_closes_at_weekends() -> None:
    days = made(200, timeframe=DAY)
    assert market_rules("XAU/USD", "file", frame=days).periods_per_year == 365
    assert market_rules("XAU/USD", "file", frame=days[days.index.day_of_week < 5]).periods_per_year == 252


def test_rules_from_the_venue_win_and_are_exact(tmp_path: Path) -> None:
    message = replace(market_rules("BTC/USDT", "binance"), tick=Decimal("0.10"), max_market_size=Decimal("120.5"))
    store_rules(tmp_path, "binance", message)
    store_rules(tmp_path, "binance", market_rules("ETH/USDT", "binance"))
    assert market_rules("BTC/USDT", "binance", store_path=tmp_path) == message
    assert set(stored_rules(tmp_path, "binance")) == {"BTC/USDT", "ETH/USDT"}
    assert market_rules("BTC/USDT", "kraken", store_path=tmp_path).tick == Decimal("0.01")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"BTC/USDT": {}}', '{"BTC/USDT": {"tick": "x"}}', '{"BTC/USDT": 3}'])
def test_an_unreadable_copy_is_left_aside(tmp_path: Path, text: str) -> None:
    path = tmp_path / "binance" / "rules.json"
    path.parent.mkdir()
    path.write_text(text)
    assert market_rules("BTC/USDT", "binance", store_path=tmp_path) == market_rules("BTC/USDT", "binance")


def test_what_is_named_like_a_share_but_never_closes_is_traded_in_parts() -> None:
    days = made(60, timeframe=DAY)
    always, weekdays = (market_rules("my_coin", "file", frame=f) for f in (days, days[days.index.day_of_week < 5]))
    assert (always.step, always.periods_per_year) == (Decimal("0.00001"), 365)
    assert (weekdays.step, weekdays.periods_per_year) == (Decimal(1), 252)


@pytest.mark.parametrize("power", [-9, -5, -2, 3])
def test_the_grid_of_a_coin_in_no_table_follows_its_prices(power: int) -> None:
    bars = made(200)
    scaled = bars.assign(**{name: bars[name] * 10.0**power for name in ("open", "high", "low", "close")})
    low, high = float(scaled["close"].min()), float(scaled["close"].max())
    rules = market_rules("NEW/USDT", "binance", frame=scaled)
    assert 1e-7 < float(rules.tick) / low <= 1e-6
    assert 0.1 <= float(rules.step) * high < 1.0
    assert rules.min_size == rules.step
    assert "E" not in f"{rules.tick}{rules.step}".replace("E-", "")
    assert market_rules("BTC/USDT", "binance", frame=scaled) == market_rules("BTC/USDT", "binance")
