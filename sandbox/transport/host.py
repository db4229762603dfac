"""What the exchange takes from the machine it runs on: clocks, timers and randomness. A simulation gives its own."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from forwardtrader.core.clock import Clock, SystemClock

Act: TypeAlias = Callable[[], None]
Later: TypeAlias = Callable[[float, Act], None]  # seconds from now, and what is done then


def loop_later(seconds: float, act: Act) -> None:
    """A timer of the running event loop."""
    asyncio.get_running_loop().call_later(seconds, act)


@dataclass(frozen=True)
class Host:
    """The only source of time and chance: `monotonic` in seconds, `log_ns` stamps the request log, `later` sets a timer."""

    wall: Clock = field(default_factory=SystemClock)
    monotonic: Callable[[], float] = time.monotonic
    log_ns: Callable[[], int] = time.time_ns
    later: Later = loop_later
    random: random.Random = field(default_factory=random.SystemRandom)

    def token(self, size: int) -> str:
        """An identifier of `size` random bytes in hexadecimal."""
        return self.random.randbytes(size).hex()
