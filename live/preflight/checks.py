"""The preflight check (`--check`): is everything in place? Nothing is traded, and only candles are written to their store."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console

from forwardtrader.core import log
from forwardtrader.core.clock import Clock
from forwardtrader.core.environment import environment
from forwardtrader.core.errors import ConfigError, TradingError
from forwardtrader.feeds.candles.bar import Bar
from forwardtrader.feeds.live.client import open_client
from forwardtrader.feeds.live.source import CcxtLiveSource
from forwardtrader.feeds.venues.contracts import require_one_account
from forwardtrader.live.bridge.venue_thread import VenueThread
from forwardtrader.live.control import is_running
from forwardtrader.live.execution.account import CcxtAccount
from forwardtrader.live.execution.events import VenueView
from forwardtrader.live.execution.journal import Journal
from forwardtrader.live.monitoring.metrics_port import require_port
from forwardtrader.live.preflight.funds import require_enough
from forwardtrader.live.preflight.shared_state import check_shared_state
from forwardtrader.live.request import LiveRequest
from forwardtrader.live.telegram.alerts import api_of, is_configured
from forwardtrader.live.venue.account_mode import read_mode, require_one_way_cross
from forwardtrader.live.venue.ccxt_client import CcxtClient
from forwardtrader.live.venue.identity import real_account
from forwardtrader.live.venue.keys import api_keys, ccxt_credentials
from forwardtrader.live.venue.perpetuals import require_plain_contracts
from forwardtrader.live.venue.withdrawals import require_no_withdrawals
from forwardtrader.models.registry.card import code_version
from forwardtrader.models.registry.store import ModelRegistry
from forwardtrader.strategies.user_code.forecast_use import may_read_forecasts
from forwardtrader.strategies.user_code.strategy_class import load_strategy

_MOST_OFFSET_S: Final = 1.0
_LEAST_DISK: Final = 1_000_000_000


def preflight(request: LiveRequest, clock: Clock, console: Console) -> int:
    """Print one line per check; returns 0 where the session could start, else the worst exit code."""
    worst = 0
    for name, look in _checks(request, clock).items():
        try:
            console.print(f"ok    {name}: {look()}", markup=False, soft_wrap=True)
        except TradingError as trouble:
            console.print(f"FAIL  {name}: {log.redact(str(trouble))}", markup=False, soft_wrap=True)
            worst = max(worst, trouble.exit_code)
    return worst


def _checks(request: LiveRequest, clock: Clock) -> dict[str, Callable[[], str]]:
    local: dict[str, Callable[[], str]] = {
        "disk": lambda: _disk(request),
        "models": lambda: _models(request),
        "Firestore": lambda: _firestore(request),
        "Telegram": lambda: _telegram(request),
        "metrics": lambda: _metrics(request),
    }
    if request.sandbox:
        return {"venue": lambda: "the practice exchange, on this machine", **local}
    venue = _VenueCheck(request, clock)
    there: dict[str, Callable[[], str]] = {"venue": venue.reach, "clock": venue.clock_offset, "symbols": venue.rules}
    if request.mode == "live":
        there["account"] = venue.account
    return {**there, **local}


class _VenueCheck:
    """The checks at the venue; each returns one line."""

    def __init__(self, request: LiveRequest, clock: Clock) -> None:
        self._request = request
        self._clock = clock

    def reach(self) -> str:
        return self._with(self._reach)

    def clock_offset(self) -> str:
        return self._with(self._offset)

    def rules(self) -> str:
        return self._with(self._rules)

    def account(self) -> str:
        return self._with(self._account)

    def _with(self, look: Callable[[VenueThread, CcxtClient, CcxtLiveSource], str]) -> str:
        feeds = self._request.settings.feeds
        loop = VenueThread()
        loop.start()
        client = None
        try:
            keys = ccxt_credentials(**api_keys(feeds.exchange, url=feeds.exchange_url)) if self._request.mode == "live" else None
            require_one_account(feeds.symbols)
            linear = any(":" in symbol for symbol in feeds.symbols)
            client = open_client(feeds.exchange, linear=linear, keys=keys, base_url=feeds.exchange_url, timeout_s=feeds.request_timeout_s)
            source = CcxtLiveSource(client, feeds.symbols, self._request.timeframe, clock=self._clock, listener=_NoListener())
            loop.call(source.connect())
            return look(loop, client, source)
        finally:
            loop.stop(*([client.close] if client is not None else []))

    def _reach(self, loop: VenueThread, client: CcxtClient, source: CcxtLiveSource) -> str:
        return f"{client.id} answers, {len(client.markets)} markets"

    def _offset(self, loop: VenueThread, client: CcxtClient, source: CcxtLiveSource) -> str:
        theirs = loop.call(client.fetch_time())
        offset = theirs / 1000 - self._clock.now().timestamp()
        if abs(offset) > _MOST_OFFSET_S:
            raise ConfigError(f"this machine's clock is {-offset:+.1f} s off the venue's; set it (NTP), then start again")
        return f"{offset * 1000:+.0f} ms off the venue's"

    def _rules(self, loop: VenueThread, client: CcxtClient, source: CcxtLiveSource) -> str:
        rules = (source.rules(symbol) for symbol in source.symbols)
        return "; ".join(f"{r.symbol} tick {r.tick}, step {r.step}, smallest order {r.min_notional} {r.quote}" for r in rules)

    def _account(self, loop: VenueThread, client: CcxtClient, source: CcxtLiveSource) -> str:
        account = CcxtAccount(client, Journal(":memory:"), source.symbols, lambda _event: None)
        view: VenueView = loop.call(account.read())
        right = loop.call(account.withdrawal_right())
        require_no_withdrawals(right)
        rules = [source.rules(symbol) for symbol in source.symbols]
        newest = {symbol: loop.call(source.newest(symbol, 1)) for symbol in source.symbols}
        require_enough(view.balances, rules, {symbol: bars[-1].close for symbol, bars in newest.items() if bars}, "deposit some first")
        held = ", ".join(f"{amount} {asset}" for asset, amount in sorted(view.balances.items()))
        feeds = self._request.settings.feeds
        identity = real_account(client.id, feeds.exchange_url, client.apiKey, source.symbols)
        mode = self._mode(loop, account) if client.trades_perpetuals else ""
        return f"{identity.text}; {held or 'nothing held'}; {len(view.open_orders)} orders rest; {right.text}{mode}"

    def _mode(self, loop: VenueThread, account: CcxtAccount) -> str:
        """Position mode, margin mode and leverage, which the start sets where it is another one."""
        require_plain_contracts(account.queries.rules(account.symbols))
        mode = loop.call(read_mode(account.client, account.queries, account.symbols))
        require_one_way_cross(mode)
        return f"; {mode.text} (strategies.leverage {self._request.settings.strategies.leverage:g})"


class _NoListener:
    """Ignores all that a live source reports."""

    def on_bar(self, symbol: str, bar: Bar) -> None: ...

    def on_price(self, symbol: str, price: float) -> None: ...

    def on_quiet(self, symbol: str, at: int) -> None: ...

    def on_connection(self, alive: bool, reason: str) -> None: ...


def _disk(request: LiveRequest) -> str:
    folder = Path(request.settings.live.sessions_path)
    place = next(path for path in (folder, *folder.resolve().parents) if path.exists())
    free = shutil.disk_usage(place).free
    if free < _LEAST_DISK or not os.access(place, os.W_OK):
        raise ConfigError(f"{place} has {free / 1e9:.1f} GB free or cannot be written; make room for sessions and models")
    return f"{free / 1e9:.0f} GB free"


def _models(request: LiveRequest) -> str:
    if request.strategy and not may_read_forecasts(load_strategy(request.strategy)):
        return "none is needed, the strategy reads no forecasts"
    known, damaged = ModelRegistry(Path(request.settings.models.save_path)).survey()
    cards = [c for c in known if c.code_version == code_version()]
    fitting = [c for c in cards if c.timeframe == str(request.timeframe) and set(request.symbols) <= set(c.symbols)]
    lost = f"; {len(damaged)} cannot be read and are trained again where needed" if damaged else ""
    if not fitting:
        return f"none for these symbols yet; the start trains one{lost}"
    return f"{len(fitting)} for these symbols, the newest of {datetime.fromisoformat(fitting[-1].boundary).astimezone(UTC):%Y-%m-%d}{lost}"


def _firestore(request: LiveRequest) -> str:
    return check_shared_state(request) if request.settings.live.firestore_project else "off (live.firestore_project is empty)"


def _telegram(request: LiveRequest) -> str:
    known = environment()
    if not request.settings.live.telegram or not is_configured(known):
        return "off (no token)" if request.settings.live.telegram else "off (live.telegram=false)"
    from forwardtrader.live.telegram.bot import check_bot

    listens = request.settings.live.telegram_commands and not is_running(request.folder)  # which receives, and would be disturbed
    name = asyncio.run(check_bot(known["TELEGRAM_BOT_TOKEN"], known["TELEGRAM_CHAT_ID"], api=api_of(known), listens=listens))
    return f"@{name} may write to the chat{', and nobody else receives with its token' if listens else ''}"


def _metrics(request: LiveRequest) -> str:
    port = request.settings.live.metrics_port
    if not port:
        return "off (live.metrics_port is 0)"
    if not is_running(request.folder):  # which has the port
        require_port(port)
    return f"http://127.0.0.1:{port}/metrics"
