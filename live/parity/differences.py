"""The differences between a session and its replay, and the likely cause of the first."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.live.bridge.pre_trade_checks import UNSENT
from forwardtrader.live.session.factors import LATE
from forwardtrader.reports.pages.parity_page import Difference

_FORECAST: Final = ("location", "scale", "q05", "q25", "q50", "q75", "q95", "p_up", "model_id")
_FILL: Final = ("timestamp", "symbol", "side", "size", "price", "fee", "fee_currency", "reason")
_TOO_LITTLE: Final = re.compile(r"insufficient|not enough", re.IGNORECASE)
_NUMBERS: Final = re.compile(r"\d[\d.,]*(e-\d+)?")
_ORDER: Final = ("timestamp", "symbol", "side", "size", "kind", "price", "limit", "reason", "refusal")
Column: TypeAlias = "pd.Series[Any]"
CAUSES: Final = {
    "model_late": "a model came late, the old one went on",
    "training_failed": "a model could not be trained",
    "iteration_failed": "the strategy raised an exception",
    "bar_passed": "bars came too late to be traded, after a restart or an outage",
    "bar_not_awaited": "a bar of one symbol came too late, and the others were decided without it",
    "venues_disagreed": "the venues disagreed about the price, and entries were blocked",
    "no_closed_bar": "the feed was stale, and entries were blocked",
    "loop_stalled": "the session's loop stalled, and entries were blocked",
    "clock_off": "the clock was off the venue's, and entries were blocked",
    "mark_far_from_last": "a mark was far from the last price, and entries were blocked",
    LATE: "a factor's value came later than its file says",
}


def differing(name: str, session: pd.DataFrame, replayed: pd.DataFrame, allowed: float = 0.0) -> list[Difference]:
    """All differences of one kind of table, except numbers that differ by less than `allowed`.

    Forecasts, paper orders and paper fills must be equal to the last bit, equity to the cent, orders and fills at a venue to its rounding.
    An order that was refused since its bar was old, or that a kill kept from being sent, is none.
    """
    if name == "orders":
        session, replayed = (_orders(table, allowed) for table in (session, replayed))
    columns = {"forecasts": _FORECAST, "orders": _ORDER, "fills": _FILL, "equity": ("equity", "cash")}[name]
    left, right = _keyed(name, session), _keyed(name, replayed)
    found = [_lone(name, row, "nothing", key, session=False) for key, row in left.loc[left.index.difference(right.index)].iterrows()]
    found += [_lone(name, row, "nothing", key, session=True) for key, row in right.loc[right.index.difference(left.index)].iterrows()]
    both = left.index.intersection(right.index)
    a, b = left.loc[both], right.loc[both]
    for column in columns:
        for place in np.flatnonzero(_unequal(a[column], b[column], allowed)).tolist():
            symbol = f" {a['symbol'].iloc[place]}" if "symbol" in a.columns else ""
            found.append(
                Difference(
                    at=_time(a.iloc[place], both[place]), what=f"{name}: {column}{symbol}", session=_text(a[column].iloc[place]),
                    replay=_text(b[column].iloc[place]),
                )
            )  # fmt: skip
    return found


def _orders(table: pd.DataFrame, allowed: float) -> pd.DataFrame:
    """The orders to compare. A refusal that names a size or a price names it as it was before it was rounded, and every venue has its own
    words for too little money.
    """
    found = table[~table["refusal"].isin(UNSENT)]
    if not allowed:
        return found
    refusals = found["refusal"].str.replace(_NUMBERS, "…", regex=True)
    return found.assign(refusal=refusals.mask(refusals.str.contains(_TOO_LITTLE), "too little money"))


def with_cause(difference: Difference, notes: list[dict[str, Any]], bar_s: float) -> Difference:
    """The first difference with the newest recorded deviation before it, which is the likely cause.

    Args:
        notes: of the session, oldest first.
        bar_s: seconds of a bar; what happened by the end of the bar in question counts.
    """
    until = difference.at.timestamp() + 2 * bar_s
    before = [note for note in notes if note["kind"] in CAUSES and _moment(note) <= until]
    if not before:
        return difference
    return difference.model_copy(update={"what": f"{difference.what} (after: {described(before[-1])})"})


def _moment(note: Mapping[str, Any]) -> float:
    return datetime.fromisoformat(note["at"]).astimezone(UTC).timestamp()


def described(note: Mapping[str, Any]) -> str:
    """A recorded deviation as a line of text."""
    facts = ", ".join(f"{name} {value}" for name, value in note["facts"].items())
    return f"{CAUSES[note['kind']]} ({facts})"


def _keyed(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """By time and symbol where that is unique, else by place."""
    if name == "forecasts":
        return table.set_index(["timestamp", "symbol"], drop=False)
    if name == "equity":
        return table.set_index("timestamp", drop=False)
    # The order in which the symbols of one bar were answered has no meaning.
    return table.sort_values(["timestamp", "symbol"], kind="stable", ignore_index=True)


def _unequal(a: Column, b: Column, tolerance: float) -> NDArray[np.bool_]:
    if a.dtype.kind == "f" and b.dtype.kind == "f":
        x, y = a.to_numpy(), b.to_numpy()
        return np.asarray(~((x == y) | (np.abs(x - y) < tolerance) | (np.isnan(x) & np.isnan(y))))
    return np.asarray(a.astype(str).to_numpy() != b.astype(str).to_numpy())


def _lone(name: str, row: Column, other: str, key: Any, *, session: bool) -> Difference:
    shown = ", ".join(f"{c} {_text(row[c])}" for c in row.index if c in ("symbol", "side", "size", "price", "location", "equity"))
    left, right = (other, shown) if session else (shown, other)
    return Difference(at=_time(row, key), what=f"{name}: only in the {'replay' if session else 'session'}", session=left, replay=right)


def _time(row: Column, key: Any) -> datetime:
    moment: datetime = pd.Timestamp(row["timestamp"] if "timestamp" in row.index else key).to_pydatetime()
    return moment


def _text(value: object) -> str:
    return repr(float(value)) if isinstance(value, float | np.floating) else str(value) or "none"
