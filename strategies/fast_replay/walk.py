"""One run of the fast replay: bar by bar where something may happen, else from one such bar to the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from forwardtrader.strategies.ended_symbols import AT_LAST_PRICE
from forwardtrader.strategies.learning.account_learning import AccountLearning
from forwardtrader.strategies.learning.symbol_learning import SeenBar
from forwardtrader.strategies.portfolio.decision import may_move
from forwardtrader.strategies.portfolio.portfolio_manager import PortfolioManager, Standing
from forwardtrader.strategies.portfolio.recorded_correlations import RecordedCorrelations
from forwardtrader.strategies.replay_account import Holding, Inside, ReplayAccount
from forwardtrader.strategies.replay_track import Flags, Floats, Track
from forwardtrader.strategies.risk import DAY_SECONDS, Gate, RiskState, update
from forwardtrader.strategies.signals import stays

_MOST_WAIT: Final = 64  # bars gone one by one after a look ahead that hardly gained any
_WORTH: Final = 4  # bars that a look ahead costs as much as
_LOOK: Final = 32  # bars looked at in one go; twice as many each time nothing was found
_CAUTION: Final = 1e-9  # what lies this near to a limit is worked out bar by bar


class ReplayPosition:
    """A holding on its track, with the locations of one run."""

    def __init__(self, track: Track, holding: Holding, location: Floats) -> None:
        self.track, self.holding, self.manager, self.location = track, holding, holding.manager, location
        self.enter: float | None = None
        self.look_ahead()

    def look_ahead(self) -> None:
        """Find the rows on which an entry order is sent while flat; with `enter`, those on which the decision for all has to be asked."""
        track = self.track
        if self.enter is None:
            self.entries = track.here & ~stays(self.location, track.steady, np.zeros(len(self.location)), track.cap, track.params.edge)
        else:
            self.entries = track.here & (np.abs(self.location) > self.enter)
        self._entry_rows = np.flatnonzero(self.entries)

    def has_ended(self, row: int) -> bool:
        """Whether a row comes after the symbol's last bar."""
        return row >= self.track.end

    def forget_step(self, row: int) -> None:
        """The position manager was busy on this row and did not take in its scale."""
        self.track = self.track.fork(row + 1, self.manager.state.variance)
        self.look_ahead()

    def standing(self, row: int) -> Standing:
        """The symbol as a decision for all of them sees it."""
        held, has_bar = self.holding, bool(self.track.here[row])
        if has_bar and self.manager.busy and self.manager.learning is None:
            self.forget_step(row)
        return Standing(self.manager, float(self.location[row]), float(self.track.scale[row]), held.size, held.paid, held.close, has_bar)

    @property
    def flat(self) -> bool:
        """Whether nothing is held that could be sold at the newest price."""
        return not self.holding.size or self.manager.is_dust(self.holding.size, self.holding.close)

    def seen(self, row: int) -> SeenBar | None:
        """The bar of the row with its forecast, as far as something is learned from it."""
        track = self.track
        if not track.here[row]:
            return None
        numbers = track.times[row], track.open[row], track.close[row], self.location[row], track.scale[row]
        return SeenBar(*(float(number) for number in numbers))

    def next_entry(self, row: int) -> int:
        """The first row from `row` on, after the cool-down, on which an entry order is sent while flat."""
        track = self.track
        row = max(row, int(np.searchsorted(track.times, self.manager.state.resume_at)))
        place = int(np.searchsorted(self._entry_rows, row))
        return int(self._entry_rows[place]) if place < len(self._entry_rows) else len(track.times)

    def settled(self, row: int) -> bool:
        """Whether nothing is pending from `row` on but the next forecast or price."""
        manager, state, holding = self.manager, self.manager.state, self.holding
        if self.has_ended(row):
            return not holding.size
        if manager.busy or state.fill:
            return False
        if self.flat:
            return not state.stop and not manager.resting
        guarded = bool(state.stop) and manager.resting and manager.guarded == holding.size
        return guarded and state.resume_at <= holding.account.now

    def acts(self, rows: slice, equity: Floats) -> Flags:
        """Rows on which an order may be sent, or the stop may be filled."""
        holding, track = self.holding, self.track
        size, close = holding.size, track.close[rows]
        if size and rows.start < track.end < rows.stop:  # its last bar is over within these rows, and it is closed
            before = self.acts(slice(rows.start, track.end), equity[: track.end - rows.start])
            return np.append(before, np.ones(rows.stop - track.end, dtype=bool))
        if not size or self.manager.is_dust(size, close.max()):
            return np.asarray(self.entries[rows] & (track.times[rows] >= self.manager.state.resume_at))
        if self.manager.is_dust(size, close.min()):
            return np.ones(len(close), dtype=bool)
        stop = holding.resting_stop
        near = np.minimum(track.low[rows], close) <= stop if size > 0.0 else np.maximum(track.high[rows], close) >= stop
        with np.errstate(divide="ignore", invalid="ignore"):
            held = size * close / equity
        quiet = stays(self.location[rows], track.steady[rows], held, track.cap[rows], track.params.edge)
        return np.asarray(track.here[rows] & (near | ~quiet))

    def outlook(self, rows: slice, equity: Floats) -> tuple[Floats, Floats, Floats]:
        """Gain, scale and exposure of each row, as a decision for all symbols sees them; no gain where it cannot be traded."""
        track, size = self.track, 0.0 if self.flat else self.holding.size
        free = track.here[rows] & (track.times[rows] >= self.manager.state.resume_at)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(free, self.location[rows], np.nan), track.steady[rows], size * track.close[rows] / equity

    def is_met(self, rows: slice) -> Flags:
        """Rows on which a position may reach its stop, lacks a bar, ends, or is no dust any more or dust from then on."""
        holding, track, close = self.holding, self.track, self.track.close[rows]
        size, ended = holding.size, np.arange(rows.start, rows.stop) >= track.end
        if not size:
            return np.zeros(len(close), dtype=bool)
        if self.flat and self.manager.is_dust(size, close.max()):
            return ended
        if self.flat or self.manager.is_dust(size, close.min()):
            return np.ones(len(close), dtype=bool)
        stop = holding.resting_stop
        near = np.minimum(track.low[rows], close) <= stop if size > 0.0 else np.maximum(track.high[rows], close) >= stop
        return np.asarray(near | ~track.here[rows])

    def values(self, rows: slice, total: Floats) -> Floats:
        """`total` plus the position's value at each close, in the order in which `ReplayAccount.equity` adds."""
        size, close = self.holding.size, self.track.close[rows]
        if not size:
            return total
        unrealized, value = size * (close - self.holding.paid), size * close
        return np.where(value > 0.0, (total + (value - unrealized)) + unrealized, total + value)


