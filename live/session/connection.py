"""The connection of a session to its venue: the practice exchange, or a real one with the venues that confirm its prices."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, NamedTuple

from forwardtrader.core.errors import ConfigError
from forwardtrader.feeds.live.merge import ConfirmingVenue
from forwardtrader.feeds.live.poll_wait import PollRule
from forwardtrader.feeds.venues.exchange import CcxtVenue
from forwardtrader.live.bridge.store import CCXTStore
from forwardtrader.live.execution.journal import Journal
from forwardtrader.live.monitoring.watchdog import BLOCKED
from forwardtrader.live.output.perpetual_facts import SessionFacts
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.preflight.owner import ACCOUNT, owned
from forwardtrader.live.request import LiveRequest
from forwardtrader.live.session.sandbox_process import PRACTICE, PracticeAddress, find_practice
from forwardtrader.live.session.setup import JOURNAL, PLAN, SessionMarket
from forwardtrader.live.supervision.account_access import AccountAccess
from forwardtrader.live.supervision.supervisor import Supervisor
from forwardtrader.live.venue.identity import real_account, require_same_account
from forwardtrader.live.venue.keys import api_keys, ccxt_credentials

_PRACTICE_POLL = PollRule(base=2.0, least=0.5, most=2.0)


def market_pace(request: LiveRequest, market: SessionMarket) -> float:
    """How many seconds of the market pass in one of this machine's; 0 in lockstep."""
    if market.practice is None:
        return 1.0
    return 0.0 if request.speed == "lockstep" else float(request.speed)


def run_name(request: LiveRequest) -> str:
    """The prefix of a session's client ids."""
    return request.name


def open_bridge(request: LiveRequest, market: SessionMarket, journal: Journal | None) -> CCXTStore:
    """The bridge to the venue, not connected yet.

    Args:
        journal: of a session with real orders; None on paper.
    """
    pace, feeds = market_pace(request, market), request.settings.feeds
    place = _real_venue(request) if market.practice is None else _practice_venue(market.practice.address)
    return CCXTStore(
        feeds.exchange if market.practice is None else market.practice.address.protocol, clock=market.clock, journal=journal,
        run=run_name(request), risk=request.settings.risk, minute_s=60.0 / pace if pace else 0.0,
        leverage=request.settings.strategies.leverage, **place,
    )  # fmt: skip


def _practice_venue(at: PracticeAddress) -> dict[str, Any]:
    return {"base_url": at.url, "ws_url": at.ws_url, "api_key": at.api_key, "api_secret": at.api_secret, "poll": _PRACTICE_POLL}


def _real_venue(request: LiveRequest) -> dict[str, Any]:
    feeds = request.settings.feeds
    urls = itertools.chain(feeds.confirm_urls, itertools.repeat(""))
    return {
        "base_url": feeds.exchange_url,
        "poll": PollRule(base=request.settings.live.poll_seconds),
        "witnesses": [ConfirmingVenue.of(other, url) for other, url in zip(feeds.confirm_exchanges, urls, strict=False)],
        "confirmation": feeds,
        **(api_keys(feeds.exchange, url=feeds.exchange_url) if request.mode == "live" else {}),
    }


def account_access(request: LiveRequest) -> AccountAccess | None:
    """The account that a session left, as its own files name it; None where it had none, or its practice exchange has ended.

    Raises:
        ConfigError: the session's plan is damaged, or the keys are missing.
        StartRefused: the keys are those of another account.
    """
    journal = request.folder / JOURNAL
    if not journal.is_file():
        return None
    exchange, symbols, is_real, account = _traded(request)
    if is_real:
        place = _real_place(request, exchange)
        require_same_account(account, real_account(exchange, place.url, place.keys["apiKey"], symbols), request.name)
    else:
        venue = find_practice(request.folder / PRACTICE)
        if venue is None:
            return None
        at = venue.address
        place = _Place(at.protocol, ccxt_credentials(at.api_key, at.api_secret), at.url, at.ws_url)
    return AccountAccess(
        exchange=place.exchange,
        keys=place.keys,
        base_url=place.url,
        ws_url=place.ws_url,
        journal=str(journal),
        symbols=symbols,
        run=run_name(request),
    )


def supervise_account(request: LiveRequest, bridge: CCXTStore, supervisor: Supervisor, objection: Callable[[], str] = lambda: "") -> None:
    """From now on no order leaves while the session is killed, and none adds exposure while a command waits, whatever hangs.

    Args:
        objection: why none may add exposure since another machine may trade the account; "" for no reason.
    """
    if bridge.account is None or bridge.risk_limits is None:
        return
    bridge.account.switch = supervisor.switch
    bridge.risk_limits.interlock = lambda: supervisor.interlock() or _pause_of(bridge) or _blocked(objection())
    access = AccountAccess(
        exchange=bridge.exchange, keys=bridge._keys, base_url=bridge._base_url, ws_url=bridge._ws_url, symbols=request.symbols,
        journal=str((request.folder / JOURNAL).resolve()), run=bridge.run,
    )  # fmt: skip
    supervisor.hand_over(access)


def _pause_of(bridge: CCXTStore) -> str:
    """Why an order that was decided on before a pause, and waited for its turn meanwhile, is not sent any more."""
    is_paused = bridge.broker is not None and bridge.broker.entries_blocked
    return f"{BLOCKED}the session is paused" if is_paused else ""


def _blocked(reason: str) -> str:
    return f"{BLOCKED}{reason}" if reason else ""


class _Place(NamedTuple):
    exchange: str
    keys: dict[str, str]
    url: str
    ws_url: str


def _real_place(request: LiveRequest, exchange: str) -> _Place:
    return _Place(
        exchange, ccxt_credentials(**api_keys(exchange, url=request.settings.feeds.exchange_url)), request.settings.feeds.exchange_url, ""
    )


def _traded(request: LiveRequest) -> tuple[str, tuple[str, ...], bool, object]:
    """Exchange, symbols, whether it was a real venue, and the account there, as the session's plan says."""
    path = request.folder / PLAN
    try:
        plan: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return str(plan["exchange"]), tuple(map(str, plan["symbols"])), plan["market"] == "venue", plan.get(ACCOUNT)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} does not say where the session traded") from error


def account_lock(bridge: CCXTStore) -> AbstractContextManager[None]:
    """The lock of the account: one process each, whatever the session is called and wherever its folder is."""
    return owned(bridge.exchange, bridge._keys["apiKey"])


def open_facts(
    request: LiveRequest, market: SessionMarket, store: SessionStore, known: int | None, notify: Callable[..., None]
) -> dict[str, SessionFacts]:
    """Marks and funding of a session's perpetuals.

    Args:
        known: open time (ms UTC) of the newest bar that an earlier process recorded.
        notify: sends an alert.
    """
    at, feeds = None if market.practice is None else market.practice.address, request.settings.feeds
    name, url = (feeds.exchange, feeds.exchange_url) if at is None else (at.protocol, at.url)
    since = int(market.first_live.timestamp() * 1000)
    return {
        symbol: SessionFacts(
            symbol, request.timeframe, store.facts, CcxtVenue(name, base_url=url), since=since, known=known, hours=rules.funding_hours,
            missing=partial(_told, notify, symbol),
        )
        for symbol, rules in market.rules.items() if rules.is_perpetual
    }  # fmt: skip


def _told(notify: Callable[..., None], symbol: str, reason: str) -> None:
    notify("perpetual_facts_missing", symbol=symbol, reason=reason)
