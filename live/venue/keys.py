"""API keys of real accounts: from the environment or `.env`, nowhere else, and never shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from forwardtrader.core import environment as variables
from forwardtrader.core.errors import ConfigError, VenueRefused
from forwardtrader.feeds.venues.reach import require_encrypted


@contextmanager
def reporting_refused_keys(exchange: str) -> Iterator[None]:
    """Report a key that the venue refuses in the block as an error of configuration.

    Raises:
        ConfigError: the venue refused the key, its signature, or what it may do.
    """
    try:
        yield
    except VenueRefused as refusal:
        if type(refusal.__cause__).__name__ not in ("AuthenticationError", "PermissionDenied", "AccountNotEnabled"):
            raise
        name = exchange.upper()
        # ccxt calls it a password.
        more = f", {name}_PASSPHRASE" if "pass" in str(refusal).lower() else ""
        raise ConfigError(
            f"{refusal}: it does not take these keys; look at {name}_API_KEY and {name}_API_SECRET{more}, and at what the key may do there"
        ) from refusal


def api_keys(exchange: str, environment: Mapping[str, str] | None = None, *, url: str = "") -> dict[str, str]:
    """`api_key` and `api_secret` of an exchange, e.g. BINANCE_API_KEY and BINANCE_API_SECRET, and `passphrase` where there is one.

    Args:
        url: the address that they are for where it is not the venue's own; they are not read for one that is not encrypted.

    Raises:
        ConfigError: one of them is missing; the message names the variable.
        InvalidSetting: plain http to another machine.
    """
    require_encrypted(url)
    known = variables.environment() if environment is None else environment
    venue = exchange.upper()
    names = {"api_key": f"{venue}_API_KEY", "api_secret": f"{venue}_API_SECRET"}
    missing = [name for name in names.values() if not known.get(name)]
    if missing:
        raise ConfigError(f"{' and '.join(missing)} must be set in the environment or .env to trade at {exchange}")
    passphrase = known.get(f"{venue}_PASSPHRASE", "")
    return {argument: known[name] for argument, name in names.items()} | ({"passphrase": passphrase} if passphrase else {})


def ccxt_credentials(api_key: str, api_secret: str, passphrase: str = "") -> dict[str, str]:
    """Keys as a client of ccxt takes them."""
    return {"apiKey": api_key, "secret": api_secret} | ({"password": passphrase} if passphrase else {})
