"""A recorded session, read from its folder for the replay."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from forwardtrader.core import log
from forwardtrader.core.config import RETIRED, load_settings
from forwardtrader.core.errors import RunUnreadable
from forwardtrader.core.settings import Settings
from forwardtrader.core.types import MarketRules, Timeframe
from forwardtrader.feeds.perpetuals.facts import completed
from forwardtrader.feeds.venues.contracts import settle_currency
from forwardtrader.feeds.venues.market_rules import market_rules
from forwardtrader.live.bridge.pre_trade_checks import EVERY_SYMBOL, OLD_BAR, UNSENT
from forwardtrader.live.output.files import CANDLES, EQUITY, FILLS, FORECASTS, HISTORY, ORDERS, split_table
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.session.candles import with_late
from forwardtrader.models.online.online_walk_forward import PromotionCommand
from forwardtrader.models.registry.promotion_log import Author, PromotionLog
from forwardtrader.models.signal_bars import SignalBars
from forwardtrader.reports.artefacts import whole_table
from forwardtrader.reports.pages.session_status import SessionStatus, read_status
from forwardtrader.strategies.margin.series import PerpetualSeries

_LOG: Final = log.logger("live")


@dataclass(frozen=True)
class Recorded:
    """A recorded session: its tables as written, and notes, commands and blocked entries from its database.

    Attributes:
        commands: bar (open time, ms UTC) and name of each control command.
        orders: what persons ordered about models.
        blocked: reasons of blocked entries, by bar (open time, ms UTC) and symbol.
        late: of each symbol, which bars came after those of the others, and in which turn.
        forecasts: whether the session had models; its strategy reads no forecasts where it had none.
        signals: of each symbol, the bars that features saw in place of its own.
        facts: marks by bar and funding by settlement time, of each perpetual.
    """

    status: SessionStatus
    settings: Settings
    first_live: datetime
    strategy: str
    histories: dict[str, pd.DataFrame]
    candles: dict[str, pd.DataFrame]
    tables: dict[str, pd.DataFrame]
    commands: list[tuple[int, str]]
    notes: list[dict[str, Any]]
    orders: tuple[PromotionCommand, ...] = ()
    blocked: dict[tuple[int, str], str] = field(default_factory=dict)
    late: dict[str, pd.Series[int]] = field(default_factory=dict)
    forecasts: bool = True
    facts: dict[str, tuple[pd.DataFrame, pd.Series[float]]] = field(default_factory=dict)
    signals: dict[str, SignalBars] = field(default_factory=dict)

    @property
    def timeframe(self) -> Timeframe:
        return Timeframe.parse(self.status.timeframe)

    @property
    def is_filled_by_book(self) -> bool:
        """Whether orders were filled at a venue's own prices, not by the bar rule of the practice exchange."""
        practice = any("(practice)" in name for name in self.status.exchanges)
        return self.status.mode == "live" and (not practice or self.settings.live.practice_fills == "book")

    @property
    def passed(self) -> frozenset[tuple[int, str]]:
        """Bars (open time, ms UTC) and symbols that took no order: they were old when they came, or the process was killed over it."""
        return frozenset(at for at, reason in self.blocked.items() if reason in UNSENT)

    @property
    def undecided(self) -> frozenset[float]:
        """Bars (open time, UTC epoch seconds) that were old for every symbol, so that nothing was decided at them."""
        opened = {s: set((pd.DatetimeIndex(f.index).as_unit("ms").asi8).tolist()) for s, f in self.candles.items()}
        old = {at for at, reason in self.blocked.items() if reason == OLD_BAR}
        return frozenset(at / 1000.0 for at in {at for at, _ in old} if all((at, s) in old for s, times in opened.items() if at in times))

    def watched(self, equity: pd.DataFrame) -> pd.DataFrame:
        """The rows of the bars that were not old when they came: what was executed while no process ran is known from the next one on."""
        old = [at for (at, symbol), reason in self.blocked.items() if symbol == EVERY_SYMBOL and reason == OLD_BAR]
        return equity[~equity["timestamp"].isin(pd.to_datetime(old, unit="ms", utc=True))]

    @property
    def whole(self) -> dict[str, pd.DataFrame]:
        """History and the session's own bars, with a column that says which of them came late, where there are such."""
        none = pd.Series(dtype="int64")
        return {s: with_late(pd.concat([frame, self.candles[s]]), self.late.get(s, none)) for s, frame in self.histories.items()}

    @property
    def last_bar(self) -> pd.Timestamp:
        """Open time of the newest bar."""
        return max(frame.index[-1] for frame in self.candles.values() if len(frame))

    @property
    def fills(self) -> pd.DataFrame:
        """The fills up to the last bar: those of its own orders come while the session ends, and no replay reaches them."""
        table = self.tables["fills"]
        return table[table["timestamp"] <= self.last_bar]

    def perpetual(self, symbol: str) -> PerpetualSeries | None:
        """Marks and funding over the session's bars; None where nothing is known of them, so that a replay goes by the usual rates.

        Paper is charged what was recorded. An account at a venue is valued at the last price, as its session sees it, and its funding
        settled at the mark of the bar's open; where the venue published nothing the prior stands for it, which the log says.
        """
        marks, funding = self.facts.get(symbol, (pd.DataFrame(), pd.Series(dtype="float64")))
        if marks.empty and funding.empty:
            return None
        if self.status.mode == "live":
            candles = self.candles[symbol]
            hours, prior = self.rules(symbol).funding_hours, self.settings.feeds.funding_prior_bps / 1e4
            known = completed(candles, self.timeframe, marks, funding, hours=hours, prior=prior)
            for note in known.notes:
                log.event(_LOG, "facts_assumed", logging.WARNING, symbol=symbol, note=note)
            marks, funding = known.marks.assign(close=candles["close"]), known.funding
        times = (pd.DatetimeIndex(table.index).as_unit("ms").asi8 / 1000.0 for table in (marks, funding))
        opened, settled = times
        return PerpetualSeries(opened, marks.to_numpy(dtype=np.float64), settled, funding.to_numpy(dtype=np.float64))

    def rules(self, symbol: str) -> MarketRules:
        return market_rules(symbol, self.settings.feeds.exchange, store_path=self.settings.feeds.store_path)


