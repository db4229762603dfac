"""Look-ahead proofs: nothing computed at a bar may depend on a later one; a function of bars is run twice and compared bit for bit.

A function under proof takes a candle frame (UTC index of bar-open times; open, high, low, close, volume, and whatever columns the user
added) and returns a frame on the same index: features, forecasts, exposures. A proof that passes says "none found", never "none there":
its detail lists what was swept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.core.errors import TradingError
from forwardtrader.core.types import OHLCV

Compute = Callable[[pd.DataFrame], pd.DataFrame]
ComputeWithFacts = Callable[[pd.DataFrame, pd.DataFrame], pd.DataFrame]
BUMP: Final = 1.5
_FEW_ROWS: Final = 3  # too few rows to tell a whole-sample statistic from a look ahead
# What a user can do where there was too little to work on.
MORE: Final = "give it a longer span (an earlier --from) or a shorter timeframe"


class Leak(StrEnum):
    """The kind of leak, as far as the changed rows show it."""

    NONE = "none found"
    AHEAD = "looks ahead"
    WHOLE_SAMPLE = "uses the whole sample"
    FILLED_BACKWARDS = "fills earlier bars with later values"
    REFERENCE_DATE = "uses a fact before it was known"
    AROUND_LABELS = "knows outcomes that it was not taught"
    BLIND = "does not react to the newest bar"


class LookAheadResult(StrEnum):
    """Result of a proof; one with too little data has not passed."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_TESTABLE = "not testable"


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What one proof found. `offenders` are names of columns, in their order; `detail` is a sentence for the user.

    `testable` is false where there was too little material to find a leak in; `passed` then is false as well.
    """

    name: str
    passed: bool
    detail: str
    leak: Leak = Leak.NONE
    offenders: tuple[str, ...] = ()
    testable: bool = True

    @property
    def result(self) -> LookAheadResult:
        """Passed, failed, or neither."""
        return LookAheadResult.PASSED if self.passed else LookAheadResult.FAILED if self.testable else LookAheadResult.NOT_TESTABLE


def untested(name: str, detail: str) -> Proof:
    """A proof that had too little data; `detail` says of what, and how to get more."""
    return Proof(name=name, passed=False, testable=False, detail=detail)


def truncation(compute: Compute, bars: pd.DataFrame, *, moments: int = 20, seed: int = 0, least: int = 2) -> Proof:
    """Cut all bars after t away, for many t: every output up to t must stay the same bits.

    Half of the moments lie anywhere, half are crowded towards the start, where a backward fill of the warm-up would show; bars before a
    gap in the inputs are looked at as well. `least` is the number of bars below which the function cannot answer; a moment that it refuses
    with one of our errors is passed over.
    """
    whole = compute(bars)
    looked_at = 0
    for cut in (cut for cut in cut_points(bars, moments, seed) if cut + 1 >= least):
        try:
            part = compute(bars.iloc[: cut + 1])
        except TradingError:
            continue
        looked_at += 1
        found = _differences(part, whole.iloc[: cut + 1])
        if found:
            return _guilty("truncation", found, cut, f"with the bars after {_moment(bars, cut)} cut away")
    if not looked_at:
        return untested("truncation", f"no moment could be looked at: {len(bars)} bars are too few")
    empty = [str(name) for name, known in whole.notna().any().items() if not known]
    if len(empty) == len(whole.columns):
        return untested("truncation", f"none of {len(empty)} columns has a value in these {len(bars)} bars")
    swept = f"{looked_at} moments, {len(whole.columns) - len(empty)} columns: outputs are equal with and without the later bars"
    return Proof(name="truncation", passed=True, detail=swept + (f"; {', '.join(empty)} had no value to compare" if empty else ""))


def last_bar_bump(compute: Compute, bars: pd.DataFrame, *, fields: Iterable[str] = OHLCV) -> Proof:
    """Multiply one field of the newest bar by 1.5, field by field: no earlier output may move by a bit, and the newest must react.

    A field that is zero there becomes one; a field that is missing there cannot be changed and is not swept.
    """
    swept = [field for field in fields if field in bars and len(bars) > 1 and np.isfinite(bars[field].iloc[-1])]
    if not swept:
        return untested("last-bar bump", f"the newest of {len(bars)} bars has no value that could be changed while others stay")
    whole = compute(bars)
    reacts: list[str] = []
    for field in swept:
        values = bars[field].to_numpy(dtype=np.float64).copy()
        values[-1] = values[-1] * BUMP or 1.0
        moved = compute(bars.assign(**{field: values}))
        found = _differences(moved.iloc[:-1], whole.iloc[:-1])
        if found:
            return _guilty("last-bar bump", found, len(bars) - 2, f"when the newest {field} was changed")
        if _differences(moved.iloc[-1:], whole.iloc[-1:]):
            reacts.append(field)
    if not reacts:
        return Proof(
            name="last-bar bump",
            passed=False,
            leak=Leak.BLIND,
            offenders=tuple(map(str, whole.columns)),
            detail=f"nothing reacts to the newest bar's {', '.join(swept)}: the proof is blind",
        )
    detail = f"{', '.join(swept)} of the newest bar changed: nothing earlier moved; the newest output reacts to {', '.join(reacts)}"
    return Proof(name="last-bar bump", passed=True, detail=detail)


def publication(
    compute: ComputeWithFacts, bars: pd.DataFrame, facts: pd.DataFrame, bar: pd.Timedelta, *, moments: int = 20, seed: int = 0
) -> Proof:
    """Take away every fact that was not known when bar t closed (and every later bar): outputs up to t must stay the same bits.

    Args:
        facts: columns `describes`, `known_at` (UTC) and whatever else `compute` reads.
        bar: the length of one bar, from open to close.
    """
    whole = compute(bars, facts)
    known_at = pd.to_datetime(facts["known_at"], utc=True)
    looked_at = 0
    for cut in sorted({*cut_points(bars, moments, seed), *_amid(known_at, pd.DatetimeIndex(bars.index) + bar, moments // 2, seed)}):
        known = facts.loc[(known_at <= bars.index[cut] + bar).to_numpy()]
        if not len(known) or len(known) == len(facts):
            continue
        looked_at += 1
        found = _differences(compute(bars.iloc[: cut + 1], known), whole.iloc[: cut + 1])
        if found:
            proof = _guilty("publication", found, cut, f"with the facts not yet known at the close of {_moment(bars, cut)} taken away")
            return Proof(name=proof.name, passed=False, detail=proof.detail, leak=Leak.REFERENCE_DATE, offenders=proof.offenders)
    if not looked_at:
        return untested("publication", "no fact was published between two of these bars; begin earlier (--from) or give more facts")
    if not whole.notna().to_numpy().any():
        return untested("publication", f"no output has a value in these {len(bars)} bars")
    detail = f"{looked_at} moments: outputs are equal with and without the facts that were published later"
    return Proof(name="publication", passed=True, detail=detail)


def compare(name: str, part: pd.DataFrame, whole: pd.DataFrame, when: str) -> Proof:
    """Compare two results that must be equal bit for bit, row for row; `when` names what differed in the input of the first."""
    found = _differences(part, whole)
    if found:
        return _guilty(name, found, len(whole) - 1, when, by_bar=isinstance(whole.index, pd.DatetimeIndex))
    return Proof(name=name, passed=True, detail=f"{len(whole)} rows are equal {when}")


def cut_points(bars: pd.DataFrame, moments: int, seed: int) -> list[int]:
    """Rows after which to cut, rising: spread over all, crowded towards the start, and in holes of the inputs; never the last row."""
    n, rng = len(bars), np.random.default_rng(seed)
    if n < 3:
        return []
    anywhere = rng.integers(1, n - 1, size=moments - moments // 2)
    early = np.exp(rng.uniform(0.0, np.log(n - 1), size=moments // 2)).astype(int)
    holes = np.flatnonzero(bars.isna().any(axis=1).to_numpy())
    chosen_holes = rng.choice(holes, size=min(len(holes), max(1, moments // 4)), replace=False) if len(holes) else holes
    return sorted({int(t) for t in (*anywhere, *early, *chosen_holes) if 1 <= t < n - 1})


def _amid(known_at: pd.Series, closes: pd.DatetimeIndex, moments: int, seed: int) -> list[int]:
    """Rows at whose close some facts were known and others were not; few facts in many bars would else be missed by chance."""
    known = pd.DatetimeIndex(known_at).sort_values().searchsorted(closes, side="right")
    rows = np.flatnonzero((known > 0) & (known < len(known_at)))
    return [int(row) for row in np.random.default_rng(seed).permutation(rows[rows < len(closes) - 1])[:moments]]


@dataclass(frozen=True)
class _Difference:
    column: str
    rows: NDArray[np.int64]
    was_missing: bool


def _differences(part: pd.DataFrame, whole: pd.DataFrame) -> list[_Difference]:
    """Columns whose values are not the same bits, with the rows that differ; a missing or new row is a difference of every column."""
    if list(part.columns) != list(whole.columns):
        return [_Difference(str(name), np.arange(len(whole)), was_missing=False) for name in whole.columns]
    common = min(len(part), len(whole))
    elsewhere = np.flatnonzero(np.asarray(part.index[:common] != whole.index[:common]))
    others = np.append(elsewhere, np.arange(common, max(len(part), len(whole))))
    found = []
    for place, name in enumerate(whole.columns):
        short, full = part.iloc[:common, place], whole.iloc[:common, place]
        changed = np.flatnonzero(~_same(short, full))
        rows = np.union1d(changed, others)
        if len(rows):
            filled = not len(others) and bool(short.isna().to_numpy()[rows].all() and full.notna().to_numpy()[rows].all())
            found.append(_Difference(str(name), rows, was_missing=filled))
    return found


def _same(first: pd.Series, second: pd.Series) -> NDArray[np.bool_]:
    a, b = first.to_numpy(), second.to_numpy()
    both_missing = first.isna().to_numpy() & second.isna().to_numpy()
    if a.dtype.kind == "f" and b.dtype == a.dtype:
        bits: Any = np.dtype(f"u{a.dtype.itemsize}")
        return np.asarray((a.view(bits) == b.view(bits)) | both_missing)
    return np.asarray((a == b) | both_missing, dtype=bool)


def _guilty(name: str, found: list[_Difference], last: int, when: str, *, by_bar: bool = True) -> Proof:
    """Describe the leak; `last` is the newest row that was compared. Rows of tables such as fills are no bars (`by_bar`)."""
    worst = max(found, key=lambda difference: len(difference.rows))
    last = max(last, int(worst.rows.max()))
    reach = last - int(worst.rows.min()) + 1
    leak = _shape(worst, last) if by_bar or last >= _FEW_ROWS else Leak.AHEAD
    ahead = f", by {reach} bar{'s' if reach > 1 else ''}" if leak is Leak.AHEAD and by_bar else ""
    names = tuple(difference.column for difference in found)
    detail = f"{', '.join(names)} {leak.value}{ahead}: {len(worst.rows)} of {last + 1} earlier values changed {when}"
    return Proof(name=name, passed=False, detail=detail, leak=leak, offenders=names)


def _shape(worst: _Difference, last: int) -> Leak:
    if worst.was_missing:
        # Missing without the later bars, there with them: a plain shift where only the newest rows are such, else a fill.
        newest_only = len(worst.rows) == last - int(worst.rows.min()) + 1 and int(worst.rows.max()) == last
        return Leak.AHEAD if newest_only and int(worst.rows.min()) > last / 2 else Leak.FILLED_BACKWARDS
    crowded_at_the_end = int(worst.rows.min()) > last / 2
    return Leak.AHEAD if crowded_at_the_end else Leak.WHOLE_SAMPLE


def _moment(bars: pd.DataFrame, row: int) -> str:
    return f"{pd.Timestamp(bars.index[row]):%Y-%m-%d %H:%M}"
