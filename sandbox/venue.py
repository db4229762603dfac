"""Composition root: builds engine, market and account from the settings."""

from __future__ import annotations

import hmac
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

from forwardtrader.core.command.flags import nearest
from forwardtrader.core.errors import CandleFileInvalid, InvalidSetting
from forwardtrader.core.types import MarketRules, Timeframe
from forwardtrader.sandbox.engine.exchange import Exchange
from forwardtrader.sandbox.engine.funding import FundingClock
from forwardtrader.sandbox.engine.liquidation import Liquidation
from forwardtrader.sandbox.engine.margin import CrossMargin
from forwardtrader.sandbox.engine.perpetual import BySymbol, Perpetual
from forwardtrader.sandbox.market.bar_source import file_bars, generated_bars
from forwardtrader.sandbox.market.capture import CapturedPath, is_capture, read_capture
from forwardtrader.sandbox.market.driver import Driver, MarketClock
from forwardtrader.sandbox.market.mark_price import MarkPrices
from forwardtrader.sandbox.orders.account import AccountMode, ClientAccount
from forwardtrader.sandbox.orders.candle import Candle, CandleBook
from forwardtrader.sandbox.orders.fill_model import BarFills, BookFills, FillModel
from forwardtrader.sandbox.orders.listing import Listing
from forwardtrader.sandbox.orders.settings import FASTEST, SandboxSettings, SymbolRules
from forwardtrader.sandbox.orders.settlement import Fees, Settlement, Spot
from forwardtrader.sandbox.perpetual_rules import margin_tiers, marks_of, moved, rates_of
from forwardtrader.sandbox.transport.host import Host

EPOCH_MS = 1_704_067_200_000  # 2024-01-01: where a market begins that does not run with the wall clock
ACCOUNT = "main"


Histories: TypeAlias = dict[str, list[Candle]]
BarIterators: TypeAlias = dict[str, Iterator[Candle]]


@dataclass(frozen=True)
class Keys:
    """Client credentials, and the token of the control endpoint; `others` are further keys of the same account."""

    api_key: str
    api_secret: str
    admin_token: str
    others: Mapping[str, str] = field(default_factory=dict)

    def secret_of(self, key: str) -> str | None:
        """The secret that belongs to a key; None for one that does not exist."""
        known = {self.api_key: self.api_secret, **self.others}
        return next((secret for name, secret in known.items() if hmac.compare_digest(name.encode(), _bytes(key))), None)


@dataclass
class KeyRights:
    """What the keys may do, as the venue says when asked; `revoked` keys exist no more."""

    withdrawals: str
    trading: bool
    revoked: set[str] = field(default_factory=set)


@dataclass
class SandboxVenue:
    """The venue behind the protocols: engine, market and clocks.

    `opened_at` is the moment of the first start, ms UTC; `skew_ms` the error of the venue's clock.
    """

    settings: SandboxSettings
    exchange: Exchange
    driver: Driver
    market_clock: MarketClock
    host: Host
    keys: Keys
    margin: CrossMargin
    funding: FundingClock
    liquidation: Liquidation
    opened_at: int
    rights: KeyRights
    marks: MarkPrices
    skew_ms: int = 0
    protected_s: int = 0  # the client's dead man's switch, where the protocol has one; 0 for none

    def secret_of(self, key: str) -> str | None:
        """The secret of a key that is not revoked."""
        return None if key in self.rights.revoked else self.keys.secret_of(key)

    def wall_ms(self) -> int:
        return int(self.host.wall.now().timestamp() * 1000) + self.skew_ms


def open_venue(settings: SandboxSettings, host: Host, opened_at: int | None = None) -> SandboxVenue:
    """Build the exchange that `settings` describe, as it was at its first start: now, or `opened_at` (ms UTC).

    Raises:
        CandleFileInvalid: a market file cannot be used.
        InvalidSetting: a symbol, speed or market that is not valid.
    """
    length = Timeframe.parse(settings.timeframe).seconds * 1000
    check_speed(settings.speed)
    clock = MarketClock()
    opened_at = int(host.wall.now().timestamp() * 1000) if opened_at is None else opened_at
    plan = CapturedPath()
    history, feeds, shift = _markets(settings, length, opened_at, plan)
    listings = {s: Listing(_rules(settings, s), CandleBook(length, history[s]), history[s][-1].close) for s in settings.symbols}
    for listing in listings.values():
        listing.basis = settings.mark_basis_bps / 10_000 if listing.rules.is_perpetual else Decimal(0)
    margin = CrossMargin(listings, settings.leverage)
    exchange = Exchange(
        listings, _fills(settings), _settlement(settings, listings, margin), clock, strict_triggers=settings.fills == "book",
        most=settings.most_open,
    )  # fmt: skip
    exchange.accounts[ACCOUNT] = account = ClientAccount(ACCOUNT, settings.balances, margin.usable)
    account.mode = AccountMode(settings.hedged, settings.isolated)
    clock.at = max(bars[-1].start for bars in history.values()) + length
    driver = Driver(
        exchange, feeds, clock=clock, length=length, ticks=_ticks(settings, length), plan=plan, seed=settings.seed,
        limit=settings.bars,
    )  # fmt: skip
    driver.begin()
    rights = KeyRights(settings.withdrawals, settings.trading)
    funding, liquidation = FundingClock(exchange, rates_of(settings, shift), length), Liquidation(exchange, margin)
    marks = MarkPrices(listings.values(), marks_of(settings, length, shift))
    marks.bar_opened()
    driver.before_close += [lambda: liquidation.at_worst(*marks.extremes()), marks.bar_closes]
    driver.after_open += [marks.bar_opened, funding.bar_opened, liquidation.at_mark]
    keys = _keys(settings, host)
    return SandboxVenue(settings, exchange, driver, clock, host, keys, margin, funding, liquidation, opened_at, rights, marks)


