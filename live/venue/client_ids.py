"""Client ids of orders, in a form that every venue accepts.

| venue | accepts |
|---|---|
| Binance | up to 36 of letters, digits and `.:/_-` |
| Bybit (`orderLinkId`) | up to 36 of letters, digits, `-` and `_` |
| OKX (`clOrdId`) | up to 32 letters and digits |
| Kraken (`cl_ord_id`) | up to 18 characters of text, or a UUID |

So an id is two letters, six of the run, six of the bar (or of a control command) and up to four that count: eighteen small letters and
digits at most. The six of the
run are a hash of its whole name, and names that begin alike do not share them.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_PREFIX: Final = "ft"
_RUN: Final = 6
_BAR: Final = 6  # seconds since 1970, until 2038
_HASHED: Final = re.compile(rf"{_PREFIX}[0-9a-z]{{{_RUN + _BAR + 1},{_RUN + _BAR + 4}}}")
_EARLIER: Final = re.compile(r"(.{1,16})-(?:[0-9a-z]{1,6}|c[^-]{1,12})-[0-9]+")
_COMMANDS: Final = 10**9  # a command stands where a bar does, at a second before 2001


def run_prefix(name: str) -> str:
    """How the client ids of a run begin, by its whole name."""
    return _PREFIX + _padded(_hash(name) % 36**_RUN, _RUN)


def client_id(prefix: str, bar: int, number: int) -> str:
    """The id of an order.

    Args:
        prefix: from `run_prefix`, or one of an earlier version, which ends in a hyphen.
        bar: open time of the bar it was decided on, milliseconds UTC.
        number: counts the orders of that bar.
    """
    if prefix.endswith("-"):
        return f"{prefix}{_base36(bar // 1000)}-{number}"
    return f"{prefix}{_padded(bar // 1000, _BAR)}{_base36(number)}"


def command_id(prefix: str, command: str, number: int) -> str:
    """The id of an order that a control command makes, wherever it is carried out.

    Args:
        command: what names it.
        number: counts its orders.
    """
    if prefix.endswith("-"):
        return f"{prefix}c{command[:12]}-{number}"
    return client_id(prefix, _hash(command) % _COMMANDS * 1000, number)


def begun_prefix(oldest: str, run: str) -> str:
    """How the ids of a run begin: as those that it was begun with.

    Args:
        oldest: the first id of its journal; "" for a run that begins now.
        run: its whole name.
    """
    return prefix_in(oldest) or run_prefix(run)


def own_prefixes(run: str, oldest: str = "") -> tuple[str, ...]:
    """How every id of a run may begin, in all forms that it may have begun with: for a journal that was lost.

    Args:
        run, oldest: as in `begun_prefix`.
    """
    known = prefix_in(oldest)
    return (known,) if known else (run_prefix(run), f"{run[:16]}-", f"ft-{run[:12]}-")


def prefix_in(client_id: str) -> str:
    """How the other ids of its run begin, also where it was made by an earlier version; "" for an id of another form.

    Earlier ones were cut from the name and not hashed, `ft-name-s44we8-1`; a run that was begun so goes on so.
    """
    if _HASHED.fullmatch(client_id):
        return client_id[: len(_PREFIX) + _RUN]
    return f"{found[1]}-" if (found := _EARLIER.fullmatch(client_id)) else ""


def looks_like_ours(client_id: str) -> bool:
    """Whether a client id may have been made by a session, in this form or the earlier one."""
    return prefix_in(client_id).startswith(_PREFIX)


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])


def _padded(value: int, width: int) -> str:
    return _base36(value).rjust(width, "0")


def _base36(value: int) -> str:
    digits = ""
    while value:
        value, rest = divmod(value, 36)
        digits = _DIGITS[rest] + digits
    return digits or "0"
