"""Socket connections by kind, whatever carries them: who is connected, who may connect, and disconnects."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

MARKET: Final = "market"
USER: Final = "user"
GOING_AWAY: Final = 1001
POLICY_VIOLATION: Final = 1008


class MessageSink(Protocol):
    """The way to one client: messages arrive in order, and putting one never waits."""

    silent: bool  # a half-open connection: nothing gets through, nothing fails

    def put(self, message: Any) -> None:
        """Send a JSON value."""

    def put_bytes(self, message: bytes) -> None:
        """Send a formatted message."""

    def reset(self) -> None:
        """Abort the connection."""

    def close(self, code: int = GOING_AWAY) -> None:
        """Send a close frame, after what was put before."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """One open connection as its endpoint sees it: `receive` handles a message, `end` is called once it is gone."""

    receive: Callable[[str | bytes], None]
    end: Callable[[], object]


class SocketEndpoint(Protocol):
    """What is served at one socket address. `which` is its kind of connection."""

    @property
    def which(self) -> str: ...

    def connect(self, sink: MessageSink, path: str, query: Mapping[str, str]) -> Conversation:
        """A client has connected."""


@dataclass(frozen=True, slots=True)
class RefusedHandshake:
    """The HTTP answer to a handshake that is not accepted; `retry_after` is its header, in seconds."""

    status: int
    retry_after: str


class HandshakeGate(Protocol):
    """Accepts or refuses socket handshakes, e.g. a fault switch."""

    def refusal(self, which: str) -> RefusedHandshake | None:
        """The answer to a handshake of that kind of connection, or None to accept it."""
        ...


class Sockets:
    """All open connections by kind: `market` for public streams, `user` for the account's private ones.

    Args:
        monotonic: seconds, for a kind of connection that is shut for a while.
    """

    def __init__(self, gate: HandshakeGate, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._gate = gate
        self._monotonic = monotonic
        self._open: dict[str, dict[int, MessageSink]] = {MARKET: {}, USER: {}}
        self._shut_until = {MARKET: 0.0, USER: 0.0}

    def add(self, which: str, sink: MessageSink) -> None:
        self._open[which][id(sink)] = sink

    def discard(self, which: str, sink: MessageSink) -> None:
        self._open[which].pop(id(sink), None)

    def connections(self, which: str) -> list[MessageSink]:
        """The `market`, `user` or `all` connections, in the order in which they came."""
        kinds = (MARKET, USER) if which == "all" else (which,)
        return [sink for kind in kinds for sink in self._open[kind].values()]

    def disconnect(self, which: str, *, reset: bool, shut_s: float = 0.0) -> int:
        """Close connections and refuse new ones of that kind for `shut_s` seconds; returns how many were closed."""
        ended = self.connections(which)
        for kind in (MARKET, USER) if which == "all" else (which,):
            self._shut_until[kind] = self._monotonic() + shut_s
        for sink in ended:
            sink.reset() if reset else sink.close()
        return len(ended)

    def counts(self) -> dict[str, int]:
        """How many connections of each kind are open."""
        return {kind: len(self._open[kind]) for kind in (MARKET, USER)}

    def refusal(self, which: str) -> RefusedHandshake | None:
        """The answer to a handshake that is not accepted now."""
        if self._monotonic() < self._shut_until[which]:
            return RefusedHandshake(503, "1")
        return self._gate.refusal(which)
