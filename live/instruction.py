"""A control command from the command line: sent to a session, and its answer waited for."""

from __future__ import annotations

from functools import partial
from typing import Final

from forwardtrader.core.clock import Clock
from forwardtrader.core.errors import NotObeyed
from forwardtrader.live.control import ControlCommand, held, holder, is_running, lock_of
from forwardtrader.live.mailbox import Command, is_withdrawn, send, wait_for_answer
from forwardtrader.live.request import LiveRequest

_PATIENCE_S: Final = 10.0  # without a sign of whoever carries a command out


def instruct(request: LiveRequest, verb: ControlCommand, clock: Clock) -> str:
    """Send a control command and return what the session did, in one line.

    Raises:
        ConfigError: there is no such session, or it does not run.
        NotObeyed: the session did not do it, or does not answer.
    """
    command = send(request.folder, verb, clock)
    if command is None:
        return f"session {request.name}: {_at_rest(request, verb)}"
    answer = wait_for_answer(request.folder, command, _PATIENCE_S)
    if answer is None and verb is ControlCommand.KILL and not is_running(request.folder):
        return f"session {request.name}: {_at_rest(request, verb)}"  # it ended by itself meanwhile
    if answer is None:
        raise NotObeyed(f"session {request.name}: {_unanswered(request, command)}")
    if not answer.obeyed:
        raise NotObeyed(f"session {request.name}: {answer.text}")
    return f"session {request.name}: {answer.text}"


def _at_rest(request: LiveRequest, verb: ControlCommand) -> str:
    """What a kill or its end does to a session that does not run."""
    if verb is ControlCommand.RESUME:
        return "may start again"
    from forwardtrader.live.session.connection import account_access
    from forwardtrader.live.supervision.taking_back import take_back

    with held(lock_of(request.folder), f"session {request.name!r}"):
        return f"killed; it does not run, and will not start until --resume; {take_back(partial(account_access, request))}"


def _unanswered(request: LiveRequest, command: Command) -> str:
    number = holder(lock_of(request.folder))
    if command.verb is ControlCommand.KILL:
        return f"killed, no order leaves any more, but its process does not answer; end it (kill -9 {number}), then --kill again"
    if is_withdrawn(request.folder, command):
        return f"does not answer: it hangs, and the {command.verb} was withdrawn; use --kill"
    return f"the {command.verb} was begun and is not confirmed yet; look at --status"
