"""What a session puts around itself before anything else: mailbox, heartbeat, supervisor and guardian."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from forwardtrader.core.clock import Clock
from forwardtrader.core.environment import environment
from forwardtrader.live.heartbeat import Heartbeat
from forwardtrader.live.mailbox import Mailbox
from forwardtrader.live.request import LiveRequest
from forwardtrader.live.supervision.account_access import AccountAccess
from forwardtrader.live.supervision.guardian_process import guardian_of
from forwardtrader.live.supervision.interruption import Interruption
from forwardtrader.live.supervision.supervisor import Supervisor
from forwardtrader.live.supervision.taking_back import flatten


def supervised(
    request: LiveRequest, clock: Clock, interruption: Interruption, access_of: Callable[[], AccountAccess | None], stack: ExitStack
) -> Supervisor:
    """The supervisor of a session whose lock is held, not started yet. Commands are received from here on, and answered to the very end.

    Args:
        access_of: finds the account that an earlier process left.
        stack: closes the mailbox.

    Raises:
        StorageFull: the session's folder cannot be written.
    """
    folder, live, known = request.folder, request.settings.live, environment()
    mailbox = Mailbox(folder, clock)
    stack.callback(mailbox.close)
    url = live.heartbeat_url or known.get("HEARTBEAT_URL", "")
    notify_socket = known.get("NOTIFY_SOCKET", "")
    heartbeat = Heartbeat(folder, clock, url=url, notify_socket=notify_socket, longest_turn_s=request.settings.risk.max_stall_s)
    alerts = known if live.telegram else {}
    guardian = partial(guardian_of, folder, name=request.name, cancels=live.orders_at_stop == "cancel", alerts=alerts)
    sell = partial(flatten, access_of, folder / "session.db")
    supervisor = Supervisor(folder, mailbox, heartbeat, interruption=interruption, flatten=sell, guardian=guardian)
    interruption.heard = supervisor.signalled
    return supervisor
