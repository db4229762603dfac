"""What is said to a session in its chat: which command a message is, and which of them must be confirmed. Decisions only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from forwardtrader.live.control import ControlCommand
from forwardtrader.live.telegram.received import Received

CONFIRM_WITHIN_S: Final = 60.0
OLDEST_S: Final = 120.0  # a command that Telegram kept for longer, as while the network was down, is not carried out
_CONFIRMED: Final = (ControlCommand.FLATTEN, ControlCommand.KILL)
_VERBS: Final = (ControlCommand.PAUSE, ControlCommand.RESUME, *_CONFIRMED)
HELP: Final = (
    "/status how the session stands\n/positions what is held\n/profit since the start\n/forecast the newest of each symbol\n"
    "/pause add to no position\n/resume trade again\n/flatten sell everything, and pause\n/kill no order any more, and end\n"
    "/flatten and /kill ask for a /yes"
)


class Question(StrEnum):
    """What is answered without changing anything."""

    STATUS = "status"
    POSITIONS = "positions"
    PROFIT = "profit"
    FORECAST = "forecast"


@dataclass(frozen=True)
class Say:
    """Answer with this text."""

    text: str


Reaction = Say | Question | ControlCommand | None


class Conversation:
    """The talk with one chat. Everybody else is ignored, and counted.

    Args:
        chat_id: the only chat that is listened to.
    """

    def __init__(self, chat_id: str) -> None:
        self._chat_id = chat_id
        self._asked: tuple[ControlCommand, float] | None = None
        self.strangers = 0

    def react(self, message: Received, *, now: float, clock_s: float) -> Reaction:
        """What to do about a message; None for nothing.

        Args:
            now: seconds on a monotonic clock, by which a confirmation is in time.
            clock_s: epoch seconds, by which the message's age is judged.
        """
        if message.chat_id != self._chat_id:
            self.strangers += 1
            return None
        word = message.text.split(maxsplit=1)[0].lower() if message.text.strip() else ""
        if not word.startswith("/") or "@" in word:  # in a group, where it is for another bot
            return None
        if (age := clock_s - message.at) > OLDEST_S:
            return Say(f"{word} is {age:.0f} s old by this machine's clock, and was not carried out; send it again")
        return self._obey(word.removeprefix("/"), now)

    def _obey(self, word: str, now: float) -> Reaction:
        asked, self._asked = self._asked, None
        if word == "yes":
            if asked is None or now - asked[1] > CONFIRM_WITHIN_S:
                return Say("there is nothing to confirm (a /flatten or /kill is confirmed within 60 s); nothing was done")
            return asked[0]
        if word in _CONFIRMED:
            self._asked = ControlCommand(word), now
            what = "sell everything at the market" if word == ControlCommand.FLATTEN else "stop every order and end the session"
            return Say(f"{what}? Reply /yes within 60 s")
        if word in _VERBS:
            return ControlCommand(word)
        if word in list(Question):
            return Question(word)
        return Say(HELP if word in ("help", "start") else f"/{word} is no command\n{HELP}")
