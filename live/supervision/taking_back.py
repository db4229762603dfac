"""Taking back what a session that does not run left resting at its venue."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Final

from forwardtrader.core import log
from forwardtrader.core.clock import SystemClock
from forwardtrader.core.errors import TradingError
from forwardtrader.live.control import ControlCommand
from forwardtrader.live.execution.account import CcxtAccount
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.supervision.account_access import AccountAccess, LoneAccount
from forwardtrader.live.supervision.account_actions import AccountDeeds, sell_out, stand_down

_LOG: Final = log.logger("live")
_PATIENCE_S: Final = 30.0


def take_back(access_of: Callable[[], AccountAccess | None]) -> str:
    """Cancel a session's open orders, and return what was done, or what is left to do, in one line; held by whoever has its lock.

    Args:
        access_of: finds the account; None where there is nothing that orders could rest at.
    """
    try:
        deeds = _on_account(access_of, lambda account, _run: stand_down(account, _PATIENCE_S))
    except (TradingError, TimeoutError) as trouble:
        reason = log.redact(str(trouble)) or "the venue does not answer"
        log.event(_LOG, "orders_not_taken_back", reason=reason)
        return f"its orders could NOT be cancelled ({reason}); cancel them at the venue"
    done = "no order of it rests anywhere" if deeds is None else deeds.text
    log.event(_LOG, "orders_taken_back", done=done)
    return done


def flatten(access_of: Callable[[], AccountAccess | None], store: Path, name: str) -> tuple[bool, str] | None:
    """Cancel a session's orders and sell what it holds, before it has an account of its own; it is paused from then on.

    Args:
        store: the session's database, which has what was commanded.
        name: of the command.

    Returns:
        Whether that was done, and what was; None where there is no account that could be reached.
    """
    try:
        deeds = _on_account(access_of, lambda account, run: sell_out(account, account.symbols, run, name, _PATIENCE_S))
    except (TradingError, TimeoutError) as trouble:
        log.event(_LOG, "not_flattened", reason=log.redact(str(trouble)))
        return None
    if deeds is None:
        return None
    recorded = SessionStore(store)
    recorded.command(recorded.last_bar() or 0, ControlCommand.FLATTEN, SystemClock().now().isoformat())
    recorded.close()
    return deeds.are_sold, f"flattened while the session starts, and paused until --resume; {deeds.text}"


def _on_account(
    access_of: Callable[[], AccountAccess | None], work: Callable[[CcxtAccount, str], Coroutine[object, object, AccountDeeds]]
) -> AccountDeeds | None:
    access = access_of()
    if access is None:
        return None
    account = LoneAccount(access)
    try:
        account.prepare()
        return account.use(lambda used: work(used, access.run))
    finally:
        account.close()