def read_session(folder: Path) -> Recorded:
    """Read a session's folder.

    Raises:
        RunUnreadable: something is missing.
    """
    status = read_status(folder)
    try:
        plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
        names = {"forecasts": FORECASTS, "orders": ORDERS, "fills": FILLS, "equity": EQUITY}
        tables = {name: whole_table(folder / file) for name, file in names.items()}
        histories, candles = (split_table(whole_table(folder / name)) for name in (HISTORY, CANDLES))
    except FileNotFoundError as error:
        raise RunUnreadable(
            f"{error.filename} is not there: the session has seen no bar yet, or the file was removed, which the next start of the session "
            "makes again"
        ) from error
    except (OSError, ValueError, KeyError) as error:
        raise RunUnreadable(f"{folder} does not hold a session that has seen a bar ({error}); let it run first") from error
    tables["equity"] = tables["equity"].reset_index(names="timestamp")
    if not candles:
        raise RunUnreadable(f"{folder} holds no bars yet; let the session run first")
    store = SessionStore(folder / "session.db")
    recorded = {f"{room}.{key}": value for room, branch in status.config.items() for key, value in branch.items()}
    recorded.setdefault("learning.intervals", False)  # no forecast was corrected before this could be set
    settings = load_settings(overrides={key: value for key, value in recorded.items() if key not in RETIRED}, environment={})
    try:
        return Recorded(
            status, settings, datetime.fromisoformat(plan["first_live"]), plan["strategy"],
            histories, candles, tables, store.commands(), store.notes(), _orders(folder), store.blocked_entries(),
            {symbol: store.late(symbol) for symbol in histories}, bool(plan.get("forecasts", True)),
            {symbol: (store.facts.marks(symbol), store.facts.funding(symbol)) for symbol in histories if settle_currency(symbol)},
            {symbol: SignalBars.of(store.signals(symbol)) for symbol in histories},
        )  # fmt: skip
    finally:
        store.close()


def _orders(folder: Path) -> tuple[PromotionCommand, ...]:
    """Promotions and rollbacks ordered by persons, with the bar from which on they hold."""
    ordered = [e for e in PromotionLog(folder).entries() if e.by is Author.PERSON and e.since is not None]
    return tuple(PromotionCommand(e.since, e.model_id, e.action, e.reason) for e in ordered if e.since is not None)
