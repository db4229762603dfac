"""What each kind of learning from outcomes is worth, one at a time: `python -m benchmarks.ablation [--seeds N] [--data DIR]`.

Each row is one kind of learning added to the calendar with warm starts, which ships; the first row is the calendar without them. Forecasts
are scored four bars ahead, out of sample, and traded long and short in one account by the rule for all symbols together. Markets are seeds
of the sample market, or with `--data` the hourly candles of DIR (`binance_spot_BTCUSDT_1h.csv.gz` and so on), all coins in one account.

Differences are paired with the row that ships, bar by bar for losses (Diebold and Mariano 1995, all markets together, positive is better)
and day by day for the Sharpe ratio, of returns in units of each row's own volatility. A kind of learning may be on by default where it
lowers the loss (p below 0.05) or raises the Sharpe ratio beyond its interval, and makes neither worse. The table lands in
`benchmarks/ablation.md`, that of coins in `benchmarks/ablation_coins.md`; `--keep DIR` keeps what each market came to, so that a run that
was stopped goes on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.core import fingerprint
from forwardtrader.core.atomic import write_bytes, write_text
from forwardtrader.core.settings import LearningSettings, ModelSettings, StrategySettings
from forwardtrader.core.types import MarketRules, Timeframe
from forwardtrader.feeds.history.sample_market import sample_candles
from forwardtrader.models.folds.walk import WalkForward, walk_forward
from forwardtrader.models.online.online_walk_forward import OnlineWalkForward, online_walk_forward
from forwardtrader.models.online.outcomes import outcomes
from forwardtrader.reports.statistics import metrics
from forwardtrader.reports.statistics.significance import MeanTest, mean_test, paired_differences
from forwardtrader.strategies.replay import Replay
from forwardtrader.strategies.replay_track import Tape

Floats = NDArray[np.float64]
PAGE: Final = Path(__file__).resolve().parent / "ablation.md"
COINS_PAGE: Final = PAGE.with_name("ablation_coins.md")
COINS: Final = ("BTC", "ETH", "XRP", "ADA", "LTC", "LINK", "DOGE")
HOUR: Final = Timeframe.parse("1h")
HORIZON: Final = 4
CASH: Final = 1_000_000.0
SHIPPED: Final = "+ warm start"
Candles = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Kind:
    """One row: settings that differ from the calendar with warm starts; `rows` of another shipped forecaster where it is one."""

    learning: Mapping[str, Any] = field(default_factory=dict)
    models: Mapping[str, Any] = field(default_factory=dict)


KINDS: Final[dict[str, Kind]] = {
    "schedule only": Kind(models={"anew_every": 1}),
    SHIPPED: Kind(),
    "+ intervals": Kind({"intervals": True}),
    "+ location": Kind({"adaptive": True}),
    "+ cost learning": Kind({"costs": True}),
    "+ edge map": Kind({"edge": True}),
    "+ volatility": Kind({"volatility": True}),
    "+ aggregation": Kind(models={"forecaster": "aggregate"}),
    "+ drift": Kind({"early": True}),
    "all of them": Kind({"adaptive": True, "costs": True, "edge": True, "volatility": True, "early": True}),
}


@dataclass
class Found:
    """What one kind came to on one market: loss by bar, coverage of the 90 % band by half year, daily returns, and turnover a year."""

    losses: pd.Series[float]
    coverage: float
    worst: float
    returns: pd.Series[float]
    turnover: float


@dataclass(frozen=True)
class Kept:
    """What markets came to, one file for each, in `folder`; None keeps nothing. Files of other `terms` are left alone."""

    folder: Path | None
    terms: str

    def read(self, market: str) -> dict[str, Found]:
        """What kinds of learning came to on a market so far."""
        path = self._path(market)
        if path is None or not path.is_file():
            return {}
        with np.load(path) as file:
            return {name: _from_arrays([file[f"{name}/{n}"] for n in range(_ARRAYS)]) for name in file["kinds"].tolist()}

    def write(self, market: str, found: Mapping[str, Found]) -> None:
        path = self._path(market)
        if path is None:
            return
        arrays = {f"{name}/{n}": array for name, each in found.items() for n, array in enumerate(_to_arrays(each))}
        content = BytesIO()
        np.savez_compressed(content, allow_pickle=False, kinds=np.array(list(found)), **arrays)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, content.getvalue())

    def _path(self, market: str) -> Path | None:
        return None if self.folder is None else self.folder / f"{market.replace(' ', '-')}-{self.terms}.npz"


_ARRAYS: Final = 5


def _to_arrays(found: Found) -> list[NDArray[Any]]:
    series = [(pd.DatetimeIndex(each.index).as_unit("ns").asi8, each.to_numpy(np.float64)) for each in (found.losses, found.returns)]
    return [*series[0], *series[1], np.array([found.coverage, found.worst, found.turnover])]


def _from_arrays(arrays: Sequence[NDArray[Any]]) -> Found:
    losses, returns = (pd.Series(arrays[n + 1], pd.DatetimeIndex(arrays[n], tz="UTC")) for n in (0, 2))
    coverage, worst, turnover = arrays[4].tolist()
    return Found(losses, coverage, worst, returns, turnover)


@dataclass(frozen=True)
class Terms:
    """How forecasts are made and traded."""

    models: ModelSettings
    strategies: StrategySettings
    first: pd.Timestamp
    last: pd.Timestamp


def markets(given: argparse.Namespace) -> Iterator[tuple[str, Candles]]:
    """Every market with its name: the coins of a folder, or seeds of the sample market."""
    last = pd.Timestamp(given.last, tz="UTC")
    if given.data is not None:
        yield f"{len(given.coins)} coins", coin_candles(given.data, given.coins, last)
        return
    for seed in range(given.seeds):
        symbols = [f"{coin}/USDT" for coin in given.coins]
        yield f"seed {seed}", {s: sample_candles(s, HOUR, seed=seed, until=last.to_pydatetime()) for s in symbols}


def coin_candles(folder: Path, coins: Sequence[str], last: pd.Timestamp) -> Candles:
    """The candles of a folder up to a moment, by symbol."""
    files = {coin: folder / f"binance_spot_{coin}USDT_1h.csv.gz" for coin in coins}
    read = {coin: pd.read_csv(path, parse_dates=["timestamp"]).set_index("timestamp") for coin, path in files.items()}
    return {f"{coin}/USDT": frame.loc[frame.index < last] for coin, frame in read.items()}


def tried(candles: Candles, kinds: Mapping[str, Kind], terms: Terms, path: str) -> Iterator[tuple[str, Found]]:
    """These kinds on one market, one after the other."""
    walks: dict[tuple[int, str, bool], WalkForward] = {}
    for name, kind in kinds.items():
        learning = LearningSettings.model_validate({"intervals": False, **kind.learning})
        models = terms.models.model_copy(update={**kind.models, "save_path": path})
        key = (models.anew_every, models.forecaster, learning.early)
        if key not in walks:
            walks[key] = _walk(candles, models, learning, terms)
        walk = walks[key]
        corrects = learning.corrects(models.forecaster)
        corrected = OnlineWalkForward(walk.panel, walk.settings, walk.served, learning, HOUR) if corrects else walk
        yield name, _found(candles, corrected, learning, terms)


def _walk(candles: Candles, models: ModelSettings, learning: LearningSettings, terms: Terms) -> WalkForward:
    """The models that are in force, without corrections of their forecasts."""
    first, last = terms.first.to_pydatetime(), terms.last.to_pydatetime()
    walk = walk_forward(candles, first, last, settings=models, timeframe=HOUR)
    return online_walk_forward(
        walk, first, last, learning=learning.model_copy(update={"adaptive": False, "intervals": False}), timeframe=HOUR
    )


def _found(candles: Candles, walk: WalkForward, learning: LearningSettings, terms: Terms) -> Found:
    losses, covered, tapes = [], [], []
    for symbol, bars in candles.items():
        told = walk.frame(symbol, HORIZON)
        told = told.loc[told.index >= terms.first]
        scored = outcomes(told, bars, HORIZON)
        losses.append(scored["loss"].rename(symbol))
        covered.append(scored["covered"].astype(float).rename(symbol))
        traded = bars.loc[bars.index >= terms.first]
        forecasts = told[["location", "scale"]].reindex(traded.index)
        tapes.append(Tape(bars=traded, forecasts=forecasts, market=_rules(symbol), timeframe=HOUR, horizon=HORIZON))
    inside = pd.concat(covered, axis=1)
    at = pd.DatetimeIndex(inside.index)
    halves = inside.groupby(np.asarray(2 * at.year + (at.month > 6))).mean()
    locations = [tape.forecasts["location"].to_numpy(dtype=np.float64) for tape in tapes]
    fills, equity = Replay(tapes, terms.strategies, learning).run(locations)
    years = (equity.index[-1] - equity.index[0]) / timedelta(days=365.25)
    notional, worth = float((fills["size"] * fills["price"]).sum()), float(equity["equity"].mean())
    returns = metrics.returns_of(metrics.daily(equity["equity"]), CASH).fillna(0.0)
    return Found(
        pd.concat(losses, axis=1).mean(axis=1), float(np.nanmean(inside)), float(halves.to_numpy().min()), returns,
        metrics.turnover(notional, worth, years),
    )  # fmt: skip


def _rules(symbol: str) -> MarketRules:
    base, _, quote = symbol.partition("/")
    least = Decimal("0.00001")
    return MarketRules(
        symbol=symbol, base=base, quote=quote, tick=least, step=least, min_size=least, min_notional=Decimal(5), can_short=True
    )


def loss_test(own: Sequence[Found], base: Sequence[Found]) -> MeanTest:
    """How much lower the losses of a kind are, over all markets."""
    pairs = [pd.concat([b.losses, o.losses], axis=1).dropna().to_numpy(dtype=np.float64) for o, b in zip(own, base, strict=True)]
    return mean_test(np.concatenate([paired_differences(pair[:, 0], pair[:, 1]) for pair in pairs]), horizon=HORIZON)


def sharpe_test(own: Sequence[Found], base: Sequence[Found]) -> MeanTest:
    """How much higher the Sharpe ratio of a kind is, a day, over all markets."""
    daily = [_in_units(o.returns) - _in_units(b.returns) for o, b in zip(own, base, strict=True)]
    return mean_test(np.concatenate(daily))


def _in_units(returns: pd.Series[float]) -> Floats:
    spread = float(returns.std())
    return np.asarray(returns / spread if spread > 0.0 else returns * 0.0, dtype=np.float64)


def row(name: str, own: Sequence[Found], base: Sequence[Found]) -> str:
    """One line of the table."""
    loss, sharpe = float(np.mean([o.losses.mean() for o in own])), float(np.mean([metrics.sharpe(o.returns, 365) for o in own]))
    lower, higher = loss_test(own, base), sharpe_test(own, base)
    cells = [
        name, f"{loss:.5f}", _with_interval(lower, 1e4, f", p {lower.p:.2g}"),
        f"{np.mean([o.coverage for o in own]):.1%}", f"{min(o.worst for o in own):.1%}",
        f"{sharpe:.2f}", _with_interval(higher, 365**0.5), f"{np.mean([o.turnover for o in own]):.0f}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _with_interval(test: MeanTest, unit: float, more: str = "") -> str:
    """A mean difference with its 95 % interval."""
    if not np.isfinite(test.statistic) or test.statistic == 0.0:
        return "same"
    half = 1.96 * abs(test.mean / test.statistic) * unit
    return f"{test.mean * unit:+.2f} ({test.mean * unit - half:+.2f} to {test.mean * unit + half:+.2f}{more})"


def page(results: Sequence[Mapping[str, Found]], command: str) -> str:
    """The table."""
    by_kind = {name: [each[name] for each in results] for name in results[0]}
    head = ["", "loss", "lower by, times 10,000", "coverage of 90 %", "worst half year", "Sharpe", "higher by", "turnover a year"]
    lines = [f"# What each kind of learning is worth\n\n{command}\n", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [row(name, own, by_kind[SHIPPED]) for name, own in by_kind.items()]
    lines.append(
        f"\nDifferences are paired with `{SHIPPED}`, the calendar that ships, and given with 95 % intervals; p is that of Diebold and "
        f"Mariano, all markets together. Each row{' but the last' if 'all of them' in by_kind else ''} adds one kind alone."
    )
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Try all kinds on all markets, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablation", description="what each kind of learning is worth")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of hourly candles (default: the sample market)")
    parser.add_argument("--coins", nargs="+", default=None, help="default: the seven of the folder, or BTC and ETH of the sample market")
    parser.add_argument("--seeds", type=int, default=5, help="of the sample market")
    parser.add_argument("--from", dest="first", default="2020-02-01")
    parser.add_argument("--to", dest="last", default="2022-01-01")
    parser.add_argument("--train-window", default="365d")
    parser.add_argument("--forecaster", default="huber_linear")
    parser.add_argument("--cost", type=float, default=None, help="basis points a side (default: 7, on the sample market 2)")
    parser.add_argument("--without", nargs="*", default=[], choices=[kind for kind in KINDS if kind != SHIPPED], help="kinds to leave out")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep what each market came to here, and go on from what is kept")
    parser.add_argument("--models", type=Path, metavar="DIR", help="keep models here, and use those that are there")
    parser.add_argument("--page", type=Path, help="default: ablation.md beside this file, with --data ablation_coins.md")
    given = parser.parse_args(argv)
    given.coins = given.coins or (COINS if given.data is not None else COINS[:2])
    cost = given.cost if given.cost is not None else 7.0 if given.data is not None else 2.0
    models = ModelSettings.model_validate({"forecaster": given.forecaster, "train_window": given.train_window, "seeds": 1, "jobs": 1})
    strategies = StrategySettings(
        rule="portfolio", cash=CASH, fee_bps=max(cost - 2.0, 0.0), slippage_bps=min(cost, 2.0), spread_bps=0.0, allow_short=True
    )
    terms = Terms(models, strategies, pd.Timestamp(given.first, tz="UTC"), pd.Timestamp(given.last, tz="UTC"))
    results, kinds = [], {name: kind for name, kind in KINDS.items() if name not in given.without}
    asked = [given.coins, given.first, given.last, given.train_window, given.forecaster, cost, given.data is not None]
    kept = Kept(given.keep, fingerprint.of_value(asked)[:8])
    for name, candles in markets(given):
        found = kept.read(name)
        with TemporaryDirectory() as empty:
            missing = {kind: each for kind, each in kinds.items() if kind not in found}
            for kind, each in tried(candles, missing, terms, str(given.models or empty)):
                found[kind] = each
                kept.write(name, found)
        results.append({kind: found[kind] for kind in kinds})
        sys.stdout.write(f"{name}: {', '.join(f'{k} {metrics.sharpe(f.returns, 365):.2f}' for k, f in results[-1].items())}\n")
        sys.stdout.flush()
    what = "seven coins, spot prices" if given.data is not None else f"{given.seeds} seeds of the sample market"
    terms_told = f"{', '.join(given.coins)}, {given.first} .. {given.last}, windows of {given.train_window}, {cost:g} bp a side"
    write_text(
        given.page or (PAGE if given.data is None else COINS_PAGE),
        page(results, f"{what}: {terms_told}, forecasts of `{given.forecaster}`, hourly, {HORIZON} bars ahead."),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