def check_speed(speed: float | str) -> None:
    """Raises InvalidSetting for a speed outside its range."""
    if speed != "lockstep" and (isinstance(speed, str) or not 0 < speed <= FASTEST):
        raise InvalidSetting(f"speed {speed!r}: give a number above 0 and up to {FASTEST}, or lockstep")


def _ticks(settings: SandboxSettings, length: int) -> int:
    """Prints per bar: as set, else about one a second of real time; never closer than 50 ms."""
    if isinstance(settings.speed, str):
        return max(4, settings.ticks_per_bar or (12 if settings.fills == "book" else 4))
    real_ms = length / settings.speed
    return max(4, min(settings.ticks_per_bar or int(real_ms / 1000), int(real_ms / 50)))


def _markets(settings: SandboxSettings, length: int, now: int, plan: CapturedPath) -> tuple[Histories, BarIterators, int]:
    """History and coming bars of every symbol, and by how many milliseconds files were moved."""
    files = _files(settings)
    history: Histories = {}
    feeds: BarIterators = {}
    shift = 0
    for symbol in settings.symbols:
        if symbol in files:
            bars, shift = _file_market(settings, files[symbol], length, now, plan)
        else:
            bars = _sample(settings, symbol, length, now)
        history[symbol] = list(itertools.islice(bars, settings.history))
        feeds[symbol] = bars
    return history, feeds, shift


def _files(settings: SandboxSettings) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for entry in settings.market:
        symbol, sign, path = entry.partition("=")
        if entry == "sample":
            continue
        name = symbol if sign else settings.symbols[0]
        if name not in settings.symbols:
            raise InvalidSetting(f"market {entry!r}: {name} is not among the symbols{nearest(name, settings.symbols)}")
        files[name] = Path(path if sign else entry)
    return files


def _file_market(settings: SandboxSettings, path: Path, length: int, now: int, plan: CapturedPath) -> tuple[Iterator[Candle], int]:
    if is_capture(path):
        captured = read_capture(path, length)
        plan.add(captured)
        bars = list(captured)
    else:
        bars = file_bars(path, length)
    if len(bars) <= settings.history:
        raise CandleFileInvalid(f"market file {path} holds {len(bars)} candles; {settings.history} of history leave nothing to trade")
    shift = (now - bars[settings.history].start) // length * length if settings.rebase else 0
    return iter([moved(bar, shift) for bar in bars] if shift else bars), shift


def _sample(settings: SandboxSettings, symbol: str, length: int, now: int) -> Iterator[Candle]:
    first = EPOCH_MS if settings.speed != 1 and not settings.rebase else now - now % length - settings.history * length
    return generated_bars(_rules(settings, symbol), first - first % length, length, settings.seed)


def _rules(settings: SandboxSettings, symbol: str) -> MarketRules:
    match = re.fullmatch(r"([A-Z0-9]{1,12})/([A-Z0-9]{1,12})(:\2)?", symbol)
    if match is None:
        raise InvalidSetting(f"symbol {symbol!r}: write it as BASE/QUOTE, for example BTC/USDT, or BTC/USDT:USDT for a perpetual")
    base, quote, settled = match.groups()
    rules = settings.rules.get(symbol, SymbolRules())
    return MarketRules(
        symbol=symbol, base=base, quote=quote, tick=rules.tick, step=rules.step, min_size=rules.min_size,
        min_notional=rules.min_notional, max_market_size=rules.max_market_size,
        fee_in_base=settings.fee_asset == "received" and not settled, can_short=bool(settled),
        **(_contract(settings, quote) if settled else {}),
    )  # fmt: skip


def _contract(settings: SandboxSettings, settle: str) -> dict[str, Any]:
    maker, taker = _fee_rates(settings)
    return {
        "settle": settle, "margin_tiers": margin_tiers(settings.tiers), "maker_fee": maker, "taker_fee": taker,
        "funding_hours": settings.funding_hours,
    }  # fmt: skip


def _fee_rates(settings: SandboxSettings) -> tuple[Decimal, Decimal]:
    return Decimal(str(settings.maker_fee_bps)) / 10_000, Decimal(str(settings.taker_fee_bps)) / 10_000


def _fills(settings: SandboxSettings) -> FillModel:
    return (
        BookFills(settings.book)
        if settings.fills == "book"
        else BarFills(Decimal(str(settings.slippage_bps)), Decimal(str(settings.volume_share)))
    )


def _settlement(settings: SandboxSettings, listings: dict[str, Listing], margin: CrossMargin) -> Settlement:
    def coin_price(coin: str, quote: str) -> Decimal | None:
        listing = listings.get(f"{coin}/{quote}")
        return listing.last if listing else None

    fees = Fees(*_fee_rates(settings), settings.fee_asset, coin_price)
    return BySymbol(Spot(fees), Perpetual(fees, margin, settings.liquidation_fee_bps / 10_000))


def _keys(settings: SandboxSettings, host: Host) -> Keys:
    return Keys(
        settings.api_key or host.token(32),
        settings.api_secret or host.token(32),
        settings.admin_token or host.token(24),
        settings.more_keys,
    )


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
