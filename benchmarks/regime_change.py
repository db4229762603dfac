"""How soon forecasts are as good again after the market changed: `python -m benchmarks.regime_change [--seeds N]`.

The sample market is made to follow its last bar: half of the log return before is taken from each one until the change, and added to each
from then on, so that what was learned is worse than nothing. The optimum is a model trained on a whole window that lies behind the
bars that are scored. Bars are counted from the change to the first week in which forecasts lose no more than a tenth more than it does.

The second table counts alarms where nothing changes, and models that pass a trial of a week as significantly better (nominal: 5 % of those
that are equal): on the sample market, and on one whose returns have signs of their own, so that nothing can be forecast. Both land in
`benchmarks/regime_change.md`; `--keep FILE` keeps what each seed came to, so that a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import pandas as pd

from forwardtrader.core.atomic import write_text
from forwardtrader.core.settings import LearningSettings, ModelSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.history.sample_market import sample_candles
from forwardtrader.models.folds.retrain import assignment_in, train
from forwardtrader.models.folds.training import forecast_rows
from forwardtrader.models.folds.walk import ServedFold, WalkForward, walk_forward
from forwardtrader.models.online.online_walk_forward import OnlineWalkForward, online_walk_forward
from forwardtrader.models.online.outcomes import outcomes
from forwardtrader.models.registry.promotion_log import Author, PromotionAction

PAGE: Final = Path(__file__).resolve().parent / "regime_change.md"
SYMBOL: Final = "BTC/USDT"
HOUR: Final = Timeframe.parse("1h")
SHARE: Final = 0.5
WINDOW: Final = timedelta(days=365)
CHANGE: Final = pd.Timestamp("2020-06-01", tz="UTC")
AFTER: Final = timedelta(days=300)
WEEK: Final = 168
TOLERANCE: Final = 1.1
NULL_YEARS: Final = ("2020-02-01", "2022-02-01")
KINDS: Final = ("schedule alone", "with early retraining", "and with correction at every bar")


def changed_market(seed: int, change: pd.Timestamp, until: datetime) -> pd.DataFrame:
    """Candles whose returns turn against the one before until the change, and go along with it afterwards."""
    base = sample_candles(SYMBOL, HOUR, seed=seed, until=until)
    plain = np.diff(np.log(base["close"].to_numpy()), prepend=np.log(base["open"].iloc[0]))
    sign = np.where(base.index < change, -SHARE, SHARE)
    made, last = np.empty_like(plain), 0.0
    for n, (own, share) in enumerate(zip(plain.tolist(), sign.tolist(), strict=True)):
        last = own + share * last
        made[n] = last
    return _moved(base, np.cumsum(made - plain))


def shuffled_market(seed: int, until: datetime) -> pd.DataFrame:
    """Candles that nothing can be forecast of but how far they move: the sample market with a sign of its own for each return."""
    base = sample_candles(SYMBOL, HOUR, seed=seed, until=until)
    plain = np.diff(np.log(base["close"].to_numpy()), prepend=np.log(base["open"].iloc[0]))
    sign = np.random.default_rng(seed).choice([-1.0, 1.0], len(plain))
    return _moved(base, np.cumsum(plain * sign - plain))


def _moved(base: pd.DataFrame, by: np.ndarray[tuple[int], np.dtype[np.float64]]) -> pd.DataFrame:
    """The candles with log prices moved by so much by the end of each."""
    before = np.append(0.0, by[:-1])
    made = base.assign(open=base["open"] * np.exp(before), close=base["close"] * np.exp(by))
    ends = made[["open", "close"]]
    middle = np.exp((before + by) / 2)
    return made.assign(
        high=np.maximum(base["high"] * middle, ends.max(axis=1)), low=np.minimum(base["low"] * middle, ends.min(axis=1))
    )  # fmt: skip


def recovery(seed: int, settings: ModelSettings) -> dict[str, float]:
    """Bars until forecasts are as good as the optimum again, by kind; those of `AFTER` where they are not by then."""
    change = CHANGE + timedelta(days=seed * 11 % 28, hours=seed * 7 % 24)
    first, last = change - timedelta(days=60), change + AFTER
    candles = changed_market(seed, change, (last + WINDOW + timedelta(days=2)).to_pydatetime())
    with TemporaryDirectory() as path:
        models = settings.model_copy(update={"save_path": path})
        walk = walk_forward({SYMBOL: candles}, first.to_pydatetime(), last.to_pydatetime(), settings=models, timeframe=HOUR)
        best = _losses(_optimum(walk, change, last), candles)
        early = online_walk_forward(
            walk, first.to_pydatetime(), last.to_pydatetime(), learning=LearningSettings(early=True), timeframe=HOUR
        )  # fmt: skip
        corrected = OnlineWalkForward(walk.panel, walk.settings, early.served, LearningSettings(adaptive=True), HOUR)
        return {
            name: bars_until(_losses(each, candles).loc[change:last], best.loc[change:last])
            for name, each in zip(KINDS, (walk, early, corrected), strict=True)
        }


def _optimum(walk: WalkForward, change: pd.Timestamp, last: pd.Timestamp) -> WalkForward:
    """Forecasts of the bars after the change by one model that was trained on the window behind them."""
    work = assignment_in(walk.panel, (last + WINDOW + timedelta(days=1)).to_pydatetime(), walk.settings, HOUR)
    card, index = train(work), walk.panel.index[SYMBOL]
    begin, end = (int(index.searchsorted(moment)) for moment in (change, last))
    raw = forecast_rows(walk.network(card.model_id), walk.panel, SYMBOL, np.arange(begin, end))
    fold = replace(work.fold[SYMBOL], effective_first=begin, effective_last=end)
    return replace(walk, served=(ServedFold({SYMBOL: fold}, card, {SYMBOL: raw}, "", cached=True),))


def _losses(walk: WalkForward, candles: pd.DataFrame) -> pd.Series:
    return outcomes(walk.frame(SYMBOL, 1), candles, 1)["loss"].dropna()


def bars_until(own: pd.Series, best: pd.Series) -> float:
    """Bars before the first week in which the losses are no more than a tenth above the best ones."""
    both = pd.concat([own, best], axis=1).dropna().to_numpy(dtype=np.float64)
    sums = np.cumsum(np.vstack([np.zeros(2), both]), axis=0)
    weeks = sums[WEEK:] - sums[:-WEEK]
    good = np.flatnonzero(weeks[:, 0] <= TOLERANCE * weeks[:, 1])
    return float(good[0] if len(good) else len(both))


def quiet_on(made: Callable[[int], pd.DataFrame], seed: int, settings: ModelSettings) -> list[int]:
    """On a market that is made of a seed: bars, alarms of drift in them, trials and promotions."""
    candles = made(seed)
    first, last = (pd.Timestamp(each, tz="UTC").to_pydatetime() for each in NULL_YEARS)
    with TemporaryDirectory() as path:
        models = settings.model_copy(update={"save_path": path})
        walk = walk_forward({SYMBOL: candles}, first, last, settings=models, timeframe=HOUR)
        early, tried = (
            online_walk_forward(walk, first, last, learning=LearningSettings.model_validate(learning), timeframe=HOUR)
            for learning in ({"early": True}, {"trial": WEEK, "promotion": "if better"})
        )
    assert isinstance(early, OnlineWalkForward) and isinstance(tried, OnlineWalkForward)
    alarms = [d for d in early.decisions if d.by is Author.DRIFT and "twice the time" not in d.reason]
    trials = [d.action is PromotionAction.PROMOTED for d in tried.decisions[1:]]
    return [int((last - first) / HOUR.delta), len(alarms), len(trials), sum(trials)]


def page(recovered: Sequence[Mapping[str, float]], quiet: Mapping[str, Sequence[Sequence[int]]], told: str) -> str:
    """Both tables."""
    lines = [f"# After the market changed\n\n{told}\n"]
    lines += ["| bars until as good again | median | middle half | of the schedule's |", "|---|---|---|---|"]
    usual = float(np.median([each["schedule alone"] for each in recovered]))
    for name in KINDS:
        bars = np.asarray([each[name] for each in recovered])
        low, middle, high = np.quantile(bars, [0.25, 0.5, 0.75])
        lines.append(f"| {name} | {middle:,.0f} | {low:,.0f} to {high:,.0f} | {middle / usual:.0%} |")
    lines += ["\n| where nothing changes | bars | alarms | of 20,000 bars | trials | promoted |", "|---|---|---|---|---|---|"]
    for name, counts in quiet.items():
        bars, called, trials, promoted = np.sum(counts, axis=0).tolist()
        lines.append(f"| {name} | {bars:,} | {called} | {20_000 * called / bars:.2f} | {trials} | {promoted} ({promoted / trials:.1%}) |")
    return "\n".join(lines) + "\n"


class Kept:
    """What each seed came to, in one file that is written anew after each; None keeps nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._found: dict[str, Any] = json.loads(path.read_text()) if path is not None and path.is_file() else {}

    def of(self, name: str, find: Callable[[], Any]) -> Any:
        if name not in self._found:
            self._found[name] = find()
            if self._path is not None:
                write_text(self._path, json.dumps(self._found))
            sys.stdout.write(f"{name}: {self._found[name]}\n")
            sys.stdout.flush()
        return self._found[name]


