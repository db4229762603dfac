"""The guard of one account: carries the state machine from bar to bar, and is asked before every order. It knows no broker."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from forwardtrader.core import log
from forwardtrader.core.errors import InvalidSetting
from forwardtrader.core.settings import RiskSettings
from forwardtrader.strategies.trading_state.admission import AccountBook, RestingOrder, lowers, stopped_by, too_exposed, too_frequent
from forwardtrader.strategies.trading_state.limits import Limit, OnBreach, TradingLimits, TradingState
from forwardtrader.strategies.trading_state.machine import AccountFacts, AccountState, breaches, rearmed, step, trading_state
from forwardtrader.strategies.trading_state.round_trips import RoundTrip, TripFill, book

_LOG: Final = log.logger("strategies")
_HOUR_S: Final = 3600.0
_KEPT: Final = 200  # breaches; a daily limit may be reached for years
_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class BreachRecord:
    """One time that a limit was reached: its setting, what it did, and the bars (UTC epoch seconds) at which it began and ended.

    `until` is 0 while it lasts.
    """

    limit: str
    action: str
    at: float
    until: float = 0.0


@dataclass(frozen=True, slots=True)
class TradingReport:
    """What became of the limits: the newest breaches, how many there were, and how many orders were refused, by reason."""

    state: TradingState = TradingState.ACTIVE
    reason: str = ""
    count: int = 0
    records: tuple[BreachRecord, ...] = ()
    refused: Mapping[str, int] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """The same as plain values for a report; times are UTC epoch seconds, None for the end of what lasts."""
        breaches = [asdict(record) | {"until": record.until or None} for record in self.records]
        state = self.state.name.lower()
        return {"state": state, "reason": self.reason, "count": self.count, "breaches": breaches, "refused": dict(self.refused)}


class TradingGuard:
    """State of an account's limits, and the answer to every order.

    Args:
        saved: what `as_dict` gave before a restart; None for a start with everything allowed.

    Attributes:
        at: open time of the newest bar, UTC epoch seconds.
        found: the limits that are reached, the gravest first, and what each does.
    """

    def __init__(self, limits: TradingLimits, saved: Mapping[str, Any] | None = None) -> None:
        self.limits = limits
        self.at = 0.0
        self.found: dict[Limit, OnBreach] = {}
        self._state = AccountState()
        self._trips: dict[str, RoundTrip] = {}
        self._results: list[float] = []
        self._sent: list[float] = []
        self._records: list[BreachRecord] = []
        self._count = 0
        self._refused: Counter[str] = Counter()
        self._moved = 0.0
        if saved is not None:
            self.restore(saved)

    @classmethod
    def of(cls, settings: RiskSettings) -> TradingGuard | None:
        """A guard of the limits that are set; None where there is none."""
        limits = TradingLimits.of(settings)
        return None if limits is None else cls(limits)

    @property
    def trading_state(self) -> TradingState:
        """Active, reducing or halted."""
        return trading_state(self.found)

    @property
    def action(self) -> OnBreach | None:
        """The gravest thing that a limit asks for; None where none is reached."""
        return next(iter(self.found.values()), None)

    @property
    def reason(self) -> str:
        """The limits that are reached; "" where there are none."""
        return ", ".join(self.found)

    # Facts

    def on_bar(self, at: float, equity: float, *, paid_in: float = 0.0, model_age: float | None = None) -> None:
        """Take in a closed bar; one that is taken in again changes little.

        Args:
            at: its open time, UTC epoch seconds.
            paid_in: quote units paid in since the process began, negative for what was taken out.
            model_age: seconds since the oldest model in force was trained.
        """
        facts = AccountFacts(at=at, equity=equity, moved=paid_in - self._moved, results=tuple(self._results), model_age=model_age)
        self.at, self._moved, self._results = at, paid_in, []
        self._sent = [each for each in self._sent if at - each < _HOUR_S]
        self._state = step(self._state, facts, self.limits)
        self._compare()

    def book(self, symbol: str, fill: TripFill, *, is_flat: bool) -> None:
        """Take in an execution; `is_flat` as in `round_trips.book`."""
        self._trips[symbol], result = book(self._trips.get(symbol, RoundTrip()), fill, is_flat=is_flat)
        if result is not None:
            self._results.append(result)

    def units(self, symbol: str) -> float:
        """Base units in the open trade of a symbol."""
        return self._trips.get(symbol, RoundTrip()).units

    def adopt(self, symbol: str, units: float, price: float) -> None:
        """Take over what is held and was not bought here, at its price, or forget what is gone: neither is a gain or a loss."""
        known = self.units(symbol)
        if abs(known - units) > 1e-6 * max(abs(known), abs(units)):
            self._trips[symbol] = RoundTrip(units, -units * price)

    def rearm(self) -> None:
        """Trade again, by a person's order."""
        self._state = rearmed(self._state)
        self._compare()

    # Orders

    def refusal(self, account: AccountBook, symbol: str, order: RestingOrder, *, is_child: bool = False) -> str:
        """Why an order must not leave; "" for one that may, which counts from now on.

        Args:
            is_child: it belongs to a bracket, whose parent was counted for all of them.
        """
        reason = self._objection(account, symbol, order, is_child=is_child)
        if reason:
            self._refused[reason] += 1
        elif not is_child:
            self._sent.append(self.at)
        return reason

    def _objection(self, account: AccountBook, symbol: str, order: RestingOrder, *, is_child: bool) -> str:
        for limit, action in self.found.items():
            if state := stopped_by(action, account.symbols[symbol], order):
                return f"{state} ({limit})"
        if reason := too_exposed(account, symbol, order, self.limits):
            return reason
        return "" if is_child else too_frequent(self.at, self._sent, self.limits, lowering=lowers(account.symbols[symbol], order))

    # Records

    def report(self) -> TradingReport:
        """What became of the limits so far."""
        return TradingReport(self.trading_state, self.reason, self._count, tuple(self._records), dict(self._refused))

    def as_dict(self) -> dict[str, Any]:
        """What must be kept across a restart; plain JSON values."""
        return {
            "version": _VERSION,
            "at": self.at,
            "state": self._state.as_dict(),
            "trips": {symbol: asdict(trip) for symbol, trip in self._trips.items()},
            "results": list(self._results),
            "sent": list(self._sent),
            "records": [asdict(record) for record in self._records],
            "count": self._count,
            "refused": dict(self._refused),
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on from what `as_dict` gave.

        Raises:
            InvalidSetting: it was written by another version.
        """
        if saved.get("version") != _VERSION:
            raise InvalidSetting(f"risk state of version {saved.get('version')} cannot be read; this one reads {_VERSION}")
        self.at = saved["at"]
        self._state = AccountState.restore(saved["state"])
        self._trips = {symbol: RoundTrip(**trip) for symbol, trip in saved["trips"].items()}
        self._results, self._sent, self._count = list(saved["results"]), list(saved["sent"]), saved["count"]
        self._records = [BreachRecord(**record) for record in saved["records"]]
        self._refused = Counter(saved["refused"])
        self.found = breaches(self._state, self.limits)

    def _compare(self) -> None:
        """Record which limits are reached from this bar on, and which are no more."""
        before, self.found = self.found, breaches(self._state, self.limits)
        for limit in before.keys() - self.found.keys():
            self._records = [replace(r, until=self.at) if r.limit == limit and not r.until else r for r in self._records]
        for limit, action in self.found.items():
            if limit not in before:
                self._count += 1
                self._records = [*self._records[1 - _KEPT :], BreachRecord(str(limit), str(action), self.at)]
        if self.found.keys() != before.keys():
            losses = self._state.losses
            facts = {"state": self.trading_state.name.lower(), "limits": self.reason}
            known = {} if losses is None else {"equity": losses.last, "peak": losses.peak, "day_open": losses.day_open}
            log.event(_LOG, "trading_state", logging.WARNING, **facts, **known)