class Walk:
    """One run: bar by bar where something may happen, else from one such bar to the next."""

    def __init__(self, account: ReplayAccount, positions: Sequence[ReplayPosition]) -> None:
        times = positions[0].track.times
        self.together: PortfolioManager | None = None
        self.recorded: RecordedCorrelations | None = None
        self.learning: AccountLearning | None = None
        self.account, self.times, self.positions = account, times, positions
        self.asked = sorted(positions, key=lambda position: position.manager.market.symbol)  # in the strategy's order
        self.equity, self.cash = np.empty(len(times)), np.empty(len(times))
        self.days = (times // DAY_SECONDS).astype(np.int64)
        self.day_starts = np.searchsorted(self.days, self.days)
        self.limits = positions[0].track.params.limits
        self.risk = RiskState.start(account.equity(), float(times[0]))
        self._wait = self._waited = 0

    def decide_together(self, manager: PortfolioManager, recorded: RecordedCorrelations) -> None:
        """Have all symbols of a bar decided on at once."""
        self.together, self.recorded = manager, recorded
        for position in self.positions:
            position.enter = manager.rule.enter
            position.look_ahead()

    def learn_by(self, learning: AccountLearning) -> None:
        """Have it learn from its outcomes; then every bar may change what the next one is decided by, and none is passed over."""
        self.learning = learning
        for position, own in zip(self.asked, learning.symbols, strict=True):
            position.manager.learning = own

    def go(self) -> None:
        row = 0
        while row < len(self.times):
            self._step(row)
            row = self._pass_over(row + 1)

    def _step(self, row: int) -> None:
        account = self.account
        account.row, account.now = row, float(self.times[row])
        present = [position for position in self.positions if position.track.here[row]]
        account.work({position.holding: position.track.bar(row) for position in present}, lambda: self._finer(row))
        for position in self.positions:
            if row == position.track.end:
                self._end(position)
        for position in present:
            position.holding.close = float(position.track.close[row])
        if self.learning is not None:
            self.learning.see([position.seen(row) for position in self.asked])
            for position in self.asked:
                position.manager.price()
        equity = account.equity()
        self.equity[row], self.cash[row] = equity, account.net_cash(equity)
        self.risk = update(self.risk, equity, account.now, self.limits)
        if self.together is not None and self.recorded is not None:
            self.recorded.row = row
            standings = [position.standing(row) for position in self.asked]
            self.together.on_bar(standings, equity, account.spendable(), account.now, self.risk.gate)
            return
        for position in self.asked:
            if position.track.here[row]:
                self._on_bar(position, row, equity, self.risk.gate)

    def _finer(self, row: int) -> Inside:
        """The finer bars inside those of a row."""
        known = {position.holding: position.track.inside(row) for position in self.positions if position.track.here[row]}
        return {held: bars for held, bars in known.items() if bars}

    def _end(self, position: ReplayPosition) -> None:
        """A symbol has no more bars: its orders are cancelled, and what is held is closed at its last price."""
        last = position.track.end - 1
        position.holding.close_out(last, f"its bars end at {pd.Timestamp(self.times[last], unit='s'):%Y-%m-%d %H:%M}; {AT_LAST_PRICE}")

    def _on_bar(self, position: ReplayPosition, row: int, equity: float, gate: Gate) -> None:
        manager, held, track = position.manager, position.holding, position.track
        if manager.busy:
            if self.learning is None:
                position.forget_step(row)
            manager.attend(held.size, held.paid, held.close, equity, self.account.now)
            return
        location, scale = float(position.location[row]), float(track.scale[row])
        manager.on_bar(location, scale, held.size, held.paid, held.close, equity, self.account.spendable(), self.account.now, gate)

    def _pass_over(self, row: int) -> int:
        """The first row from `row` on at which something may happen; those before it are written down."""
        if self.learning is not None or not self._looks_ahead():
            return row
        first = row
        last, look = len(self.times), _LOOK
        while row < last and self._settled(row):
            rows = slice(row, min(self._horizon(row, look), last))
            equity, cash = self._values(rows)
            opened = self._day_opens(row, equity)
            acts = self._near_a_limit(equity, opened) | self._is_forced(rows)
            acts = acts | (self._acts_together(rows, equity) if self.together is not None else self._acts_alone(rows, equity))
            quiet = int(acts.argmax()) if acts.any() else len(acts)
            self._write_down(row, equity[:quiet], cash[:quiet], opened[:quiet])
            row, look = row + quiet, 2 * look
            if quiet < len(acts):
                self._wait = 0 if row - first >= _WORTH else min(2 * self._wait + 1, _MOST_WAIT)
                break
        return row

    def _looks_ahead(self) -> bool:
        """Whether to look ahead from here: always while nothing is held, else the less often the less it gained."""
        if self._wait <= self._waited or all(position.flat for position in self.positions):
            self._waited = 0
            return True
        self._waited += 1
        return False

    def _acts_alone(self, rows: slice, equity: Floats) -> Flags:
        """Rows on which some symbol may act, each decided on by itself."""
        acts = np.zeros(len(equity), dtype=bool)
        for position in self.positions:
            acts = acts | position.acts(rows, equity)
        return acts

    def _acts_together(self, rows: slice, equity: Floats) -> Flags:
        """Rows on which the decision for all may give another exposure than is held, or a stop may be filled.

        Where no symbol's gain lies beyond what the risk of all that is held asks for, and no limit is passed, `decision.targets` gives what
        is held.
        """
        assert self.together is not None and self.recorded is not None
        if all(position.flat for position in self.positions):
            return self._acts_alone(rows, equity)
        told = [position.outlook(rows, equity) for position in self.asked]
        gains, scales, held = (np.column_stack(column) for column in zip(*told, strict=True))
        shorts = np.array([position.track.params.edge.shorts for position in self.asked], dtype=bool)
        acts = may_move(gains, scales, held, shorts, self.recorded.matrices[rows], self.together.rule)
        for position in self.positions:
            acts = acts | position.is_met(rows)
        return acts

    def _values(self, rows: slice) -> tuple[Floats, Floats]:
        """Equity and cash at the close of rows on which nothing happens."""
        total = np.zeros(rows.stop - rows.start)
        for position in self.positions:
            total = position.values(rows, total)
        return self.account.cash + total, np.full(len(total), self.account.cash)

    def _is_forced(self, rows: slice) -> Flags:
        """Rows on which the venue may act by itself."""
        return np.zeros(rows.stop - rows.start, dtype=bool)

    def _horizon(self, row: int, look: int) -> int:
        """How far to look: to the next entry where all are flat, else `look` bars."""
        if all(position.flat for position in self.positions):
            ends = [position.track.end + 1 for position in self.positions if position.holding.size]
            return min([*(position.next_entry(row) + 1 for position in self.positions), *ends])
        return row + look

    def _settled(self, row: int) -> bool:
        if self.risk.gate is not Gate.OPEN or any(order.new for order in self.account.orders):
            return False
        return all(position.settled(row) for position in self.positions)

    def _near_a_limit(self, equity: Floats, opened: Floats) -> Flags:
        """Rows at which equity may have fallen far enough to lock or halt."""
        high = np.maximum.accumulate(np.maximum(equity, self.risk.peak))
        least = np.maximum(high * (1.0 - self.limits.max_drawdown), opened * (1.0 - self.limits.max_daily_loss))
        return np.asarray((equity <= least * (1.0 + _CAUTION)) | (equity <= 0.0))

    def _day_opens(self, first: int, equity: Floats) -> Floats:
        """Equity before each row's day began, for rows from `first` on."""
        before = self.day_starts[first : first + len(equity)] - 1 - first
        return np.where(before >= 0, equity[np.maximum(before, 0)], np.where(before == -1, self.risk.last, self.risk.day_open))

    def _write_down(self, first: int, equity: Floats, cash: Floats, opened: Floats) -> None:
        """Take over rows on which nothing happened."""
        if not len(equity):
            return
        last = first + len(equity) - 1
        self.equity[first : last + 1], self.cash[first : last + 1] = equity, cash
        peak = max(self.risk.peak, float(equity.max()))
        self.risk = RiskState(peak, int(self.days[last]), float(opened[-1]), float(equity[-1]))
        for position in self.positions:
            position.holding.close = float(position.track.close[last])
            position.manager.state.variance = float(position.track.variance[last])
