"""Rows of JSON by a mapping: numbers as text, times of any form, and nothing that ends a run."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.core.errors import VenueUnreachable
from forwardtrader.feeds.fetching.json_rows import Mapping, moment, number, rows_of

NOW = datetime(2024, 3, 1, tzinfo=UTC)
SECONDS = 1_706_745_600  # 2024-02-01
PLAIN = Mapping("", "t", "v")


def body(value: object) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    "time",
    [
        SECONDS, str(SECONDS), float(SECONDS), SECONDS * 1000, str(SECONDS * 1000), SECONDS * 10**6, SECONDS * 10**9, f"{SECONDS}.0",
        "2024-02-01", "2024-02-01T00:00:00Z", "2024-02-01 00:00:00", "2024-02-01T02:00:00+02:00",
    ],
)  # fmt: skip
def test_times_of_every_form_are_one_moment(time: object) -> None:
    assert moment(time) == SECONDS * 10**9


@pytest.mark.parametrize("time", [None, True, "", "soon", "²", -5, 0, 10**400, "1" * 30, [], {}, float("nan"), "1999-01-01", "9999-99-99"])
def test_what_is_no_time_is_none(time: object) -> None:
    assert moment(time) is None


@pytest.mark.parametrize(("said", "read"), [("1.5", 1.5), (2, 2.0), (" 3 ", 3.0), ("1e3", 1000.0)])
def test_numbers_may_be_texts(said: object, read: float) -> None:
    assert number(said) == read


@pytest.mark.parametrize("said", [None, True, "", "n/a", "nan", "inf", "1,000", "12%", float("inf"), 10**400, [], {}])
def test_what_is_no_number_is_none(said: object) -> None:
    assert number(said) is None


def test_rows_are_found_by_their_keys_and_bad_ones_are_counted() -> None:
    answer = {"data": {"list": [{"at": SECONDS, "x": {"y": "1.5"}}, {"at": None, "x": {"y": 2}}, {"at": SECONDS}, "?"]}}
    found = rows_of(body(answer), Mapping("data.list", "at", "x.y"), NOW, "here")
    assert (found.describes.tolist(), found.value.tolist(), found.refused) == ([SECONDS * 10**9], [1.5], 3)
    pairs = rows_of(body([[SECONDS, 7], [SECONDS + 60, "8"]]), Mapping("", "0", "1"), NOW, "here")
    assert pairs.value.tolist() == [7.0, 8.0]
    alone = rows_of(body({"t": SECONDS, "v": 1}), PLAIN, NOW, "here")
    assert alone.value.tolist() == [1.0]


def test_a_row_about_the_future_or_published_before_its_moment_is_none() -> None:
    rows = [
        {"t": SECONDS, "v": 1, "k": SECONDS + 60},
        {"t": SECONDS, "v": 2, "k": SECONDS - 60},
        {"t": 1_740_000_000, "v": 3, "k": 1_740_000_000},
    ]
    found = rows_of(body(rows), Mapping("", "t", "v", "k"), NOW, "here")
    assert (found.value.tolist(), found.known_at.tolist(), found.refused) == ([1.0], [(SECONDS + 60) * 10**9], 2)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b"<html>log in</html>", "a page"), (b"", "nothing"), (b'[{"t":', "cut short"), (b'{"data": 5}', "without a list"),
        (b"\xff\xfe", "no JSON"), (b"[" * 100_000, "no JSON"), (body([{"a": 1}] * 3), "3 rows and none with a time at 't'"),
        (b"null", "without a list"), (b"NaN", "without"),
    ],
)  # fmt: skip
def test_an_answer_that_is_none_says_what_came(answer: bytes, fault: str) -> None:
    with pytest.raises(VenueUnreachable, match=fault):
        rows_of(answer, Mapping("data", "t", "v") if answer.startswith(b"{") else PLAIN, NOW, "here")


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["t", "v", "data", "x"]), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=50, deadline=None)
@given(_ANY)
def test_no_answer_at_all_raises_anything_else(value: object) -> None:
    try:
        found = rows_of(body(value), Mapping("data", "t", "v"), NOW, "here")
    except VenueUnreachable:
        return
    assert np.isfinite(found.value).all()
