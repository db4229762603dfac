"""Real ccxt clients, quickly: each is a fresh copy of one that was made for good. Making one takes longer than a simulated hour."""

from __future__ import annotations

import pickle
from functools import cache
from types import MethodType
from typing import Any, Final

from ccxt.async_support.base.throttler import Throttler

from forwardtrader.feeds.live.client import open_client

# What a client changes while it works; everything else is the description of its venue.
_STATE: Final = ("options", "urls", "has", "headers", "streaming", "balance", "orderbooks", "fundingRates", "tickers", "bidsasks", "trades",
                 "transactions", "ohlcvs", "clients", "tokenBucket")  # fmt: skip


@cache
def _template(exchange: str, linear: bool, keys: tuple[tuple[str, str], ...], base_url: str, ws_url: str) -> tuple[Any, bytes]:
    client = open_client(exchange, linear=linear, keys=dict(keys) or None, base_url=base_url, ws_url=ws_url)
    state = {name: client.__dict__[name] for name in _STATE if name in client.__dict__}
    state["streaming"] = {name: value for name, value in client.streaming.items() if not isinstance(value, MethodType)}
    return client, pickle.dumps(state)


def fresh_client(exchange: str, *, linear: bool = False, keys: dict[str, str] | None = None, base_url: str = "", ws_url: str = "") -> Any:
    """As `open_client`."""
    template, state = _template(exchange, linear, tuple(sorted((keys or {}).items())), base_url, ws_url)
    client = object.__new__(type(template))
    client.__dict__.update(template.__dict__)
    client.__dict__.update(pickle.loads(state))
    bound = {name: value for name, value in template.streaming.items() if isinstance(value, MethodType)}
    client.streaming |= {name: getattr(client, method.__name__) for name, method in bound.items()}
    client.throttler = Throttler(client.tokenBucket)
    return client
