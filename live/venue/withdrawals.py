"""Whether an API key may withdraw: queried where the venue has a call for it, and otherwise unknown, which is never taken for a no."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from forwardtrader.core import log
from forwardtrader.core.environment import environment
from forwardtrader.core.errors import ConfigError, VenueRefused, VenueUnreachable
from forwardtrader.live.venue.ccxt_client import CcxtClient
from forwardtrader.live.venue.retry import VenueQueries

ALLOWED: Final = "LIVE_ALLOW_WITHDRAWAL_KEY"
_LOG: Final = log.logger("live")


@dataclass(frozen=True)
class WithdrawalRight:
    """`may` is None where it is not known; `why` says why not."""

    may: bool | None
    why: str = ""

    @property
    def text(self) -> str:
        """In one line, for a person."""
        if self.may is None:
            return f"unknown: {self.why} whether this key may withdraw; make sure that it may not"
        return f"the key may withdraw, which {ALLOWED}=1 allows" if self.may else "the key cannot withdraw"


async def fetch_withdrawal_right(client: CcxtClient, queries: VenueQueries) -> WithdrawalRight:
    """The right of the client's key, from the venue; an answer that does not come, or does not contain it, leaves it unknown."""
    known = _CALLS.get(client.id)
    if known is None:
        return WithdrawalRight(None, "the venue cannot be asked")
    method, read = known
    try:
        may = read(await queries.ask(getattr(client, method)))
    except (VenueRefused, VenueUnreachable) as trouble:
        log.event(_LOG, "withdrawal_right_not_told", reason=str(trouble))
        may = None
    return WithdrawalRight(may, "" if may is not None else f"{client.id} was asked and did not say")


def require_no_withdrawals(right: WithdrawalRight) -> None:
    """Raise ConfigError for a key that could empty the account, unless that is meant."""
    if right.may and environment().get(ALLOWED) != "1":
        raise ConfigError(f"this API key may withdraw; make one that may only trade, or set {ALLOWED}=1 to use it")


def _binance(answer: object) -> bool | None:
    allowed = answer.get("enableWithdrawals") if isinstance(answer, dict) else None
    return {"true": True, "false": False}.get(str(allowed).lower())


def _bybit(answer: object) -> bool | None:
    rights = _at(answer, "result", "permissions", "Wallet")
    return "Withdraw" in rights if isinstance(rights, list) else None


def _okx(answer: object) -> bool | None:
    accounts = _at(answer, "data")
    rights = _at(accounts[0], "perm") if isinstance(accounts, list) and accounts else None
    return "withdraw" in rights.split(",") if isinstance(rights, str) and rights else None


def _kraken(answer: object) -> bool | None:
    rights = _at(answer, "result", "permissions")
    return any("withdraw" in str(right).lower() for right in rights) if isinstance(rights, list) and rights else None


def _kucoin(answer: object) -> bool | None:
    rights = _at(answer, "data", "permission")
    return "transfer" in rights.lower().split(",") if isinstance(rights, str) and rights else None  # its name for withdrawals


def _coinbase(answer: object) -> bool | None:
    allowed = _at(answer, "can_transfer")
    return allowed if isinstance(allowed, bool) else None


def _at(tree: object, *path: str) -> object:
    for name in path:
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree


# ccxt's method, and the parser of its answer.
_CALLS: Final[dict[str, tuple[str, Callable[[object], bool | None]]]] = {
    "binance": ("sapiGetAccountApiRestrictions", _binance),
    "binanceusdm": ("sapiGetAccountApiRestrictions", _binance),
    "bybit": ("privateGetV5UserQueryApi", _bybit),
    "okx": ("privateGetAccountConfig", _okx),
    "myokx": ("privateGetAccountConfig", _okx),
    "okxus": ("privateGetAccountConfig", _okx),
    "kraken": ("privatePostGetApiKeyInfo", _kraken),
    "kucoin": ("privateGetUserApiKey", _kucoin),
    "coinbase": ("v3PrivateGetBrokerageKeyPermissions", _coinbase),
}
