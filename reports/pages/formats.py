"""Formats of numbers and times on the pages; a missing value is a dash."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from forwardtrader.core.settings import LearningSettings
from forwardtrader.reports.manifest import DetailData, LimitsSection, MarginSection, VenuesData
from forwardtrader.reports.pages.glossary import term
from forwardtrader.reports.sections.entries import EntriesSection
from forwardtrader.reports.sections.learned import LearnedSection

DASH: Final = "–"
_MINUS: Final = "\u2212"
_BREACHES_SHOWN: Final = 5
_STATES: Final = {"active": "active", "reducing": "reduce only", "halted": "halted"}


def number(value: float | None, digits: int = 2) -> str:
    """`1,234.50` with a true minus sign."""
    if value is None or not math.isfinite(value):
        return DASH
    text = f"{abs(value):,.{digits}f}"
    # A rounded zero has no sign.
    return (_MINUS if value < 0 and any(c in "123456789" for c in text) else "") + text


def percent(value: float | None, digits: int = 1) -> str:
    """`12.3 %` of a share."""
    return DASH if value is None or not math.isfinite(value) else f"{number(value * 100, digits)} %"


def signed_percent(value: float | None, digits: int = 1) -> str:
    """The same with a plus sign before gains."""
    text = percent(value, digits)
    return f"+{text}" if value is not None and value > 0 and text[0] not in DASH else text


def probability(value: float | None, digits: int = 1) -> str:
    """A probability as a percentage that is rounded neither to zero nor to certainty: `> 99.9 %`, `< 0.1 %`."""
    edge = 10.0 ** -(digits + 2)
    if value is not None and value < edge:
        return f"< {percent(edge, digits)}"
    if value is not None and value > 1.0 - edge:
        return f"> {percent(1.0 - edge, digits)}"
    return percent(value, digits)


def count(value: float | None) -> str:
    """A whole number, thousands apart."""
    return number(value, 0)


def p_value(value: float | None) -> str:
    """Three digits, or `< 0.001`."""
    if value is None or not math.isfinite(value):
        return DASH
    return "< 0.001" if value < 0.001 else number(value, 3)


def interval(bounds: Sequence[float | None] | None, digits: int = 2, *, share: bool = False) -> str:
    """`[0.08, 0.10]`; with `share` in per cent. Empty where there is none."""
    if bounds is None or any(b is None or not math.isfinite(b) for b in bounds):
        return ""
    low, high = (number(b * 100 if share else b, digits) for b in bounds if b is not None)
    return f"[{low}, {high}]"


def price(value: float | None) -> str:
    """A price with the digits its size deserves."""
    if value is None or not math.isfinite(value):
        return DASH
    return number(value, 2 if abs(value) >= 100 else 4 if abs(value) >= 1 else 6)


def day(value: datetime | None) -> str:
    """`2022-01-31`."""
    return DASH if value is None else f"{value:%Y-%m-%d}"


def minute(value: datetime | None) -> str:
    """`2022-01-31 14:00`, UTC."""
    return DASH if value is None else f"{value:%Y-%m-%d %H:%M}"


def clock(value: datetime | None) -> str:
    """`14:00`, UTC."""
    return DASH if value is None else f"{value:%H:%M}"


def duration(seconds: float | None) -> str:
    """`0.42 s`, `3 m 05 s`, `7 h 20 m`, `3 d 4 h`."""
    if seconds is None or not math.isfinite(seconds):
        return DASH
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} m {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} m"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def sentence(text: str) -> str:
    """Text as a sentence: a capital first, a full stop last."""
    text = text.strip()
    return clause(text[0].upper() + text[1:]) if text else ""


def came_to_nothing(refused: Mapping[str, Mapping[str, int]]) -> list[str]:
    """How many orders came to nothing, in one line for each symbol and reason."""
    return [
        f"{symbol}: {count:,} {'order' if count == 1 else 'orders'} came to nothing: {why}"
        for symbol, reasons in refused.items()
        for why, count in reasons.items()
    ]


def on_margin(section: MarginSection) -> str:
    """What became of an account of perpetuals, in a few sentences."""
    funding = section.funding_long + section.funding_short
    parts = [
        f"Perpetuals at leverage {section.leverage:g}: gross exposure {percent(section.gross_exposure)} of equity in the mean, net "
        f"{percent(section.net_exposure)}.",
        f"Gains {_change(section.realised_long)} long and {_change(section.realised_short)} short.",
        f"Funding {'received' if funding > 0 else 'paid'} {abs(funding):,.0f} ({_change(section.funding_long)} while long, "
        f"{_change(section.funding_short)} while short).",
        f"Fees {section.taker_fees:,.0f} as taker, {section.maker_fees:,.0f} as maker.",
        *(f"{at}: {told}." for at, told in section.liquidated.items()),
        *(f"{symbol}: {note}." for symbol, notes in section.unknown.items() for note in notes),
    ]
    return " ".join(parts)


def inside(detail: DetailData, symbol: str) -> str:
    """Which finer bars the orders of a symbol went by, in a few sentences."""
    known = detail.bars - detail.missing - detail.disagreeing
    told = f"{symbol}: inside {known:,} of {detail.bars:,} bars resting orders went by those of {detail.timeframe} from {detail.source}."
    return " ".join([told, *(sentence(note) for note in detail.notes)])


def confirmation(section: VenuesData, symbol: str) -> str:
    """How far other venues confirmed the traded one, in a few sentences."""
    traded, *others = section.venues
    parts = [f"{symbol}: {', '.join(others)} confirmed {traded} at {section.bars - section.paused_bars:,} of {section.bars:,} bars."]
    if section.pauses:
        parts.append(f"Nothing was entered at {section.paused_bars:,} bars, in {section.pauses:,} spells.")
    if section.replaced_bars:
        lacked = f", {section.filled_bars:,} of which {traded} lacks" if section.filled_bars else ""
        parts.append(f"Features saw another venue at {section.replaced_bars:,} bars{lacked}.")
    for venue, faults in section.faults.items():
        parts.append(
            f"{venue} was not trusted: {', '.join(f'{kind} {count:,} times' for kind, count in faults.items())}.".replace("_", " ")
        )
    return " ".join(parts)


def entries(section: EntriesSection) -> str:
    """What became of entries that were to rest as makers, in a few sentences."""
    moves = [
        f"{_change(move, 1)} bp after {bars} {'bar' if bars == 1 else 'bars'}"
        for bars, move in section.adverse_selection_bps.items()
        if move is not None
    ]
    parts = [
        f"{section.rested:,} entries rested as makers: {percent(section.fill_rate)} of their value was filled so, {section.handed_over:,} "
        f"went to the market at their deadline and {section.given_up:,} were given up.",
        *([f"{section.crossed:,} were refused, since the price had come to them already."] if section.crossed else []),
        f"Fees {section.maker_fees or 0.0:,.0f} as maker, {section.taker_fees or 0.0:,.0f} as taker.",
        *([f"The price moved against their fills by {', '.join(moves)}."] if moves else []),
    ]
    return " ".join(parts)


def learned(section: LearnedSection) -> str:
    """What the account learned from its own outcomes, in a few sentences."""
    costs = ", ".join(f"{symbol} {_times(times)} ({section.fills.get(symbol, 0):,} orders)" for symbol, times in section.costs.items())
    volatility = ", ".join(f"{symbol} {_times(times)}" for symbol, times in section.volatility.items())
    newest = "; ".join(
        f"{c.at:%Y-%m-%d %H:%M} {c.what} of {c.symbol} {_times(c.before)} to {_times(c.after)}" for c in section.changes[-3:]
    )
    parts = [
        "Learned from the account's own outcomes, as multiples of what is set or forecast:",
        *([f"costs {costs}."] if costs else []),
        *([f"Forecasts came to {_times(section.edge)} of what they promised."] if section.edge is not None else []),
        *([f"Moves were {volatility} of what was forecast."] if volatility else []),
        f"{section.count:,} changes by a tenth{f', the last {newest}' if newest else ''}.",
    ]
    return " ".join(parts)


def learning(config: Mapping[str, Mapping[str, Any]]) -> str:
    """What was learned from outcomes between two trainings by these settings, and why the rest was not."""
    given, forecaster = config.get("learning", {}), str(config.get("models", {}).get("forecaster", "lstm"))
    rule = LearningSettings(intervals=given.get("intervals", False), adaptive=bool(given.get("adaptive")))
    if rule.adaptive:
        corrected = "Quantiles, location and scale were corrected at every bar from known outcomes (learning.adaptive)."
    elif rule.corrects(forecaster):
        corrected = (
            "Quantiles were corrected at every bar from known outcomes (learning.intervals), since bands of lstm and blend hold too few "
            "without it; location and scale, which are traded by, were not."
        )
    else:
        corrected = f"Quantiles are as models of {forecaster} gave them (learning.intervals is off)."
    others = [f"learning.{key}" for key in ("early", "guard", "trial", "costs", "edge", "volatility") if given.get(key)]
    rest = f"Also on: {', '.join(others)}." if others else "What else can be learned was off: it was not shown to pay (docs/learning.md)."
    return f"{corrected} {rest}"


def _times(value: float | None) -> str:
    return DASH if value is None else f"{value:.2f} times"


def _change(value: float, digits: int = 0) -> str:
    return f"{value:+,.{digits}f}".replace("-", _MINUS)


def limits(section: LimitsSection) -> str:
    """What became of the account's limits, in one line."""
    if not section.count and not section.refused:
        return "The account's limits were never reached."
    newest = "; ".join(f"{b.at:%Y-%m-%d %H:%M} {b.limit} ({b.action})" for b in section.breaches[-_BREACHES_SHOWN:])
    more = "last " if section.count > _BREACHES_SHOWN else ""
    times = {1: "once", 2: "twice"}.get(section.count, f"{section.count:,} times")
    parts = [f"The account's limits were reached {times}: {more}{newest}."] if section.count else []
    parts += [f"Orders refused: {', '.join(f'{n:,} {reason}' for reason, n in section.refused.items())}."] if section.refused else []
    parts += [f"Now {_STATES[section.state]} ({section.reason})."] if section.reason else []
    return " ".join(parts)


def clause(text: str) -> str:
    """Text at the end of a sentence."""
    text = text.strip()
    return text + ("" if text.endswith((".", "!", "?")) else ".")


def setting(value: Any) -> str:
    """One value of the settings in a line."""
    if value is None or value == "" or value == []:
        return DASH
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


FILTERS: Final = {
    "number": number,
    "percent": percent,
    "probability": probability,
    "signed_percent": signed_percent,
    "count": count,
    "p_value": p_value,
    "interval": interval,
    "price": price,
    "day": day,
    "minute": minute,
    "clock": clock,
    "duration": duration,
    "sentence": sentence,
    "limits": limits,
    "inside": inside,
    "confirmation": confirmation,
    "on_margin": on_margin,
    "entries": entries,
    "learned": learned,
    "learning": learning,
    "clause": clause,
    "term": term,
    "setting": setting,
}
