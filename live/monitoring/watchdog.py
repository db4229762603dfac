"""The watchdog of a session: a thread that notices a stale feed, a stalled loop and a clock that is off."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from forwardtrader.core import log
from forwardtrader.core.clock import Clock
from forwardtrader.core.errors import ConfigError, TradingError
from forwardtrader.core.settings import RiskSettings
from forwardtrader.feeds.venues.retry import VenueRequests
from forwardtrader.live.bridge.store import CCXTStore
from forwardtrader.live.venue.perpetuals import widest_gap
from forwardtrader.live.venue.retry import clock_offset

_LOG: Final = log.logger("live")
_LOOK_EVERY_S: Final = 1.0
_CLOCK_EVERY_S: Final = 600.0
_MARKS_EVERY_S: Final = 30.0
_PATIENCE_S: Final = 15.0
T = TypeVar("T")
BLOCKED: Final = "entries are blocked: "  # begins the refusal of an order that was held back; the trouble follows


@dataclass(frozen=True)
class Signs:
    """Heartbeats of a session, in seconds: age of the newest closed bar, age of the loop's last turn, and how far this machine's clock is
    ahead of the venue's; None for what is unknown. `mark_gap` is a perpetual and the share by which its mark is off its last price.
    """

    bar_age_s: float | None = None
    turn_age_s: float | None = None
    clock_offset_s: float | None = None
    mark_gap: tuple[str, float] | None = None


def troubles(signs: Signs, limits: RiskSettings, longest_bar_age_s: float | None) -> dict[str, str]:
    """What is wrong: name of the alert to its text."""
    found = {}
    if signs.bar_age_s is not None and longest_bar_age_s is not None and signs.bar_age_s > longest_bar_age_s:
        found["no_closed_bar"] = f"no closed bar for {signs.bar_age_s:.0f} s"
    if signs.turn_age_s is not None and signs.turn_age_s > limits.max_stall_s:
        found["loop_stalled"] = f"the session has not turned for {signs.turn_age_s:.0f} s"
    if signs.clock_offset_s is not None and abs(signs.clock_offset_s) > limits.max_clock_offset_s:
        found["clock_off"] = clock_is_off(signs.clock_offset_s)
    if signs.mark_gap is not None and abs(signs.mark_gap[1]) > limits.max_mark_gap:
        symbol, gap = signs.mark_gap
        found["mark_far_from_last"] = f"the mark of {symbol} is {gap:+.1%} off its last price"
    return found


def clock_is_off(offset_s: float) -> str:
    """The message about a clock that is `offset_s` ahead of the venue's."""
    return f"this machine's clock is {offset_s:+.1f} s off the venue's; set it (NTP)"


def require_right_clock(offset_s: float | None, limits: RiskSettings) -> None:
    """Raise ConfigError where the clock is off by more than `risk.max_clock_offset_s`."""
    if offset_s is not None and abs(offset_s) > limits.max_clock_offset_s:
        raise ConfigError(f"{clock_is_off(offset_s)}, then start again; no order was sent")


