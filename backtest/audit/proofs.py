"""Proofs against look-ahead on the user's own candles, features and strategy: `--audit`.

The bars are cut, the newest bar is changed, labels are torn from their features, the market is replaced by one that nobody can forecast
and by one with a planted signal; each time everything from features to fills is computed again, models included, with no cache.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.backtest.audit.factor_proofs import factor_proofs
from forwardtrader.backtest.audit.feature_proofs import own_feature_proof, proved
from forwardtrader.backtest.audit.outcome import AuditOutcome, account_pairs, forecast_pairs, products, rank_ic, scored
from forwardtrader.backtest.audit.strategy_proofs import FEWEST_FILLS, TradedRun, strategy_proofs
from forwardtrader.backtest.forecasting import Forecasts
from forwardtrader.backtest.market_data import SLACK
from forwardtrader.backtest.request import BacktestRequest
from forwardtrader.backtest.signals import seen
from forwardtrader.backtest.simulation import simulate_with_orders
from forwardtrader.core import p_values
from forwardtrader.core.errors import TooLittleHistory
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.factors.book import FactorBook
from forwardtrader.feeds.history.needs import History
from forwardtrader.models.checks.label_proofs import label_shift, label_shuffle
from forwardtrader.models.checks.look_ahead import BUMP, MORE, Leak, Proof, compare, last_bar_bump, truncation, untested
from forwardtrader.models.checks.null_market import null_market, planted_market
from forwardtrader.models.features.bars import Bars
from forwardtrader.models.features.catalogue import matrix, named
from forwardtrader.models.features.own_features import short_name
from forwardtrader.models.features.panel import wanted
from forwardtrader.models.features.selection import chosen, look_back
from forwardtrader.models.folds.walk import COMPILED, WalkForward, walk_forward
from forwardtrader.models.online.online_walk_forward import online_walk_forward
from forwardtrader.models.walk_forward import lead_bars
from forwardtrader.reports.statistics.significance import mean_test

Relabel = Callable[[NDArray[np.float32]], NDArray[np.float32]]
# Whole pipelines are run on the newest days: a few models for bit-for-bit proofs, more for those that measure skill.
PIPELINE_SPAN: Final = timedelta(days=56)
SKILL_SPAN: Final = timedelta(days=182)
# Where a strategy trades seldom its span is made so many times as long, again and again, as far as the days that were asked for.
LONGER: Final = 4
# So many outcomes that share no bar a skill needs behind it: with fewer a rank IC of 0.10 would hide in chance.
FEWEST_SCORED: Final = 800
PLANTED_IC: Final = 0.2
FOUND_SHARE: Final = 0.8
# So many bars forty features need to find a signal of that strength; on fewer it only has to be beyond chance, on the fewest not even that.
PLANTED_BARS: Final = 13_000
TOO_FEW_BARS: Final = 4_000
CHANCE: Final = 2.0
LONGEST_WINDOW: Final = timedelta(days=730)
NULL_LEVEL: Final = 0.01
FEATURE_BARS: Final = 6000


def audit(request: BacktestRequest, markets: Mapping[str, History], announce: Callable[[str], None]) -> Iterator[Proof]:
    """Run every proof, one after the other; `announce` is given the name of the one that begins."""
    entries = wanted(request.settings.models)
    for symbol, history in markets.items():
        announce(f"features of {symbol}")
        feature_frame = partial(features_of, entries=entries, timeframe=history.timeframe)
        recent = seen(history).iloc[-FEATURE_BARS:]
        yield _named(truncation(feature_frame, recent, least=3), f"features of {symbol}")
        yield _named(last_bar_bump(feature_frame, recent, fields=tuple(map(str, recent.columns))), f"features of {symbol}")
        for own in proved(entries):
            peers = {other: Bars.of(seen(each).iloc[-2 * FEATURE_BARS :], each.timeframe) for other, each in markets.items()}
            yield _named(own_feature_proof(own, recent, history.timeframe, peers), f"features of {symbol}")
    if request.settings.feeds.factors:
        one = next(iter(markets.values()))
        announce("publication of the factors")
        yield from factor_proofs(FactorBook(request.settings.feeds.located_factors, one.timeframe), one.candles, one.timeframe)
    with TemporaryDirectory(prefix="audit-", ignore_cleanup_errors=True) as folder:
        bench = _Bench(request, markets, Path(folder))
        announce("forecasts, orders and fills without the later bars")
        try:
            whole = bench.run(PIPELINE_SPAN)
        except TooLittleHistory as shortage:
            if not request.strategy:
                raise
            raise TooLittleHistory(f"{shortage}; `forwardtrader check-strategy` tries a strategy without any model") from shortage
        for ago in bench.cuts():
            yield bench.truncated(whole, ago)
        announce("forecasts, orders and fills when the newest bar changes")
        yield bench.bumped(whole)
        announce("orders of the strategy when the bar after them changes")
        yield from strategy_proofs(bench.traded(whole))
        announce("labels torn from their features")
        yield from bench.label_proofs()
        announce("a market that nobody can forecast")
        yield bench.on_null_market()
        announce("a market with a planted signal")
        yield bench.on_planted_market()


def steps(request: BacktestRequest) -> int:
    """How many proofs `audit` will yield."""
    feeds = request.settings.feeds
    return (2 + len(proved(wanted(request.settings.models)))) * len(feeds.symbols) + 2 * len(feeds.factors) + 9


def features_of(bars: pd.DataFrame, *, entries: Sequence[str], timeframe: Timeframe) -> pd.DataFrame:
    """Every feature chosen that looks at these bars alone, and those of the factors beside them, as a named column."""
    seen = Bars.of(bars, timeframe)
    names = tuple(name for name in chosen(entries, seen.factors, timeframe) if not named(name).cross_asset)
    return pd.DataFrame(matrix(seen, names), index=bars.index, columns=[short_name(name) for name in names])


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
    ) -> AuditOutcome:
        """Train, forecast and trade the newest `span` on candles put through `change`."""
        first = self._first(span)
        learning = {"train_window": train_window} if train_window else {}
        markets = {s: replace(h, candles=h.candles if change is None else change(h.candles)) for s, h in self.markets.items()}
        settings = self.request.settings.models.model_copy(update={"cache": False, "save_path": str(self._fresh_registry()), **learning})
        walk = walk_forward(
            {s: seen(h) for s, h in markets.items()},
            first,
            last or self.end,
            settings=settings,
            timeframe=(timeframe := next(iter(markets.values())).timeframe),
            relabel=relabel,
        )
        walk = online_walk_forward(walk, first, last or self.end, learning=self.request.settings.learning, timeframe=timeframe)
        if not trade:
            return AuditOutcome(walk)
        dated = replace(self.request, first=first, last=last or self.end)
        return AuditOutcome(walk, *simulate_with_orders(markets, Forecasts(walk, pd.DataFrame(), {}), dated))

    def _fresh_registry(self) -> Path:
        """An empty registry that shares the compiled code of the usual one: it holds no data, and compiling would be most of the time."""
        self.runs += 1
        compiled = Path(self.request.settings.models.save_path).resolve() / COMPILED
        compiled.mkdir(parents=True, exist_ok=True)
        registry = self.folder / str(self.runs)
        registry.mkdir(parents=True)
        (registry / COMPILED).symlink_to(compiled, target_is_directory=True)
        return registry

    def truncated(self, whole: AuditOutcome, ago: timedelta) -> Proof:
        """Cut every bar, and every fact published, from `ago` before the end; train and trade again, and compare all that came before."""
        last = self.end - ago
        then = FactorBook(self.request.settings.feeds.located_factors, next(iter(self.markets.values())).timeframe).as_of(last)
        part = self.run(PIPELINE_SPAN, lambda bars: then.beside(bars.loc[bars.index < pd.Timestamp(last)]), last=last)
        return self._compared(
            "truncation", whole, part, pd.Timestamp(last) - self.bar, f"with the bars from {last:%Y-%m-%d %H:%M} cut away"
        )

    def bumped(self, whole: AuditOutcome) -> Proof:
        """Change the newest bar, its facts included, and look for anything earlier that moved."""

        def bump(bars: pd.DataFrame) -> pd.DataFrame:
            changed = bars.copy()
            if changed.index[-1] == newest:
                changed.iloc[-1] *= BUMP
            return changed

        newest = max(h.candles.index[-1] for h in self.markets.values())
        return self._compared("last-bar bump", whole, self.run(PIPELINE_SPAN, bump), newest - self.bar, "when the newest bar was changed")

    def traded(self, whole: AuditOutcome) -> TradedRun:
        """The strategy over as long a span as it needs for enough fills, or over all days that were asked for."""
        span = PIPELINE_SPAN
        known = self._traded(whole, span)
        while known.fills < FEWEST_FILLS and self._first(span) > self.request.first:
            span *= LONGER
            try:
                known = self._traded(self.run(span), span)
            except TooLittleHistory:  # the candles do not reach back far enough to train for more
                return known
        return known

    def _traded(self, outcome: AuditOutcome, span: timedelta) -> TradedRun:
        return TradedRun(replace(self.request, first=self._first(span), last=self.end), self.markets, outcome)

    def cuts(self) -> tuple[timedelta, ...]:
        """How long before the end to cut: 9 and 30 days, or less where fewer days are at hand."""
        span = self.end - self._first(PIPELINE_SPAN)
        return tuple(max(self.bar, self.bar * int(span * days / PIPELINE_SPAN.days / self.bar)) for days in (9, 30))

    def _first(self, span: timedelta) -> datetime:
        return max(self.request.first, self.end - span)

    def label_proofs(self) -> Iterator[Proof]:
        """The network taught with permuted and with shifted labels."""

        def score_from(made: NDArray[np.float32]) -> float:
            walk = self.run(self._skill_span, relabel=lambda _: made, trade=False).walk
            return rank_ic(walk, self._primary)

        true = self.run(self._skill_span, trade=False).walk
        targets, bars = true.panel.targets, scored(true, self._primary)
        yield label_shuffle(score_from, targets, bars, tries=2)
        yield label_shift(score_from, targets, bars, shifts=(997, 2999))

    def on_null_market(self) -> Proof:
        """Skill on a martingale with the real volatility must stay within chance."""
        walk = self.run(self._skill_span, lambda bars: null_market(bars, self._seed), trade=False).walk
        skill = [products(walk, symbol, self._primary) for symbol in walk.panel.symbols]
        test = mean_test(pd.concat(skill, axis=1).mean(axis=1).to_numpy(dtype=np.float64), horizon=self._primary)
        passed = not test.p < NULL_LEVEL
        if passed and (few := self._too_few_scored(walk)):
            return untested("null market", few)
        chance = f"p {p_values.shown(test.p)}, {NULL_LEVEL:.0%} of honest models fall below {NULL_LEVEL}"
        detail = f"rank IC {test.mean:+.4f} where none can be had ({chance})"
        return Proof(name="null market", passed=passed, detail=detail, leak=Leak.NONE if passed else Leak.AROUND_LABELS)

    def on_planted_market(self) -> Proof:
        """The network must find most of a signal that is there.

        It learns from as long a window as the candles allow: what is proven is the pipeline, not whether the user's window is long enough
        for forty features, and a proof of no skill where there is none proves little about a network that never finds any.
        """
        attainable: dict[str, float] = {}

        def plant(bars: pd.DataFrame) -> pd.DataFrame:
            made = planted_market(bars, PLANTED_IC, self._seed + len(attainable))
            attainable[str(len(attainable))] = made.attainable
            return made.bars

        window = self._longest_window()
        walk = self.run(self._skill_span, plant, trade=False, train_window=window).walk
        found, there = rank_ic(walk, self._primary), float(np.mean(list(attainable.values())))
        bars = int(window / self.bar)
        few = self._too_few_scored(walk)
        if bars < TOO_FEW_BARS:
            more = "give it candles from earlier on (up to two years of them are learned from) or a shorter timeframe"
            few = f"{bars:,} bars to learn from, {TOO_FEW_BARS:,} are needed; {more}"
        if few:
            return untested("planted signal", f"rank IC {found:.3f} of {there:.3f}: {few}")
        chance = CHANCE / math.sqrt(scored(walk, self._primary))
        needed = FOUND_SHARE * there if bars >= PLANTED_BARS else chance
        detail = (
            f"rank IC {found:.3f} of {there:.3f} that a forecaster who knows the signal attains ({found / there:.0%}, "
            f"{needed / there:.0%} needed after learning from {bars:,} bars)"
        )
        if needed - chance <= found < needed and found > chance:
            return untested("planted signal", f"{detail}: too few outcomes to distinguish a shortfall from chance; {MORE}")
        return Proof(name="planted signal", passed=found >= needed, detail=detail)

    def _longest_window(self) -> timedelta:
        """The training window of the settings, or a longer one where there are bars for it, up to two years."""
        settings = self.request.settings.models
        oldest = max(h.candles.index[0] for h in self.markets.values()).to_pydatetime()
        bars = lead_bars(settings, look_back(settings.features, next(iter(self.markets.values())).timeframe))
        first = self._first(self._skill_span)
        spare = first - oldest - settings.retrain_every - bars * self.bar * SLACK
        return max(settings.train_window, min(LONGEST_WINDOW, timedelta(days=spare.days)))

    def _too_few_scored(self, walk: WalkForward) -> str:
        """What is missing to measure skill; empty where nothing is."""
        bars = scored(walk, self._primary)
        return "" if bars >= FEWEST_SCORED else f"{bars:,} outcomes that share no bar, {FEWEST_SCORED:,} are needed; {MORE}"

    @property
    def _skill_span(self) -> timedelta:
        """Half a year, or as long as it takes to score enough bars."""
        return max(SKILL_SPAN, 1.1 * FEWEST_SCORED * self._primary * self.bar)

    @property
    def _primary(self) -> int:
        return min(self.request.settings.models.horizons)

    @property
    def _seed(self) -> int:
        return self.request.settings.models.seed

    def _compared(self, name: str, whole: AuditOutcome, part: AuditOutcome, until: pd.Timestamp, when: str) -> Proof:
        forecasts = list(forecast_pairs(whole, part, until))
        pairs = [*forecasts, *account_pairs(whole, part, until)]
        proofs = [_named(compare(name, first, second, when), what) for what, first, second in pairs]
        guilty = [proof for proof in proofs if not proof.passed]
        if guilty:
            return guilty[0]
        # What the account did is compared, and proven by itself: a few unchanged fills prove little.
        compared = {what: len(first) for what, first, _ in forecasts}
        if not min(compared.values(), default=0):
            silent = ", ".join(what for what, rows in compared.items() if not rows) or "forecasts"
            return untested(name, f"{silent}: none was made up to {until:%Y-%m-%d %H:%M}; {MORE}")
        detail = f"{', '.join(compared)}: {min(compared.values())} bars up to {until:%Y-%m-%d %H:%M} are equal {when}"
        return Proof(name=name, passed=True, detail=detail)


def _named(proof: Proof, what: str) -> Proof:
    return replace(proof, detail=f"{what}: {proof.detail}")
