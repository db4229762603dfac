"""The perpetuals of a practice exchange: leverage tables, funding and mark prices, as the settings describe them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from forwardtrader.core.command.flags import nearest
from forwardtrader.core.errors import InvalidSetting
from forwardtrader.core.types import MarginTier
from forwardtrader.sandbox.engine.funding import HOUR_MS, ConstantRates, FundingRates, ListedRates
from forwardtrader.sandbox.market.bar_source import file_bars
from forwardtrader.sandbox.market.rate_file import funding_rates
from forwardtrader.sandbox.orders.candle import Candle
from forwardtrader.sandbox.orders.settings import SandboxSettings


def margin_tiers(steps: Sequence[tuple[Decimal, Decimal, Decimal]]) -> tuple[MarginTier, ...]:
    """The tiers of (notional from which on, largest leverage, maintenance rate), with amounts that leave no jump between two.

    Raises:
        InvalidSetting: they do not begin at 0, or do not rise.
    """
    tiers: list[MarginTier] = []
    for start, leverage, rate in steps:
        below = tiers[-1] if tiers else None
        if (start > 0) is (below is None) or (below and not (start > below.notional_from and rate >= below.maintenance_rate)):
            raise InvalidSetting("tiers begin at 0, and their notionals and maintenance rates rise")
        amount = below.maintenance_amount + start * (rate - below.maintenance_rate) if below else Decimal(0)
        tiers.append(MarginTier(notional_from=start, max_leverage=leverage, maintenance_rate=rate, maintenance_amount=amount))
    return tuple(tiers)


def rates_of(settings: SandboxSettings, shift: int) -> dict[str, FundingRates]:
    """The funding of every perpetual; files are moved by `shift` milliseconds, as the market is."""
    every = settings.funding_hours * HOUR_MS
    constant = ConstantRates(settings.funding_bps / 10_000, every)
    files = _files(settings, settings.funding)
    listed = {symbol: ListedRates(funding_rates(path, shift), every) for symbol, path in files.items()}
    return {symbol: listed.get(symbol, constant) for symbol in settings.symbols if ":" in symbol}


def marks_of(settings: SandboxSettings, length: int, shift: int) -> dict[str, list[Candle]]:
    """The bars of the mark price, of those perpetuals that have a file of it."""
    found = {symbol: file_bars(path, length) for symbol, path in _files(settings, settings.mark).items()}
    return {symbol: [moved(bar, shift) for bar in bars] for symbol, bars in found.items()}


def moved(bar: Candle, shift: int) -> Candle:
    return Candle(bar.start + shift, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.trades)


def _files(settings: SandboxSettings, given: Mapping[str, str]) -> dict[str, Path]:
    perpetuals = [symbol for symbol in settings.symbols if ":" in symbol]
    for symbol in given:
        if symbol not in perpetuals:
            raise InvalidSetting(f"{symbol} is not among the perpetuals{nearest(symbol, perpetuals)}")
    return {symbol: Path(path) for symbol, path in given.items()}
