"""The mode of an account for perpetuals: one-way positions and cross margin, with the leverage that the settings name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

from forwardtrader.core.errors import StartRefused, VenueRefused
from forwardtrader.live.venue.ccxt_client import CcxtClient
from forwardtrader.live.venue.retry import VenueQueries


@dataclass(frozen=True)
class AccountMode:
    """As the venue says it: the position mode, the margin mode, and the leverage of each symbol."""

    is_hedged: bool
    margin: str
    leverage: dict[str, Decimal]

    @property
    def text(self) -> str:
        """In one line, for a person."""
        levels = ", ".join(f"{symbol} {leverage.normalize():f}x" for symbol, leverage in self.leverage.items())
        return f"{'hedge' if self.is_hedged else 'one-way'} positions, {self.margin} margin, leverage {levels}"


async def read_mode(client: CcxtClient, queries: VenueQueries, symbols: Sequence[str]) -> AccountMode:
    """Ask the venue. Raises VenueUnreachable or VenueRefused."""
    margins = [str((await queries.ask(partial(client.fetch_margin_mode, symbol))).get("marginMode")) for symbol in symbols]
    odd = next((margin for margin in margins if margin != "cross"), "cross")
    hedged = [await queries.ask(partial(_is_hedged, client, symbol)) for symbol in symbols]
    return AccountMode(any(hedged), odd, {symbol: await _leverage(client, queries, symbol) for symbol in symbols})


def require_one_way_cross(mode: AccountMode) -> None:
    """Raise StartRefused for an account in hedge mode, or one whose margin is not cross: its positions would be booked wrongly."""
    if mode.is_hedged:
        raise StartRefused("the account is in hedge mode; set its position mode to one-way at the venue, then start again")
    if mode.margin != "cross":
        raise StartRefused(f"the account has {mode.margin} margin; set its margin mode to cross at the venue, then start again")


async def set_leverage(client: CcxtClient, queries: VenueQueries, mode: AccountMode, leverage: Decimal) -> None:
    """Set the leverage where it is another one, and look whether the venue has it.

    Raises:
        StartRefused: the venue does not take it, or has another one afterwards.
    """
    for symbol, before in mode.leverage.items():
        if before == leverage:
            continue
        try:
            await queries.ask(partial(client.set_leverage, _plain(leverage), symbol))
        except VenueRefused as refusal:
            raise StartRefused(f"{symbol}: the venue does not set a leverage of {leverage.normalize():f} ({refusal})") from refusal
        if (now := await _leverage(client, queries, symbol)) != leverage:
            raise StartRefused(f"{symbol}: the venue says leverage {now.normalize():f}, not {leverage.normalize():f}; set it there")


async def _is_hedged(client: CcxtClient, symbol: str) -> bool:
    if client.has.get("fetchPositionMode") is True:
        return bool((await client.fetch_position_mode(symbol)).get("hedged"))
    for position in await client.fetch_positions([symbol], {}):
        info: Any = position.get("info")
        if str(info.get("positionIdx", "0")) != "0":
            return True
    return False


async def _leverage(client: CcxtClient, queries: VenueQueries, symbol: str) -> Decimal:
    found = await queries.ask(partial(client.fetch_leverage, symbol))
    info: Any = found.get("info")  # the unified number is a whole one
    exact = info.get("leverage") if isinstance(info, Mapping) else None
    return Decimal(str(exact or found.get("longLeverage") or 0))


def _plain(leverage: Decimal) -> int | float:
    return int(leverage) if leverage == leverage.to_integral_value() else float(leverage)
