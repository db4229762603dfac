"""The traded span, parsed from the command line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from forwardtrader.core.clock import Clock
from forwardtrader.core.errors import InvalidDates

DEFAULT_SPAN = timedelta(days=730)


def traded_span(first: str | None, last: str | None, clock: Clock) -> tuple[datetime, datetime]:
    """The half-open range of bar-open times to trade, UTC.

    Args:
        first: first day or moment, ISO 8601; two years before the end where not given.
        last: last day (the whole of it) or moment; the present moment where not given.

    Raises:
        InvalidDates: not a date, in the future, or the wrong way round.
    """
    now = clock.now()
    end = now if last is None else min(_read(last, "--to") + (timedelta(days=1) if _is_day(last) else timedelta()), now)
    begin = end - DEFAULT_SPAN if first is None else _read(first, "--from")
    if begin > now:
        raise InvalidDates(f"--from {first} lies in the future; today is {now:%Y-%m-%d} UTC")
    if last is not None and _read(last, "--to") > now:
        raise InvalidDates(f"--to {last} lies in the future; today is {now:%Y-%m-%d} UTC, leave --to out to run up to now")
    if begin >= end:
        raise InvalidDates(f"--from {first} is not before --to {last or f'{end:%Y-%m-%d}'}; swap them or choose an earlier --from")
    return begin, end


def _is_day(text: str) -> bool:
    return len(text) == 10


def _read(text: str, flag: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidDates(f"{flag} {text!r} is not a date; write it as 2022-01-31") from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
