"""`python -m tests.live.kill_runner SPEC SYMBOLS FOLDER NAME BARS [flags]`: a session that is killed around the post of one kind of order.

SPEC is JSON: `point`, `side` and `kind` of the order, `count` (die at the count-th of them); or `writes` and `seconds`: die so long
after so many intents were written, wherever that is.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any, Final

from forwardtrader.core.command.cli import end_well
from forwardtrader.live.execution.events import Execution, Intent
from forwardtrader.live.execution.journal import Journal
from forwardtrader.live.execution.order_lookup import OrderLookup
from forwardtrader.live.execution.submit import OrderSubmitter
from tests.live.session_runner import request_for, run

POINTS: Final = ("before the wire", "before the answer is kept", "amid its executions", "after the answer is kept")
KINDS: Final = ("market", "limit", "stop")
SIDES: Final = ("buy", "sell")


def kind_of(intent: Intent) -> str:
    return "stop" if intent.request.stop_price is not None else "limit" if intent.request.limit_price is not None else "market"


class Fuse:
    """Kills this process when the point was reached often enough by an order of the kind."""

    def __init__(self, point: str, side: str, kind: str, count: int) -> None:
        self.point, self.side, self.kind, self.left = point, side, kind, count

    def at(self, point: str, intent: Intent) -> bool:
        """Whether the order stays at this point from now on, where its process does not die at once."""
        if (point, intent.request.side, kind_of(intent)) != (self.point, self.side, self.kind):
            return False
        self.left -= 1
        return not self.left and self.burn(intent)

    def burn(self, intent: Intent) -> bool:
        os.kill(os.getpid(), signal.SIGKILL)
        return True


def lay(fuse: Fuse) -> None:
    """Put the fuse around the wire and around what the account makes of an answer."""
    create, on_answer, book = OrderSubmitter._create, OrderLookup.on_answer, Journal.book

    async def dying_create(self: Any, intent: Intent, **named: Any) -> None:
        if fuse.at("before the wire", intent):
            await asyncio.Event().wait()
        await create(self, intent, **named)
        fuse.at("after the answer is kept", intent)

    async def dying_on_answer(self: Any, intent: Intent, answer: Any) -> None:
        if fuse.at("before the answer is kept", intent):
            await asyncio.Event().wait()
        await on_answer(self, intent, answer)

    def dying_book(self: Any, execution: Execution) -> bool:
        is_new = book(self, execution)
        intent = self.intent(execution.client_id)
        if is_new and intent is not None:
            fuse.at("amid its executions", intent)
        return is_new

    OrderSubmitter._create = dying_create  # type: ignore[method-assign]
    OrderLookup.on_answer = dying_on_answer  # type: ignore[method-assign]
    Journal.book = dying_book  # type: ignore[method-assign]


def light(writes: int, seconds: float) -> None:
    """Die at no point in particular."""
    left, insert = itertools.count(writes - 1, -1), Journal._insert

    def dying_insert(self: Any, *given: Any) -> bool:
        if next(left) == 0:
            threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL)).start()
        return insert(self, *given)

    Journal._insert = dying_insert  # type: ignore[method-assign]


if __name__ == "__main__":
    spec, symbols, where, called, count, *more = sys.argv[1:]
    asked = json.loads(spec)
    light(**asked) if "writes" in asked else lay(Fuse(**asked))
    sys.exit(end_well(lambda: run(request_for(Path(where), called, int(count), *more, symbols=tuple(symbols.split(","))))))
