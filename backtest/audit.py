"""Proofs against look-ahead on the user's own candles, features and strategy: `--audit`.

The bars are cut, the newest bar is changed, labels are torn from their features, the market is replaced by one that nobody can forecast
and by one with a planted signal; each time everything from features to fills is computed again, models included, with no cache.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from backtest.audit_outcome import Outcome, account_pairs, ending, forecast_pairs, products, rank_ic, scored
from backtest.factor_proofs import factor_proofs
from backtest.forecasting import Forecasts
from backtest.market_data import SLACK
from backtest.request import BacktestRequest
from backtest.simulation import simulate_with_orders
from feeds.factor_book import FactorBook
from feeds.history import History
from models.features import FEATURES, Bars, all_names, matrix, warm_up
from models.label_proofs import label_shift, label_shuffle
from models.learned_walk import learned_walk
from models.look_ahead import BUMP, Leak, Proof, compare, last_bar_bump, truncation
from models.null_market import null_market, planted_market
from models.walk_forward_forecast import COMPILED, walk_forward
from reports.significance import mean_test

Relabel = Callable[[NDArray[np.float32]], NDArray[np.float32]]
# Whole pipelines are run on the newest days: a few models for bit-for-bit proofs, more for those that measure skill.
PIPELINE_SPAN: Final = timedelta(days=56)
SKILL_SPAN: Final = timedelta(days=182)
FORESEEN_SPAN: Final = timedelta(days=7)
# A fill within one per cent of the open was made at the open.
AT_OPEN: Final = 0.01
PLANTED_IC: Final = 0.2
FOUND_SHARE: Final = 0.8
# So many bars forty features need to find a signal of that strength; on fewer it only has to be beyond chance, on the fewest not even that.
PLANTED_BARS: Final = 13_000
TOO_FEW_BARS: Final = 4_000
CHANCE: Final = 2.0
LONGEST_WINDOW: Final = timedelta(days=730)
NULL_LEVEL: Final = 0.01
FEATURE_BARS: Final = 6000


def audit(request: BacktestRequest, markets: Mapping[str, History], tell: Callable[[str], None]) -> Iterator[Proof]:
    """Run every proof, one after the other; `tell` is given the name of the one that begins."""
    for symbol, history in markets.items():
        tell(f"features of {symbol}")
        recent = history.candles.iloc[-FEATURE_BARS:]
        yield _named(truncation(feature_frame, recent, least=3), f"features of {symbol}")
        yield _named(last_bar_bump(feature_frame, recent, fields=tuple(map(str, recent.columns))), f"features of {symbol}")
    if request.settings.feeds.factors:
        one = next(iter(markets.values()))
        tell("publication of the factors")
        yield from factor_proofs(FactorBook(request.settings.feeds.factors, one.timeframe), one.candles, one.timeframe)
    with TemporaryDirectory(prefix="audit-", ignore_cleanup_errors=True) as folder:
        bench = _Bench(request, markets, Path(folder))
        tell("forecasts, orders and fills without the later bars")
        whole = bench.run(PIPELINE_SPAN)
        for days_ago in (9, 30):
            yield bench.truncated(whole, timedelta(days=days_ago))
        tell("forecasts, orders and fills when the newest bar changes")
        yield bench.bumped(whole)
        yield bench.foreseen()
        tell("labels torn from their features")
        yield from bench.label_proofs()
        tell("a market that nobody can forecast")
        yield bench.on_null_market()
        tell("a market with a planted signal")
        yield bench.on_planted_market()


def steps(request: BacktestRequest) -> int:
    """How many proofs `audit` will yield."""
    feeds = request.settings.feeds
    return 2 * len(feeds.symbols) + 2 * len(feeds.factors) + 8


def feature_frame(bars: pd.DataFrame) -> pd.DataFrame:
    """Every feature of the catalogue and of the factors beside the bars as a named column."""
    seen = Bars.of(bars)
    names = all_names(seen.factors)
    return pd.DataFrame(matrix(seen, names), index=bars.index, columns=list(names))


class _Bench:
    """Runs pipelines on changed candles, each in a registry of its own, so that nothing is read that an earlier one left."""

    def __init__(self, request: BacktestRequest, markets: Mapping[str, History], folder: Path) -> None:
        self.folder = folder
        self.runs = 0
        self.request = request
        self.markets = markets
        self.end = min(request.last, *(h.candles.index[-1].to_pydatetime() + h.timeframe.delta for h in markets.values()))
        self.bar = next(iter(markets.values())).timeframe.delta

    def run(
        self,
        span: timedelta,
        change: Callable[[pd.DataFrame], pd.DataFrame] | None = None,
        *,
        last: datetime | None = None,
        relabel: Relabel | None = None,
        trade: bool = True,
        train_window: timedelta | None = None,
    ) -> Outcome:
        """Train, forecast and trade the newest `span` on candles put through `change`."""
        first = max(self.request.first, self.end - span)
        learning = {"train_window": train_window} if train_window else {}
        markets = {s: replace(h, candles=h.candles if change is None else change(h.candles)) for s, h in self.markets.items()}
        settings = self.request.settings.models.model_copy(update={"cache": False, "save_path": str(self._fresh_registry()), **learning})
        walk = walk_forward(
            {s: h.candles for s, h in markets.items()},
            first,
            last or self.end,
            settings=settings,
            timeframe=(timeframe := next(iter(markets.values())).timeframe),
            relabel=relabel,
        )
        walk = learned_walk(walk, first, last or self.end, learning=self.request.settings.learning, timeframe=timeframe)
        if not trade:
            return Outcome(walk)
        dated = replace(self.request, first=first, last=last or self.end)
        return Outcome(walk, *simulate_with_orders(markets, Forecasts(walk, pd.DataFrame(), {}), dated))

    def _fresh_registry(self) -> Path:
        """An empty registry that shares the compiled code of the usual one: it holds no data, and compiling would be most of the time."""
        self.runs += 1
        compiled = Path(self.request.settings.models.save_path).resolve() / COMPILED
        compiled.mkdir(parents=True, exist_ok=True)
        registry = self.folder / str(self.runs)
        registry.mkdir(parents=True)
        (registry / COMPILED).symlink_to(compiled, target_is_directory=True)
        return registry

    def truncated(self, whole: Outcome, ago: timedelta) -> Proof:
        """Cut every bar, and every fact published, from `ago` before the end; train and trade again, and compare all that came before."""
        last = self.end - ago
        then = FactorBook(self.request.settings.feeds.factors, next(iter(self.markets.values())).timeframe).as_of(last)
        part = self.run(PIPELINE_SPAN, lambda bars: then.beside(bars.loc[bars.index < pd.Timestamp(last)]), last=last)
        return self._compared(
            "truncation", whole, part, pd.Timestamp(last) - self.bar, f"with the bars from {last:%Y-%m-%d %H:%M} cut away"
        )

    def bumped(self, whole: Outcome) -> Proof:
        """Change the newest bar, its facts included, and look for anything earlier that moved."""

        def bump(bars: pd.DataFrame) -> pd.DataFrame:
            changed = bars.copy()
            changed.iloc[-1] *= BUMP
            return changed

        newest = max(h.candles.index[-1] for h in self.markets.values())
        return self._compared("last-bar bump", whole, self.run(PIPELINE_SPAN, bump), newest - self.bar, "when the newest bar was changed")

    def foreseen(self) -> Proof:
        """Change only how the newest bar ends: what was bought or sold at its open was decided before and must stay.

        Truncation cannot see a strategy that looks one bar ahead, for its order is filled in the very bar it should not know.
        """
        whole = self.run(FORESEEN_SPAN)
        proof = Proof(name="newest close", passed=False, detail="nothing was traded")
        for factor in (BUMP, 1.0 / BUMP):
            moved = self.run(FORESEEN_SPAN, functools.partial(ending, factor=factor))
            when = f"when the newest bar ended {factor - 1.0:+.0%} elsewhere"
            proof = _named(compare("newest close", self._decided(moved), self._decided(whole), when), "fills up to the newest open")
            if not proof.passed:
                return replace(proof, leak=Leak.AHEAD, offenders=("fills",), detail=f"fills look ahead by one bar: {proof.detail}")
        return proof

    def _decided(self, outcome: Outcome) -> pd.DataFrame:
        """All fills but those that came within the newest bar, such as stops and limits."""
        if outcome.record is None:
            return pd.DataFrame()
        fills = outcome.record.fills
        newest = fills["symbol"].map({s: h.candles.index[-1] for s, h in self.markets.items()})
        opened = fills["symbol"].map({s: float(h.candles["open"].iloc[-1]) for s, h in self.markets.items()})
        at = pd.to_datetime(fills["timestamp"], utc=True)
        keep = (at < newest) | ((fills["price"] / opened - 1.0).abs() < AT_OPEN)
        return fills.loc[keep].reset_index(drop=True)

    def label_proofs(self) -> Iterator[Proof]:
        """The network taught with permuted and with shifted labels."""

        def score_from(made: NDArray[np.float32]) -> float:
            walk = self.run(SKILL_SPAN, relabel=lambda _: made, trade=False).walk
            return rank_ic(walk, self._primary)

        true = self.run(SKILL_SPAN, trade=False).walk
        targets, bars = true.panel.targets, scored(true, self._primary)
        yield label_shuffle(score_from, targets, bars, tries=2)
        yield label_shift(score_from, targets, bars, shifts=(997, 2999))

    def on_null_market(self) -> Proof:
        """Skill on a martingale with the real volatility must stay within chance."""
        walk = self.run(SKILL_SPAN, lambda bars: null_market(bars, self._seed), trade=False).walk
        skill = [products(walk, symbol, self._primary) for symbol in walk.panel.symbols]
        test = mean_test(pd.concat(skill, axis=1).mean(axis=1).to_numpy(dtype=np.float64), horizon=self._primary)
        passed = not test.p < NULL_LEVEL
        detail = (
            f"rank IC {test.mean:+.4f} where none can be had (p {test.p:.3f}, {NULL_LEVEL:.0%} of honest models fall below {NULL_LEVEL})"
        )
        return Proof(name="null market", passed=passed, detail=detail, leak=Leak.NONE if passed else Leak.AROUND_LABELS)

    def on_planted_market(self) -> Proof:
        """The network must find most of a signal that is there.

        It learns from as long a window as the candles allow: what is proven is the pipeline, not whether the user's window is long enough
        for forty features, and a proof of no skill where there is none says little of a network that never finds any.
        """
        attainable: dict[str, float] = {}

        def plant(bars: pd.DataFrame) -> pd.DataFrame:
            made = planted_market(bars, PLANTED_IC, self._seed + len(attainable))
            attainable[str(len(attainable))] = made.attainable
            return made.bars

        window = self._longest_window()
        walk = self.run(SKILL_SPAN, plant, trade=False, train_window=window).walk
        found, there = rank_ic(walk, self._primary), float(np.mean(list(attainable.values())))
        bars = int(window / self.bar)
        if bars < TOO_FEW_BARS:
            detail = f"rank IC {found:.3f} of {there:.3f}; {bars:,} bars to learn from are too few to ask for any"
            return Proof(name="planted signal", passed=True, detail=detail)
        needed = FOUND_SHARE * there if bars >= PLANTED_BARS else CHANCE / math.sqrt(scored(walk, self._primary))
        detail = (
            f"rank IC {found:.3f} of {there:.3f} that a forecaster who knows the signal attains ({found / there:.0%}, "
            f"{needed / there:.0%} needed after learning from {bars:,} bars)"
        )
        return Proof(name="planted signal", passed=found >= needed, detail=detail)

    def _longest_window(self) -> timedelta:
        """The training window of the settings, or a longer one where there are bars for it, up to two years."""
        settings = self.request.settings.models
        oldest = max(h.candles.index[0] for h in self.markets.values()).to_pydatetime()
        bars = warm_up(tuple(FEATURES)) + settings.context + max(settings.horizons) + settings.deployment_lag
        first = max(self.request.first, self.end - SKILL_SPAN)
        spare = first - oldest - settings.retrain_every - bars * self.bar * SLACK
        return max(settings.train_window, min(LONGEST_WINDOW, timedelta(days=spare.days)))

    @property
    def _primary(self) -> int:
        return min(self.request.settings.models.horizons)

    @property
    def _seed(self) -> int:
        return self.request.settings.models.seed

    def _compared(self, name: str, whole: Outcome, part: Outcome, until: pd.Timestamp, when: str) -> Proof:
        pairs = [*forecast_pairs(whole, part, until), *account_pairs(whole, part, until)]
        proofs = [_named(compare(name, first, second, when), what) for what, first, second in pairs]
        guilty = [proof for proof in proofs if not proof.passed]
        if guilty:
            return guilty[0]
        rows = max((len(first) for _, first, _ in pairs), default=0)
        detail = f"{', '.join(what for what, _, _ in pairs)}: {rows} bars up to {until:%Y-%m-%d %H:%M} are equal {when}"
        return Proof(name=name, passed=rows > 0, detail=detail)


def _named(proof: Proof, what: str) -> Proof:
    return replace(proof, detail=f"{what}: {proof.detail}")
