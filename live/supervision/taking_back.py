"""Taking back what a session that does not run left resting at its venue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from forwardtrader.core import log
from forwardtrader.core.errors import TradingError
from forwardtrader.live.supervision.account_access import AccountAccess, LoneAccount
from forwardtrader.live.supervision.account_actions import stand_down

_LOG: Final = log.logger("live")
_PATIENCE_S: Final = 30.0


def take_back(access_of: Callable[[], AccountAccess | None]) -> str:
    """Cancel a session's open orders, and return what was done, or what is left to do, in one line; held by whoever has its lock.

    Args:
        access_of: finds the account; None where there is nothing that orders could rest at.
    """
    try:
        access = access_of()
        if access is None:
            return "no order of it rests anywhere"
        account = LoneAccount(access)
        try:
            account.prepare()
            done = account.use(lambda used: stand_down(used, _PATIENCE_S)).text
        finally:
            account.close()
    except (TradingError, TimeoutError) as trouble:
        reason = log.redact(str(trouble)) or "the venue does not answer"
        log.event(_LOG, "orders_not_taken_back", reason=reason)
        return f"its orders could NOT be cancelled ({reason}); cancel them at the venue"
    log.event(_LOG, "orders_taken_back", done=done)
    return done
