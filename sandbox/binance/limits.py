"""Rate limits: request weights and order counts over fixed windows, and their headers."""

from __future__ import annotations

from dataclasses import dataclass

from forwardtrader.sandbox.binance import errors


@dataclass(slots=True)
class Window:
    """A counter that resets with each window of `length` milliseconds."""

    length: int
    limit: int
    started: int = 0
    used: int = 0

    def add(self, amount: int, now: int) -> None:
        started = now - now % self.length
        if started != self.started:
            self.started, self.used = started, 0
        self.used += amount

    def seconds_left(self, now: int) -> int:
        return max(1, -(-(self.started + self.length - now) // 1000))


@dataclass(slots=True)
class Limits:
    """The rate limits of one client; they are always counted, and refuse requests only if `enforced`."""

    weight: Window
    orders: Window
    daily: Window
    enforced: bool

    def spend(self, weight: int, now: int) -> None:
        """Raises -1003 (429) if the weight of the minute is used up."""
        self.weight.add(weight, now)
        if self.enforced and self.weight.used > self.weight.limit:
            raise errors.too_much_weight(self.weight.limit, self.weight.seconds_left(now))

    def count_order(self, now: int) -> None:
        """Raises -1015 (429) if a window is full."""
        for window, name in ((self.orders, "10 SECOND"), (self.daily, "1 DAY")):
            window.add(1, now)
            if self.enforced and window.used > window.limit:
                raise errors.too_many_orders(window.limit, name, window.seconds_left(now))

    def headers(self, *, orders: bool) -> dict[str, str]:
        used = str(self.weight.used)
        counted = {"X-MBX-ORDER-COUNT-10S": str(self.orders.used), "X-MBX-ORDER-COUNT-1D": str(self.daily.used)} if orders else {}
        return {"X-MBX-USED-WEIGHT": used, "X-MBX-USED-WEIGHT-1M": used, **counted}

    def described(self, *, orders: bool, counts: bool) -> list[dict[str, object]]:
        """The `rateLimits` list of exchangeInfo (without counts) and of WS API replies (with them)."""
        rows = [("REQUEST_WEIGHT", "MINUTE", 1, self.weight)]
        if orders:
            rows = [("ORDERS", "SECOND", 10, self.orders), ("ORDERS", "DAY", 1, self.daily), *rows]
        return [
            {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": window.limit}
            | ({"count": window.used} if counts else {})
            for kind, interval, number, window in rows
        ]