def main(argv: Sequence[str] | None = None) -> int:
    """Run all seeds, and write the page."""
    told = "how soon forecasts are as good again after a change"
    parser = argparse.ArgumentParser(prog="python -m benchmarks.regime_change", description=told)
    parser.add_argument("--seeds", type=int, default=50, help="of the market that changes")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--quiet-seeds", type=int, default=12, help="of each market that does not change")
    parser.add_argument("--forecaster", default="huber_linear")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="keep what each seed came to here, and go on from what is kept")
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args(argv)
    settings = ModelSettings.model_validate(
        {"forecaster": given.forecaster, "train_window": WINDOW, "seeds": 1, "jobs": 1, "horizons": (1,)}
    )
    kept, seeds, until = Kept(given.keep), range(given.first_seed, given.first_seed + given.seeds), datetime.fromisoformat(NULL_YEARS[1])
    recovered = [kept.of(f"change {seed}", partial(recovery, seed, settings)) for seed in seeds]
    markets: dict[str, Callable[[int], pd.DataFrame]] = {
        "sample market": lambda seed: sample_candles(SYMBOL, HOUR, seed=seed, until=until),
        "nothing to forecast": lambda seed: shuffled_market(seed, until),
    }
    quiet = {
        name: [kept.of(f"{name}, seed {seed}", partial(quiet_on, made, seed, settings)) for seed in range(given.quiet_seeds)]
        for name, made in markets.items()
    }
    told = (
        f"{given.seeds} seeds, forecasts of `{given.forecaster}` one bar ahead, windows of {WINDOW.days} days, a boundary every 28 days, "
        f"the change on any day between two; {AFTER.days} days were looked at after it."
    )
    write_text(given.page, page(recovered, quiet, told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
