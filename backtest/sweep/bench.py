"""Evaluation of sweep points: forecasts once for all points that share them, accounts by workers, every result stored and counted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from forwardtrader.backtest.checks import checked
from forwardtrader.backtest.forecasting import train
from forwardtrader.backtest.market_data import load_markets
from forwardtrader.backtest.progress import RunProgress
from forwardtrader.backtest.request import BacktestRequest
from forwardtrader.backtest.run_record import choices, code_of, data_section, facts_of
from forwardtrader.backtest.sweep.file import Point, parameter
from forwardtrader.backtest.sweep.point import AccountSettings, PointResult, TradeWork, trade_point
from forwardtrader.backtest.sweep.store import SweepStore
from forwardtrader.core import fingerprint, log
from forwardtrader.core.clock import Clock
from forwardtrader.core.config import changed
from forwardtrader.core.errors import FeatureFailed, ForecasterFailed, InvalidSetting, StoreDamaged, TrainingDiverged
from forwardtrader.core.threads import one_thread
from forwardtrader.feeds.history.needs import History
from forwardtrader.models.parallel.local_workers import Processes
from forwardtrader.models.parallel.scale_out import point_workers
from forwardtrader.models.parallel.workers import Workers
from forwardtrader.models.port.prototype import context_of
from forwardtrader.reports.manifest import DataSection
from forwardtrader.reports.statistics.sharpe_tests import effective_trials, sharpe_moments
from forwardtrader.reports.trial_ledger import Trial, TrialLedger, landmarks_of
from forwardtrader.strategies.user_code.strategy_class import with_params

# Fewer bars to trade than this, all points together, cost less than starting processes.
WORTH_PROCESSES: Final = 300_000
# What may be wrong with one value of a parameter, or with what a forecaster makes of it, while others are sound.
_OF_ONE_POINT: Final = (ForecasterFailed, FeatureFailed, InvalidSetting, TrainingDiverged)


@dataclass(frozen=True)
class Setting:
    """A point as a whole request, with the candles it trades and the fingerprint of all that decides it."""

    request: BacktestRequest
    markets: Mapping[str, History]
    data: DataSection
    key: str


def request_at(request: BacktestRequest, point: Point) -> BacktestRequest:
    """The request with the point's settings and parameters.

    Raises:
        ConfigError: they do not go together.
    """
    knobs = {key: value for key, value in point.items() if not parameter(key)}
    params = [f"{name}={value}" for key, value in point.items() if (name := parameter(key))]
    settings, strategy = changed(request.settings, knobs), with_params(request.strategy, params)
    made = replace(request, settings=settings, strategy=strategy)
    return checked(made)


class SweepBench:
    """Runs points of one request.

    Args:
        on_finished: called with the number of finished points.
        looks: how often a result is looked at in order to choose; each look counts as a trial.
    """

    def __init__(
        self,
        request: BacktestRequest,
        clock: Clock,
        store: SweepStore,
        run_id: str,
        progress: RunProgress,
        on_finished: Callable[[int], None],
        *,
        looks: int = 1,
    ) -> None:
        self.request, self.clock, self.store, self.run_id, self.progress, self.on_finished = (
            request,
            clock,
            store,
            run_id,
            progress,
            on_finished,
        )
        self.ledger = TrialLedger(Path(request.settings.reports.ledger_path))
        self.fresh, self.looks, self._finished = 0, looks, 0
        self.kind: DataSection | None = None
        self._done: dict[str, PointResult] = {}
        self._loaded: tuple[str, Mapping[str, History]] = ("", {})

    def evaluate(self, points: Sequence[Point]) -> list[PointResult]:
        """The result of each point, in order; what was finished before is not computed again.

        A point whose forecaster fails, or cannot be made, has its trouble as its result.
        """
        settings = [self._setting_at(point) for point in points]
        groups: dict[str, dict[str, Setting]] = {}
        for setting in settings:
            if isinstance(setting, PointResult):
                continue
            if setting.key not in self._done and (known := self.store.get(setting.key)) is not None:
                self._finish(setting, known)
            if setting.key not in self._done:
                groups.setdefault(_forecast_key(setting), {})[setting.key] = setting
        for group in groups.values():
            self._trade(list(group.values()))
        return [setting if isinstance(setting, PointResult) else self._done[setting.key] for setting in settings]

    def _setting_at(self, point: Point) -> Setting | PointResult:
        try:
            return self._setting(request_at(self.request, point))
        except ForecasterFailed as error:  # in its constructor
            self._tell()
            return PointResult.failed(error)

    def _setting(self, request: BacktestRequest) -> Setting:
        markets = self._markets(request)
        data = data_section(request, markets)
        self.kind = self.kind or data
        key = fingerprint.of_value([choices(request), {s: h.fingerprint for s, h in markets.items()}, code_of(request)])
        return Setting(request, markets, data, key)

    def _markets(self, request: BacktestRequest) -> Mapping[str, History]:
        """Candles, loaded again only where other ones are needed."""
        models = request.settings.models
        calendar = [models.train_window, models.retrain_every, models.anew_every, models.expanding]
        reach = [*calendar, models.horizons, context_of(models), models.embargo, models.deployment_lag]
        wanted = fingerprint.of_value([request.settings.feeds.model_dump(mode="json"), *map(str, reach)])
        if self._loaded[0] != wanted:
            with self.progress.stage("data", "candles"):
                self._loaded = (wanted, load_markets(request, self.clock))
        return self._loaded[1]

    def _trade(self, group: list[Setting]) -> None:
        """Forecast once, then trade every point of the group."""
        one = group[0]
        try:
            with self.progress.stage("train", "training folds") as stage:
                walk = train(one.markets, one.request, stage)
        except _OF_ONE_POINT as error:
            for setting in group:
                self._finish(setting, PointResult.failed(error))
            return
        work = TradeWork.of(one.markets, walk, one.request, one.data.periods_per_year)
        bars = sum(len(h.candles) for h in one.markets.values()) * len(group)
        items = [AccountSettings(r.settings.strategies, r.settings.risk, r.strategy) for r in (setting.request for setting in group)]
        with self.progress.stage("simulate", "trading points") as stage:
            for n, (place, result) in enumerate(self._workers(bars).run(trade_point, work, items)):
                if result.result:
                    self.store.put(group[place].key, result)
                self.fresh += 1
                self._finish(group[place], result)
                stage(n + 1, len(group))

    def _workers(self, bars: int) -> Workers:
        models = self.request.settings.models
        return point_workers(models.jobs, models.cluster) if bars > WORTH_PROCESSES or models.cluster else Processes(1)

    def _finish(self, setting: Setting, result: PointResult) -> None:
        """Its result is known from now on, so it counts as a trial from now on; a point that failed has none."""
        try:
            if result.result:
                self.ledger.record(self._trial(setting, result))
        except StoreDamaged as error:
            log.event(log.logger("backtest"), "trials_unknown", logging.WARNING, reason=str(error))
        self._done[setting.key] = result
        self._tell()

    def _tell(self) -> None:
        self._finished += 1
        self.on_finished(self._finished)

    def note_likeness(self, returns: pd.DataFrame) -> float:
        """Have the ledger know how many independent trials the points are worth, given their net daily returns [T, N]."""
        with one_thread():
            effective = effective_trials(returns.to_numpy(dtype=np.float64))
        try:
            self.ledger.note_likeness(self.run_id, effective)
        except StoreDamaged as error:
            log.event(log.logger("backtest"), "trials_unknown", logging.WARNING, reason=str(error))
        return effective

    def _trial(self, setting: Setting, result: PointResult) -> Trial:
        facts = facts_of(setting.request, setting.markets, setting.data, self.run_id, result.result)
        first = pd.Timestamp(setting.request.first)
        return Trial(
            run_id=self.run_id,
            symbols=tuple(setting.markets),
            kind=facts.kind,
            data=facts.data,
            settings=facts.settings,
            result=facts.result,
            what=facts.what,
            moments=sharpe_moments(result.returns.to_numpy()),
            periods_per_year=facts.periods_per_year,
            landmarks={s: landmarks_of(h.candles.loc[first:]) for s, h in setting.markets.items()},
            looks=self.looks,
            open_end=facts.open_end({s: h.candles for s, h in setting.markets.items()}, result.returns),
        )


def _forecast_key(setting: Setting) -> str:
    """Equal for points whose forecasts are the same."""
    chosen: dict[str, Any] = choices(setting.request)
    shared = {key: value for key, value in chosen.items() if key not in ("strategies", "risk", "strategy")}
    return fingerprint.of_value([shared, [h.fingerprint for h in setting.markets.values()]])
