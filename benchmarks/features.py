"""What features cost: of a whole history, read back instead, and of one more bar; and what else a bar waits for.

    python -m benchmarks.features [--bars 60000]

Simulated hourly candles. The forecasts are those of a model of the usual shape, asked bar after bar in a loop, so everything is in the
caches; with factors they are those of two files of published values.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from forwardtrader.core import fingerprint
from forwardtrader.core.rooms.factor import FactorSettings
from forwardtrader.core.settings import ModelSettings
from forwardtrader.core.types import OHLCV, Timeframe
from forwardtrader.feeds.factors.book import PREFIX, FactorBook
from forwardtrader.feeds.history.sample_market import sample_candles
from forwardtrader.live.execution.write_ahead_log import WriteAheadLog
from forwardtrader.live.session.factors import LiveFactors
from forwardtrader.models.features.bars import Bars
from forwardtrader.models.features.catalogue import all_names, matrix, warm_up
from forwardtrader.models.forecaster import NewBar
from forwardtrader.models.forecasters.calibration import Calibration
from forwardtrader.models.forecasters.lstm import Ensemble, LstmSpec
from forwardtrader.models.forecasters.stepwise_inference import StepwiseInference
from forwardtrader.models.forecasters.trainer import initial_weights
from forwardtrader.models.online.serving import ServingModels, ServingTerm
from forwardtrader.models.parallel.workers import cores
from forwardtrader.models.registry.card import ModelCard, code_version

SYMBOL: Final = "BTC/USDT"
HOUR: Final = Timeframe.parse("1h")
UNTIL: Final = datetime(2025, 9, 1, tzinfo=UTC)
LOOPS: Final = 300
WRITES: Final = 60


def milliseconds(work: Callable[[], object], count: int, *, pause_s: float = 0.0) -> float:
    """The median of so many times, after a tenth as many that do not count."""
    took = []
    for _ in range(count + count // 10):
        time.sleep(pause_s)
        began = time.perf_counter()
        work()
        took.append((time.perf_counter() - began) * 1e3)
    return float(np.median(took[count // 10 :]))


def history(bars: pd.DataFrame, folder: Path) -> list[tuple[str, float]]:
    """All features of all bars: computed, and read from a file that its fingerprint names."""
    names, path = all_names(()), folder / "features.npy"
    np.save(path, matrix(Bars.of(bars), names))

    def read() -> object:
        return fingerprint.of_frame(bars), np.load(path)

    return [
        (f"{len(names)} features of {len(bars):,} bars, computed", milliseconds(lambda: matrix(Bars.of(bars), names), 10)),
        ("the same read back, with the fingerprint that names them", milliseconds(read, 10)),
    ]


def ensemble(features: int) -> Ensemble:
    usual = ModelSettings()
    spec = LstmSpec(features=features, units=usual.units, horizons=len(usual.horizons), context=usual.context)
    members = tuple(initial_weights(spec, seed) for seed in range(usual.seeds))
    return Ensemble(spec, np.zeros(features, np.float32), np.ones(features, np.float32), members)


def one_bar(bars: pd.DataFrame, facts: Any, factors: tuple[str, ...]) -> list[tuple[str, float]]:
    """A forecast as a session hears the bar, and by the plain path over the whole frame; both are the same bits."""
    usual, names = ModelSettings(), all_names(factors)
    model = ensemble(len(names))
    fitted = tuple(Calibration() for _ in usual.horizons)
    card = ModelCard(
        model_id="m", symbols=(SYMBOL,), timeframe="1h", horizons=usual.horizons, features=names, boundary="", train_from="", train_to="",
        train_bars=1, seeds=(0,), train_loss=0.0, seconds=0.0, reason="", calibrations={SYMBOL: fitted}, code_version=code_version(),
    )  # fmt: skip
    terms, needed = [ServingTerm(bars.index[0].to_pydatetime(), card)], warm_up(names) + usual.context - 1
    plain, quick = (
        ServingModels(SYMBOL, usual.horizons[0], HOUR, terms, lambda _id: model, context=usual.context, facts=facts) for _ in range(2)
    )
    took: list[tuple[float, float]] = []
    for row in range(needed, needed + LOOPS):
        bar, frame = heard(bars, row, needed), bars.iloc[row + 1 - needed : row + 1]
        began = time.perf_counter()
        told = quick.on_bar(bar)
        between = time.perf_counter()
        quick.prepare()
        again = time.perf_counter()
        if plain.latest(frame) != told:
            raise SystemExit("the two ways differ")
        took.append(((between - began) * 1e3, (time.perf_counter() - again) * 1e3))
    own = f"{len(names)} features, {len(factors)} factors"
    quickly, plainly = np.median(np.array(took[LOOPS // 10 :]), axis=0)
    return [(f"forecast of one more bar, {own}", quickly), ("the same over the whole frame", plainly)]


def heard(bars: pd.DataFrame, row: int, needed: int) -> NewBar:
    before, at = (moment.to_pydatetime() for moment in bars.index[row - 1 : row + 1])
    opened, high, low, close, volume = (float(bars[name].iloc[row]) for name in OHLCV)
    return NewBar(
        at=at, before=before, open=opened, high=high, low=low, close=close, volume=volume,
        frame=lambda: bars.iloc[row + 1 - needed : row + 1],
    )  # fmt: skip


def network() -> list[tuple[str, float]]:
    """The last step alone."""
    model = ensemble(len(all_names(())))
    step = StepwiseInference(model)
    window = np.random.default_rng(0).standard_normal((model.spec.context, model.spec.features), dtype=np.float32)
    step.prepare(window[:-1], "walked")
    return [("of it the network's step", milliseconds(lambda: step.forecast(window, "walked"), 10 * LOOPS))]


def disk(folder: Path) -> list[tuple[str, float]]:
    """An intent put into its log: after a pause, and right after another."""
    log, record = WriteAheadLog(folder / "journal.intents"), {"client_id": "x" * 24, "symbol": SYMBOL, "side": "buy", "size": "0.001"}
    try:
        paused = milliseconds(lambda: log.put(record), WRITES, pause_s=0.05)
        at_once = milliseconds(lambda: log.put(record), WRITES)
    finally:
        log.close()
    return [("an intent to the disk, after a pause of 50 ms", paused), ("the same right after another", at_once)]


def factor_files(bars: pd.DataFrame, folder: Path) -> list[FactorSettings]:
    """A value a day and one every eight hours, for as long as the candles."""
    made = []
    for name, hours in (("mood", 24), ("funding", 8)):
        times = pd.date_range(bars.index[0], bars.index[-1], freq=f"{hours}h")
        values = np.random.default_rng(hours).standard_normal(len(times)).cumsum()
        pd.DataFrame({"timestamp": times.strftime("%Y-%m-%dT%H:%M:%SZ"), "value": values}).to_csv(folder / f"{name}.csv", index=False)
        made.append(FactorSettings(file=str(folder / f"{name}.csv"), name=name, column="value", known_after=timedelta(0)))
    return made


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bars", type=int, default=60_000)
    said = parser.parse_args()
    bars = sample_candles(SYMBOL, HOUR, seed=0, until=UNTIL).iloc[-said.bars :]
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:  # where a session would write, not a file system in memory
        folder = Path(name)
        settings = factor_files(bars, folder)
        facts = LiveFactors(FactorBook(settings, HOUR), lambda *_told, **_facts: None)
        factors = tuple(PREFIX + factor.name for factor in settings)
        rows = [*history(bars, folder), *one_bar(bars, None, ()), *network(), *one_bar(bars, facts, factors), *disk(folder)]
    print(f"{platform.machine()}, {cores()} cores, load {os.getloadavg()[0]:.1f}; medians\n\n| | ms |\n|---|---|")
    print("\n".join(f"| {what} | {ms:.3g} |" for what, ms in rows))


if __name__ == "__main__":
    main()
