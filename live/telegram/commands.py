"""Control commands from the chat: sent to the session's own mailbox, as those of the command line are, and answered with what was done."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from forwardtrader.core import log
from forwardtrader.core.clock import Clock
from forwardtrader.core.errors import TradingError
from forwardtrader.live.control import ControlCommand
from forwardtrader.live.mailbox import is_withdrawn, send, wait_for_answer
from forwardtrader.live.request import LiveRequest
from forwardtrader.live.telegram.answers import answer_to
from forwardtrader.live.telegram.channel import TelegramChannel
from forwardtrader.live.telegram.conversation import Conversation, Question, Reaction, Say
from forwardtrader.live.telegram.received import Received

_LOG: Final = log.logger("live")
_PATIENCE_S: Final = 10.0  # without a sign of whoever carries a command out


class ChatCommands:
    """Answers one chat.

    Args:
        notify: sends an alert: kind, level and facts, as `SessionHealth.notify`; called in the channel's thread.
    """

    def __init__(
        self, channel: TelegramChannel, request: LiveRequest, clock: Clock, notify: Callable[..., None],
        *, monotonic: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._channel = channel
        self._request = request
        self._clock = clock
        self._notify = notify
        self._monotonic = monotonic
        self._conversation = Conversation(channel.chat_id)

    def begin(self) -> None:
        """Receive from now on."""
        self._channel.listen(self.react, lambda reason: self._notify("telegram_commands_not_received", "warning", reason=reason))

    async def react(self, message: Received) -> None:
        """Answer one message; one of a stranger is an alert once, and nothing more."""
        before = self._conversation.strangers
        reaction = self._conversation.react(message, now=self._monotonic(), clock_s=self._clock.now().timestamp())
        if before == 0 and self._conversation.strangers:
            self._notify("telegram_message_ignored", "warning", reason="it came from another chat; more of them are ignored in silence")
        if reaction is not None:
            self._channel.answer(await asyncio.to_thread(self._answer, reaction))

    def _answer(self, reaction: Reaction) -> str:
        try:
            if isinstance(reaction, ControlCommand):
                return self._command(reaction)
            if isinstance(reaction, Question):
                return f"{answer_to(reaction, self._request, self._clock)}{self._ignored(reaction)}"
        except TradingError as trouble:
            return str(trouble)
        except Exception as error:  # noqa: BLE001 - whoever asked must not wait for an answer that never comes
            _LOG.error("telegram command failed", exc_info=True)
            return f"that failed ({type(error).__name__}), see the log"
        return reaction.text if isinstance(reaction, Say) else ""

    def _command(self, verb: ControlCommand) -> str:
        log.event(_LOG, "command_given", logging.INFO, verb=str(verb), by="telegram")
        command = send(self._request.folder, verb, self._clock)
        answer = None if command is None else wait_for_answer(self._request.folder, command, _PATIENCE_S)
        if command is None or answer is None:
            withdrawn = command is not None and verb is not ControlCommand.KILL and is_withdrawn(self._request.folder, command)
            return f"the session does not answer, and the {verb} was withdrawn" if withdrawn else f"{verb}: not confirmed yet, see /status"
        text = answer.text.replace("--resume", "/resume").replace("--status", "/status").replace("--kill", "/kill")
        return text if answer.obeyed else f"NOT DONE: {text}"

    def _ignored(self, question: Question) -> str:
        count = self._conversation.strangers if question is Question.STATUS else 0
        return f"\n{count} messages of other chats were ignored" if count else ""
