"""The differences between a session and its replay, with the likely cause of the first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from forwardtrader.live.parity.differences import described, differing, with_cause
from forwardtrader.reports.pages.parity_page import Difference

AT = pd.Timestamp("2024-01-01", tz="UTC")


def fills(*sizes: float, symbol: str = "A/B") -> pd.DataFrame:
    rows = [
        {"timestamp": AT + pd.Timedelta(hours=n), "symbol": symbol, "side": "buy", "size": size, "price": 100.0, "fee": 0.1,
         "fee_currency": "B", "reason": "edge"}
        for n, size in enumerate(sizes)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_equal_tables_do_not_differ_and_the_last_bit_does() -> None:
    assert differing("fills", fills(1.0, 2.0), fills(1.0, 2.0)) == []
    [found] = differing("fills", fills(1.0, 2.0), fills(1.0, 2.0000000000000004))
    assert (found.at, found.what) == (AT + timedelta(hours=1), "fills: size A/B")
    assert (found.session, found.replay) == ("2.0", "2.0000000000000004")
    assert differing("fills", fills(1.0), fills(1.0 + 1e-8), allowed=1e-7) == []


def test_a_row_of_one_side_only_is_named_with_its_side() -> None:
    [more] = differing("fills", fills(1.0, 2.0), fills(1.0))
    assert (more.what, more.replay) == ("fills: only in the session", "nothing")
    [less] = differing("fills", fills(1.0), fills(1.0, 2.0))
    assert (less.what, less.session) == ("fills: only in the replay", "nothing")


def test_the_order_of_symbols_within_a_bar_does_not_matter() -> None:
    both = [fills(1.0), fills(2.0, symbol="C/D")]
    assert differing("fills", pd.concat(both), pd.concat(both[::-1])) == []


def test_two_unknown_numbers_are_equal() -> None:
    unknown = fills(1.0).assign(fee=float("nan"))
    assert differing("fills", unknown, unknown.copy()) == []
    assert len(differing("fills", unknown, fills(1.0))) == 1


def note(kind: str, hours: float, **facts: Any) -> dict[str, Any]:
    return {"kind": kind, "at": (datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=hours)).isoformat(), "facts": facts}


LATE = note("model_late", -5, model_id="m")


@pytest.mark.parametrize(
    ("notes", "cause"),
    [
        ([LATE, note("no_closed_bar", 1.5, trouble="x")], " (after: the feed was stale, and entries were blocked (trouble x))"),
        ([LATE, note("no_closed_bar", 9)], " (after: a model came late, the old one went on (model_id m))"),
        ([note("command_pause", 0), note("no_closed_bar", 9)], ""),
    ],
)  # fmt: skip
def test_the_newest_deviation_before_a_difference_is_its_likely_cause(notes: list[dict[str, Any]], cause: str) -> None:
    difference = Difference(at=AT.to_pydatetime(), what="fills: size A/B", session="1", replay="2")
    assert with_cause(difference, notes, 3600).what == f"fills: size A/B{cause}"


def test_every_deviation_is_described_with_its_facts() -> None:
    assert described(note("training_failed", 0, boundary="b", reason="r")) == "a model could not be trained (boundary b, reason r)"
