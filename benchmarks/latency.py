"""From a closed bar to its order, our whole strategy between them: `python -m benchmarks.latency`.

A session trades with real orders on the practice exchange, whose market runs by its clock, ten bars a second. Every bar is forecast
by the trained model and decided by `LSTMStrategy`; only the sign of the forecast is turned by turns, so that every bar has its order.
Two ways are measured:

- whole: closed candle pushed by the exchange to order received by it, both stamped there;
- ours: closed candle heard to order request handed to the HTTP client.

A second, shorter session trains models in child processes nearly all the time. At last the journal's part of the way is measured by itself:
an intent written and forced to the disk, one after the other and with a pause before each, when nothing of it is in the caches any more.

A rented machine is not equally fast all the time, so the processor time of a loop is taken after every bar: orders of bars at which it took
hardly longer than at its best are told once more by themselves.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console

from forwardtrader.core.clock import SystemClock
from forwardtrader.core.types import Forecast, OrderRequest, Side
from forwardtrader.feeds.candles.bar import Bar
from forwardtrader.live.bridge.store import CCXTStore
from forwardtrader.live.execution.events import Intent
from forwardtrader.live.execution.journal import Journal
from forwardtrader.live.monitoring.terminal import SessionView
from forwardtrader.live.request import LiveRequest, read_request
from forwardtrader.live.session.parts import SessionParts
from forwardtrader.live.session.sandbox_process import PracticeVenue
from forwardtrader.live.session.session import LiveSession
from forwardtrader.models.forecaster import NewBar
from forwardtrader.models.online.serving import ServingModels

TARGETS = {"whole": (8.0, 25.0)}
WORST_MS = 200.0
APPENDS = {"in a loop": (2000, 0.0), "with pauses of 20 ms": (1000, 0.02)}
APPEND_P99_MS = 3.0
FLAGS = ("--sandbox", "--live", "--yes-real-money", "--yes-real-money", "--quiet", "--session", "latency")
SETTINGS = (
    "models.train_window=120d", "strategies.cooldown=0d", "strategies.max_daily_loss=1",
    "strategies.max_drawdown=1", "live.telegram=false",
)  # fmt: skip
CALM = ("models.retrain_every=60d",)  # no boundary falls into a session of a thousand bars
_TRAINING = ("models.retrain_every=3d", "models.epochs=12", "models.anew_every=1")
_LOOP = 5000
_HARDLY = 1.2  # times the loop's fastest tenth
_MOVE = 0.2  # a log return no cost stands against: up at one bar, down at the next


@dataclass(frozen=True)
class Ways:
    """Milliseconds of each order's way; `training` says during which a model was trained, `loop` what a loop took after each of `ours`."""

    whole: NDArray[np.float64]
    ours: NDArray[np.float64]
    training: NDArray[np.bool_]
    loop: NDArray[np.float64]

    @property
    def at_full_speed(self) -> NDArray[np.float64]:
        """Those of `ours` whose machine was hardly slower than at its best."""
        return self.ours[self.loop <= _HARDLY * np.percentile(self.loop, 10)] if len(self.loop) else self.ours


class ByTurns:
    """The forecasts of `maker`, made in full, then moved up and down by turns."""

    def __init__(self, maker: ServingModels) -> None:
        self.maker, self.horizon, self.warm_up = maker, maker.horizon, maker.warm_up
        self.timeframe_s = maker.timeframe_s
        self._sign = -1.0

    def latest(self, bars: pd.DataFrame) -> Forecast | None:
        return self._moved(self.maker.latest(bars))

    def on_bar(self, bar: NewBar) -> Forecast | None:
        return self._moved(self.maker.on_bar(bar))

    def prepare(self) -> None:
        self.maker.prepare()

    def _moved(self, told: Forecast | None) -> Forecast | None:
        self._sign = -self._sign
        return None if told is None else replace(told, location=self._sign * _MOVE)


class Measured(LiveSession):
    """A session that notes when a bar was heard and when an order left."""

    def __init__(self, request: LiveRequest) -> None:
        super().__init__(request, SystemClock(), SessionView(Console(), shown=False))
        self.heard: list[int] = []
        self.heard_of: list[int] = []
        self.left: list[int] = []
        self.loops: list[tuple[int, int]] = []
        self.entries: list[dict[str, Any]] = []

    def bar_done(self, strategy: Any, number: float) -> None:
        super().bar_done(strategy, number)
        self.loops.append(_loop())

    def assemble(self, stack: ExitStack) -> SessionParts:
        parts = super().assemble(stack)
        for source in parts.sources.values():
            assert isinstance(source.source, ServingModels)
            source.source = ByTurns(source.source)
        self._note_times(parts.bridge)
        stack.callback(self._keep_log, parts.market.practice)
        return parts

    def _note_times(self, bridge: CCXTStore) -> None:
        assert bridge.account is not None
        hear = bridge.handle_bar

        def heard(symbol: str, bar: Bar) -> None:
            self.heard.append(time.time_ns())
            self.heard_of.append(bar.at)
            hear(symbol, bar)

        bridge.handle_bar = heard  # type: ignore[method-assign]
        client: Any = bridge.account.client
        request, left = client.fetch, self.left

        async def noted(url: str, method: str = "GET", *rest: Any, **more: Any) -> Any:
            if method == "POST":
                left.append(time.time_ns())
            return await request(url, method, *rest, **more)

        client.fetch = noted

    def _keep_log(self, practice: PracticeVenue | None) -> None:
        if practice is not None:
            self.entries = practice.control("log")["entries"]


