"""The messages that wait to be sent: bounded, deduplicated, and errors are never dropped. No clock and no network of its own."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Final

MOST_WAITING: Final = 100  # that are no errors
SAME_AGAIN_S: Final = 300.0  # within which a message that was sent already is counted rather than sent again
_MOST_KNOWN: Final = 500
_RANKS: Final = {"error": 1, "warning": 2}
_MARKS: Final = {"info": "", "warning": "! ", "error": "!! "}


@dataclass(frozen=True)
class Message:
    """A text for the chat, below a picture where there is one (PNG). Those without sound are shown and do not ring; an answer is to a
    command, and is never held back.
    """

    text: str
    level: str = "info"
    is_answer: bool = False
    picture: bytes = b""

    @property
    def is_critical(self) -> bool:
        """Whether it must arrive, however late."""
        return self.level == "error" or self.is_answer

    @property
    def rank(self) -> int:
        """Which is sent first: the lowest."""
        return 0 if self.is_answer else _RANKS.get(self.level, len(_RANKS) + 1)

    @property
    def is_silent(self) -> bool:
        return self.level == "info" and not self.is_answer


@dataclass
class _Sent:
    at: float
    repeats: int = 0


@dataclass
class Outbox:
    """What any thread puts in, and the one that sends takes out.

    Args:
        name: of the session; begins each text.
    """

    name: str
    dropped: int = 0
    _waiting: deque[Message] = field(default_factory=deque)
    _known: dict[tuple[str, str], _Sent] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, level: str, text: str, now: float) -> None:
        """Queue an alert; one that is known is counted, and one that finds the queue full is dropped, or one that
        matters less, unless it is an error.

        Args:
            now: seconds on a monotonic clock, here and in `take`.
        """
        with self._lock:
            known = self._known.get((level, text))
            if known is not None and now - known.at < SAME_AGAIN_S:
                known.repeats += 1
                return
            if level != "error" and len(self._waiting) >= MOST_WAITING:
                self.dropped += 1
                if not self._has_dropped_lesser(level):
                    return
            again = f" (and {known.repeats} times before)" if known is not None and known.repeats else ""
            self._known.pop((level, text), None)
            self._known[level, text] = _Sent(now)
            self._waiting.append(Message(f"{_MARKS.get(level, '')}{self.name}: {text}{again}", level))
            self._forget()

    def _has_dropped_lesser(self, level: str) -> bool:
        """Make room by dropping the newest message that matters less; whether there was one."""
        lesser = next((each for each in reversed(self._waiting) if each.rank > Message("", level).rank), None)
        if lesser is not None:
            self._waiting.remove(lesser)
        return lesser is not None

    def answer(self, text: str) -> None:
        """Queue the answer to a command, before everything else."""
        with self._lock:
            self._waiting.appendleft(Message(f"{self.name}: {text}", is_answer=True))

    def summary(self, text: str, picture: bytes) -> None:
        """Queue the summary of a day."""
        with self._lock:
            self._waiting.append(Message(f"{self.name}: {text}", picture=picture))

    def again(self, text: str) -> None:
        """Queue an error that an earlier process could not send, as it was."""
        with self._lock:
            self._waiting.append(Message(text, "error"))

    def take(self, now: float) -> Message | None:
        """The next message, answers, errors and warnings before others; None where none waits and no count of repeats is due."""
        with self._lock:
            if not self._waiting:
                return self._repeats_due(now)
            message = min(self._waiting, key=lambda each: each.rank)
            self._waiting.remove(message)
            return message

    def rest(self) -> list[Message]:
        """What still waits; nothing waits any more."""
        with self._lock:
            left = list(self._waiting)
            self._waiting.clear()
        return left

    def _repeats_due(self, now: float) -> Message | None:
        for (level, text), sent in self._known.items():
            if sent.repeats and now - sent.at >= SAME_AGAIN_S:
                message = Message(f"{_MARKS.get(level, '')}{self.name}: {text} ({sent.repeats} times more)", level)
                sent.at, sent.repeats = now, 0
                return message
        return None

    def _forget(self) -> None:
        """The oldest texts, once there are many; a count that was not sent is kept."""
        for key in [key for key, sent in self._known.items() if not sent.repeats][: max(0, len(self._known) - _MOST_KNOWN)]:
            del self._known[key]
