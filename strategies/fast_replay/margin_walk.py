"""The walk of the fast replay on margin: funding moves the wallet on bars that are passed over, and the venue may liquidate on any."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forwardtrader.strategies.fast_replay.margin_account import MarginReplayAccount
from forwardtrader.strategies.fast_replay.walk import ReplayPosition, Walk
from forwardtrader.strategies.margin.account import Stake
from forwardtrader.strategies.replay_track import Flags, Floats, MarkTrack

_CAUTION: Final = 1e-6  # of the maintenance margin: what lies this near is worked out bar by bar


class MarginWalk(Walk):
    """A `Walk` with an account on margin."""

    def __init__(self, account: MarginReplayAccount, positions: Sequence[ReplayPosition]) -> None:
        super().__init__(account, positions)
        self.on_margin = account

    def _values(self, rows: slice) -> tuple[Floats, Floats]:
        unrealised, value = np.zeros(rows.stop - rows.start), np.zeros(rows.stop - rows.start)
        for stake, marks in self._held():
            close = marks.close[rows]
            unrealised, value = unrealised + stake.size * (close - stake.entry), value + stake.size * close
        equity = self._wallet(rows) + unrealised
        return equity, equity - value

    def _is_forced(self, rows: slice) -> Flags:
        equity, needed = self._wallet(rows), np.zeros(rows.stop - rows.start)
        for stake, marks in self._held():
            worst = (marks.low if stake.size > 0.0 else marks.high)[rows]
            equity, needed = equity + stake.size * (worst - stake.entry), needed + stake.tiers.maintenances(np.abs(stake.size) * worst)
        return np.asarray((needed > 0.0) & (equity <= needed * (1.0 + _CAUTION)))

    def _write_down(self, first: int, equity: Floats, cash: Floats, opened: Floats) -> None:
        super()._write_down(first, equity, cash, opened)
        if not len(equity):
            return
        last, margin = first + len(equity) - 1, self.on_margin.margin
        for stake, received in self._funding(slice(first, last + 1))[2]:
            margin.tally.funding_long += received if stake.size > 0.0 else 0.0
            margin.tally.funding_short += received if stake.size < 0.0 else 0.0
        margin.wallet = float(self._wallet(slice(first, last + 1))[-1])
        for position in self.positions:
            self.on_margin.stakes[position.holding].mark = float(_marks(position).close[last])

    def _held(self) -> list[tuple[Stake, MarkTrack]]:
        stakes = self.on_margin.stakes
        return [(stakes[p.holding], _marks(p)) for p in self.positions if stakes[p.holding].size]

    def _wallet(self, rows: slice) -> Floats:
        """The wallet on each row, after its settlements, added up as they come."""
        at, amounts, _ = self._funding(rows)
        path = np.cumsum(np.concatenate([[self.on_margin.margin.wallet], amounts]))
        return np.asarray(path[np.searchsorted(at, np.arange(rows.start, rows.stop), side="right")])

    def _funding(self, rows: slice) -> tuple[NDArray[np.int64], Floats, list[tuple[Stake, float]]]:
        """Row and amount of every settlement, in order of rows and then of symbols; and what each stake receives of them."""
        at, amounts, totals = [np.zeros(0, dtype=np.int64)], [np.zeros(0)], []
        for stake, marks in self._held():
            first, last = np.searchsorted(marks.rows, (rows.start, rows.stop))
            own = marks.rows[first:last]
            received = -stake.size * marks.open[own] * marks.rates[first:last]
            at.append(own)
            amounts.append(received)
            totals.append((stake, float(received.sum())))
        where, what = np.concatenate(at), np.concatenate(amounts)
        order = np.argsort(where, kind="stable")
        return where[order], what[order], totals


def _marks(position: ReplayPosition) -> MarkTrack:
    marks = position.track.marks
    assert marks is not None
    return marks