def measure(bars: int, per_second: float = 10.0, *, training: bool = False, models: Path | None = None, more: Sequence[str] = ()) -> Ways:
    """Run a session of `bars` bars, with models trained beside it or without.

    Args:
        models: the folder of trained ones; one of its own where None.
        more: further settings.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        models = models or folder / "models"
        places = (f"live.sessions_path={folder}", f"live.state_path={folder / 'state.db'}", f"models.save_path={models}")
        words = [word for setting in (*SETTINGS, *(_TRAINING if training else CALM), *places, *more) for word in ("--set", setting)]
        speed = ("--speed", f"{3600 * per_second:g}")  # of bars of an hour
        session = Measured(read_request([*FLAGS, *speed, "--bars", str(bars), *words]))
        session.run()
        return _ways(session, _trainings(folder / "latency" / "log.jsonl"))


def measure_appends(count: int, pause_s: float = 0.0) -> NDArray[np.float64]:
    """Milliseconds that each of `count` intents took to be in the journal and on the disk."""
    with TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "journal.db")
        try:
            return np.array(list(_appends(journal, count, pause_s)))
        finally:
            journal.close()


def _appends(journal: Journal, count: int, pause_s: float) -> Iterator[float]:
    request = OrderRequest(symbol="BTC/USDT", side=Side.BUY, size=Decimal("0.01"), limit_price=Decimal(60_000))
    for number in range(count):
        time.sleep(pause_s)
        before = time.perf_counter_ns()
        journal.write(Intent(client_id=f"latency-{number}", request=request, bar=0))
        yield (time.perf_counter_ns() - before) / 1e6


def _loop() -> tuple[int, int]:
    """When it was begun, and the processor time it took, ns."""
    at, before, total = time.time_ns(), time.thread_time_ns(), 0
    for n in range(_LOOP):
        total += n
    return at, time.thread_time_ns() - before


def _ways(session: Measured, trainings: list[tuple[float, float]]) -> Ways:
    closed = [e["at_ns"] for e in session.entries if e["kind"] == "closed candle"]
    came = [e["at_ns"] for e in session.entries if e["kind"] == "rest" and e["name"] == "POST order"]
    whole = _pairs(closed, came)
    training = [any(begin <= start / 1e9 <= end for begin, end in trainings) for start, _ in whole]
    ours, begun = _pairs(session.heard, session.left), np.array([at for at, _ in session.loops])
    after = np.minimum(begun.searchsorted([start for start, _ in ours]), len(begun) - 1)
    loop = np.array([took / 1e6 for _, took in session.loops])[after]
    return Ways(_milliseconds(whole), _milliseconds(ours), np.array(training, dtype=bool), loop)


def _pairs(starts: list[int], ends: list[int]) -> list[tuple[int, int]]:
    """Each end with the newest start before it; of several ends after one start the first counts."""
    found: dict[int, int] = {}
    times = np.array(starts)
    for end in ends:
        place = int(times.searchsorted(end, side="right")) - 1
        if place >= 0:
            found.setdefault(starts[place], end)
    return sorted(found.items())


def _milliseconds(pairs: list[tuple[int, int]]) -> NDArray[np.float64]:
    return np.array([(end - start) / 1e6 for start, end in pairs])


def _trainings(log: Path) -> list[tuple[float, float]]:
    """When a child process was training, in epoch seconds."""
    found: list[tuple[float, float]] = []
    for line in log.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        at = datetime.fromisoformat(entry["at"]).timestamp()
        if entry["event"] == "training_began":
            found.append((at, float("inf")))
        elif entry["event"] == "training_done":
            found[-1] = (found[-1][0], at)
    return found


def facts_of(ways: NDArray[np.float64]) -> dict[str, float]:
    p50, p95, p99, worst = (float(np.percentile(ways, q)) for q in (50, 95, 99, 100)) if len(ways) else (float("nan"),) * 4
    return {"n": len(ways), "p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "max_ms": worst}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--bars", type=int, default=1000)
    parser.add_argument("--per-second", type=float, default=10.0, help="bars the market plays in a second")
    parser.add_argument("--training-bars", type=int, default=300, help="bars of the session beside which models are trained; 0 for none")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    ways = measure(given.bars, given.per_second)
    parts = {"whole": ways.whole, "ours": ways.ours, "ours at full speed": ways.at_full_speed}
    if given.training_bars:
        beside = measure(given.training_bars, given.per_second, training=True)
        parts["whole, while a model trains"] = beside.whole[beside.training]
    facts = {name: facts_of(part) for name, part in parts.items()}
    appends = {name: facts_of(measure_appends(*how)) for name, how in APPENDS.items()}
    if given.json:
        print(json.dumps(facts | {f"journal, {name}": each for name, each in appends.items()}))
        return 0
    fast, usual, slow = (float(q) for q in np.percentile(ways.loop, (10, 50, 90)))
    print(f"the machine: a loop took {fast:.2f} ms in its fastest tenth, {usual:.2f} in the median, {slow:.2f} in its slowest tenth")
    for name, f in facts.items():
        line = f"{f['n']} orders, {name}: p50 {f['p50_ms']:.1f} ms, p95 {f['p95_ms']:.1f}, p99 {f['p99_ms']:.1f}, max {f['max_ms']:.1f}"
        aims = TARGETS.get(name)
        worst = f" (to reach: max {WORST_MS:g})" if "trains" in name else ""
        print(line + (f" (to reach: p50 {aims[0]:g}, p99 {aims[1]:g})" if aims else worst))
    each = (f"{name} p50 {f['p50_ms']:.2f} ms, p95 {f['p95_ms']:.2f}, p99 {f['p99_ms']:.2f}" for name, f in appends.items())
    print(f"an intent appended to the journal: {'; '.join(each)} (to reach: p99 {APPEND_P99_MS:g})")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
