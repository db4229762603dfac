"""Fast replay of the strategy over arrays, without Backtrader: same position managers, same fills; for sweeps and shifted forecasts.

Several symbols share one account. Bars on which nothing can happen are skipped: no order can be filled, no forecast leads to an order
and no limit of the account is near. All others go through the position manager itself, so the decision is written once. Fills and equity
are those of the Backtrader run, to the last digit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from forwardtrader.core.settings import LearningSettings, StrategySettings
from forwardtrader.strategies.decision import DecisionParams
from forwardtrader.strategies.fast_replay.margin_account import MarginReplayAccount
from forwardtrader.strategies.fast_replay.margin_walk import MarginWalk
from forwardtrader.strategies.fast_replay.walk import ReplayPosition, Walk
from forwardtrader.strategies.learning.account_learning import AccountLearning
from forwardtrader.strategies.portfolio.portfolio_manager import PortfolioManager
from forwardtrader.strategies.portfolio.recorded_correlations import RecordedCorrelations
from forwardtrader.strategies.portfolio.rule import PortfolioRule
from forwardtrader.strategies.replay_account import FILL_COLUMNS, ReplayAccount
from forwardtrader.strategies.replay_track import Floats, Tape, Track

NOTHING: Final = LearningSettings()


def replay(tapes: Sequence[Tape], settings: StrategySettings, learning: LearningSettings = NOTHING) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Fills (`FILL_COLUMNS`) and equity (equity, cash by bar-open time) of the strategy's run."""
    return Replay(tapes, settings, learning).run([tape.forecasts["location"].to_numpy(dtype=np.float64) for tape in tapes])


class Replay:
    """Tapes laid on one timeline, to be run any number of times on different locations of the forecasts."""

    def __init__(self, tapes: Sequence[Tape], settings: StrategySettings, learning: LearningSettings = NOTHING) -> None:
        self.learning = learning
        self.settings, self.markets = settings, [(t.market, t.timeframe, t.horizon) for t in tapes]
        index = tapes[0].bars.index
        for tape in tapes[1:]:
            index = index.union(tape.bars.index)
        self.index = pd.DatetimeIndex(index)
        params = [DecisionParams.of(settings, *market, len(tapes)) for market in self.markets]
        self.tracks = [Track.of(tape, self.index, rule) for tape, rule in zip(tapes, params, strict=True)]
        self._recorded: RecordedCorrelations | None = None

    def run(self, locations: Sequence[Floats]) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Fills and equity where the forecasts of each tape, in its own bars, have these locations [bars]."""
        walk = self._walk(locations)
        account = walk.account
        if self.settings.decides_together(len(self.markets), perpetual=self.markets[0][0].is_perpetual):
            self._join(walk)
        self._teach(walk)
        walk.go()
        fills = pd.DataFrame(account.fills, columns=["row", *FILL_COLUMNS[1:]])
        fills.insert(0, "timestamp", self.index[fills.pop("row").to_numpy(dtype=np.int64)])
        equity = pd.DataFrame({"equity": walk.equity, "cash": walk.cash}, index=self.index)
        ruined = np.flatnonzero(walk.equity <= 0.0)
        return fills, equity.iloc[: ruined[0] + 1] if len(ruined) else equity  # as a run, which ends with the account

    def _join(self, walk: Walk) -> None:
        """Have it decide for all symbols together; correlations are worked out with the first run."""
        _, timeframe, horizon = self.markets[0]
        if self._recorded is None:
            rule = PortfolioRule.of(self.settings, timeframe, self.tracks[0].params.size.yearly_root, len(self.markets))
            tracks = [position.track for position in walk.asked]
            closes = np.column_stack([np.where(track.here, track.close, np.nan) for track in tracks])
            scales = np.column_stack([track.scale for track in tracks])
            self._recorded = RecordedCorrelations.of(closes, scales, self._symbols(walk), horizon, rule)
        managers = [position.manager for position in walk.asked]
        walk.decide_together(PortfolioManager(self.settings, timeframe, managers, horizon, self._recorded), self._recorded)

    def _teach(self, walk: Walk) -> None:
        """Have it learn from its outcomes, each run anew."""
        _, timeframe, horizon = self.markets[0]
        learning = AccountLearning.of(self.learning, self.settings, timeframe, horizon, self._symbols(walk))
        if learning is not None:
            walk.learn_by(learning)

    def _symbols(self, walk: Walk) -> list[str]:
        return [position.manager.market.symbol for position in walk.asked]

    def _walk(self, locations: Sequence[Floats]) -> Walk:
        laid = [track.spread(own) for track, own in zip(self.tracks, locations, strict=True)]
        if any(market.is_perpetual for market, _, _ in self.markets):
            account = MarginReplayAccount.on_margin(self.settings, self.markets)
            return MarginWalk(account, _positions(self.tracks, account, laid))
        spot = ReplayAccount.opened(self.settings, self.markets)
        return Walk(spot, _positions(self.tracks, spot, laid))


def _positions(tracks: Sequence[Track], account: ReplayAccount, laid: Sequence[Floats]) -> list[ReplayPosition]:
    return [ReplayPosition(track, held, x) for track, held, x in zip(tracks, account.holdings, laid, strict=True)]
