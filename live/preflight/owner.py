"""One owner of an account, and one account of a session.

The lock is shared by every session of this user, whatever folder it is started from. Plan and journal hold whose orders they are.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Final

from forwardtrader.core import atomic
from forwardtrader.core.environment import environment
from forwardtrader.core.errors import ConfigError
from forwardtrader.live import control
from forwardtrader.live.execution.journal import Journal
from forwardtrader.live.request import LiveRequest
from forwardtrader.live.venue.identity import AccountIdentity, key_fingerprint, practice_account, real_account, require_same_account
from forwardtrader.live.venue.keys import api_keys

ACCOUNT: Final = "account"  # under which name plan and journal keep it


def account_of(request: LiveRequest, protocol: str = "") -> AccountIdentity:
    """The account that a session with real orders trades.

    Args:
        protocol: what the practice exchange of the session speaks.

    Raises:
        ConfigError: the keys are missing, or the address is not encrypted.
    """
    if request.sandbox:
        return practice_account(protocol, request.symbols)
    feeds = request.settings.feeds
    keys = api_keys(feeds.exchange, url=feeds.exchange_url)
    return real_account(feeds.exchange, feeds.exchange_url, keys["api_key"], request.symbols)


def require_journal_of(account: AccountIdentity, journal: Journal, session: str) -> None:
    """Require that a journal holds orders of this account, or of none yet. Raises StartRefused."""
    require_same_account(journal.recall(ACCOUNT), account, session)


def remember_account(journal: Journal, account: AccountIdentity) -> None:
    """Write down whose orders the journal holds."""
    journal.remember(ACCOUNT, asdict(account))


@contextmanager
def owned(venue: str, api_key: str) -> Iterator[None]:
    """Hold an account while the block runs.

    Raises:
        AccountLocked: another process of this user trades with the same key, from this folder or any other.
        ConfigError: the user's state folder cannot be written.
    """
    name = f"{venue}-{key_fingerprint(venue, api_key)}"
    folder = state_folder() / "accounts"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be made ({type(error).__name__}); let XDG_STATE_HOME name a folder that you may write"
        ) from error
    with control.held(folder / f"{name}.lock", f"the account {name}", "one session trades an account; stop that one first"):
        yield


def machine_name() -> str:
    """The host's name and a random number that this user's state folder keeps: equal after a restart, another one on another machine."""
    path = state_folder() / "machine"
    try:
        if not path.is_file():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            atomic.write_text(path, secrets.token_hex(8))
        return f"{socket.gethostname()} ({path.read_text(encoding='utf-8').strip()})"
    except OSError as error:
        raise ConfigError(f"{path} cannot be written; let XDG_STATE_HOME name a folder that you may write") from error


def state_folder() -> Path:
    """The folder that all projects of this user share: forwardtrader under XDG_STATE_HOME, else under ~/.local/state.

    Raises:
        ConfigError: the user has no home.
    """
    named = environment().get("XDG_STATE_HOME", "")
    try:
        return Path(named if Path(named).is_absolute() else Path.home() / ".local" / "state") / "forwardtrader"
    except RuntimeError as error:
        raise ConfigError("this user has no home folder; let XDG_STATE_HOME name one, where the locks of accounts are kept") from error