class Watchdog:
    """A thread that checks every second, sends an alert when a trouble begins and ends, and blocks entries meanwhile.

    Args:
        longest_bar_age_s: after which the feed is stale; None where bars come when the session is ready for them (lockstep).
        clock_offset: asks the venue; None where its clock is not this machine's.
        mark_gap: asks the venue of perpetuals; None for spot.
        notify: sends an alert: kind, level and facts.
        hold: called with the reason why entries are blocked, and with "" when they are allowed again; None to alert only.
    """

    def __init__(
        self, limits: RiskSettings, *, longest_bar_age_s: float | None, notify: Callable[..., None], hold: Callable[[str], None] | None,
        clock_offset: Callable[[], float | None] | None = None, mark_gap: Callable[[], tuple[str, float] | None] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._limits = limits
        self._longest_bar_age_s = longest_bar_age_s
        self._notify = notify
        self._hold = hold
        self._ask_offset = clock_offset
        self._monotonic = monotonic
        self._bar_at: float | None = None
        self._turned_at: float | None = None
        self._offset: float | None = None
        self._asked_at = monotonic()
        self._ask_gap = mark_gap
        self._gap: tuple[str, float] | None = None
        self._gap_at = monotonic()
        self._known: dict[str, str] = {}
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    # Heartbeats, from any thread

    def bar(self) -> None:
        """A closed bar came."""
        self._bar_at = self._monotonic()

    def turn(self) -> None:
        """The loop turned; the first turn is also where waiting for bars begins."""
        self._turned_at = self._monotonic()
        if self._bar_at is None:
            self._bar_at = self._turned_at

    @property
    def signs(self) -> Signs:
        now = self._monotonic()
        bar, turn = (None if at is None else now - at for at in (self._bar_at, self._turned_at))
        return Signs(bar, turn, self._offset, self._gap)

    @property
    def troubles(self) -> tuple[str, ...]:
        """What is wrong now."""
        return tuple(self._known.values())

    # Checks

    def start(self) -> None:
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """A second call does nothing."""
        self._end.set()
        if self._thread is not None:
            self._thread.join(5)
            self._thread = None

    def look(self) -> None:
        """Check once: report what has become wrong or right since the last check."""
        if self._ask_offset is not None and self._monotonic() - self._asked_at >= _CLOCK_EVERY_S:
            self._asked_at = self._monotonic()
            self._offset = self._asked(self._ask_offset, self._offset)
        if self._ask_gap is not None and self._monotonic() - self._gap_at >= _MARKS_EVERY_S:
            self._gap_at = self._monotonic()
            self._gap = self._asked(self._ask_gap, self._gap)
        found = troubles(self.signs, self._limits, self._longest_bar_age_s)
        before, self._known = self._known, found
        if self._hold is not None and bool(found) != bool(before):
            self._hold("; ".join(found.values()))
        for name in found.keys() - before.keys():
            self._notify(name, "error", trouble=found[name], orders="held" if self._hold is not None else "not held")
        for name in before.keys() - found.keys():
            self._notify(f"{name}_no_more", "info")

    def _watch(self) -> None:
        while not self._end.wait(_LOOK_EVERY_S):
            try:
                self.look()
            except Exception:  # noqa: BLE001 - a failed check must not end the watchdog
                _LOG.error("watchdog failed", exc_info=True)

    @staticmethod
    def _asked(ask: Callable[[], T], before: T) -> T:
        """The venue's answer; without one, the one before."""
        try:
            return ask()
        except (TradingError, TimeoutError) as trouble:
            log.event(_LOG, "venue_not_heard", reason=str(trouble))
            return before


def start_watchdog(
    bridge: CCXTStore, limits: RiskSettings, clock: Clock | None, *, real_orders: bool, longest_bar_age_s: float | None,
    notify: Callable[..., None],
) -> Watchdog:  # fmt: skip
    """Start a watchdog on a connected session.

    Args:
        clock: compared with the venue's; None where the market has a time of its own.
        real_orders: whether the account is blocked during a trouble, where `risk.on_trouble` says so.

    Raises:
        ConfigError: the session would send real orders by a clock that is off.
        VenueUnreachable, VenueRefused: the venue does not answer the question for its time.
    """

    def offset() -> float | None:
        assert clock is not None and bridge.client is not None
        found: float | None = bridge.loop.call(clock_offset(bridge.client, clock), _PATIENCE_S)
        return found

    def gap() -> tuple[str, float] | None:
        assert bridge.client is not None
        symbols = [data.symbol for data in bridge.datas]
        asks = VenueRequests(bridge.client).once(partial(widest_gap, bridge.client, symbols, bridge.last_price))
        found: tuple[str, float] | None = bridge.loop.call(asks, _PATIENCE_S)
        return found

    def block(reason: str) -> None:
        assert bridge.risk_limits is not None
        bridge.risk_limits.hold = BLOCKED + reason if reason else ""

    if real_orders and clock is not None:
        require_right_clock(offset(), limits)
    watchdog = Watchdog(
        limits, longest_bar_age_s=longest_bar_age_s, notify=notify, hold=block if real_orders and limits.on_trouble == "hold" else None,
        clock_offset=None if clock is None else offset,
        mark_gap=gap if real_orders and bridge.client is not None and bridge.client.trades_perpetuals else None,
    )  # fmt: skip
    bridge.on_bar = lambda _symbol, _bar: watchdog.bar()
    watchdog.start()
    return watchdog
