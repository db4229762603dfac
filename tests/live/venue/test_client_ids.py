"""Client ids: every venue accepts them, and runs do not share them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.live.venue.client_ids import begun_prefix, client_id, command_id, looks_like_ours, prefix_in, run_prefix

ACCEPTED = {
    "binance": r"[\.A-Z\:/a-z0-9_-]{1,36}",
    "bybit": r"[A-Za-z0-9_-]{1,36}",
    "okx": r"[A-Za-z0-9]{1,32}",
    "kraken": r"[!-~]{1,18}",
}
NOW, END = 1_700_000_000_000, 2_145_000_000_000


@given(name=st.text(), bar=st.integers(NOW, END), number=st.integers(1, 36**4 - 1))
def test_every_venue_accepts_them_whatever_the_run_is_called(name: str, bar: int, number: int) -> None:
    made = client_id(run_prefix(name), bar, number)
    assert [venue for venue, form in ACCEPTED.items() if not re.fullmatch(form, made)] == []
    assert (prefix_in(made), looks_like_ours(made)) == (run_prefix(name), True)


@given(command=st.text(min_size=1), bar=st.integers(NOW, END), number=st.integers(1, 36**4 - 1))
def test_an_order_of_a_control_command_has_an_id_that_no_bar_has(command: str, bar: int, number: int) -> None:
    made = command_id(run_prefix("a run"), command, number)
    assert [venue for venue, form in ACCEPTED.items() if not re.fullmatch(form, made)] == []
    assert made == command_id(begun_prefix(made, "another"), command, number) != client_id(run_prefix("a run"), bar, number)


@given(name=st.text(min_size=12), ends=st.lists(st.text(max_size=20), min_size=2, max_size=8, unique=True), bar=st.integers(NOW, END))
def test_names_that_begin_alike_share_no_ids(name: str, ends: list[str], bar: int) -> None:
    assert len({client_id(run_prefix(name + end), bar, 1) for end in ends}) == len(ends)


@given(
    orders=st.lists(st.tuples(st.integers(NOW // 60_000, END // 60_000), st.integers(1, 36**4 - 1)), min_size=2, max_size=20, unique=True)
)
def test_no_two_orders_of_a_run_share_one(orders: list[tuple[int, int]]) -> None:
    assert len({client_id(run_prefix("a run"), minute * 60_000, number) for minute, number in orders}) == len(orders)


@pytest.mark.parametrize(
    ("seen", "begins", "is_ours"),
    [
        ("ft-a-rather-lon-s44we8-1", "ft-a-rather-lon-", True), ("bt-s44we8-12", "bt-", False), ("ft-one-chx2k9p1-2", "ft-one-", True),
        ("x-TKT5PX2F22ecb58eb9074", "", False),
        ("web_3f6286480b194b07", "", False), ("ft49y7mts44we81", "ft49y7mt", True), ("FT49Y7MTS44WE81", "", False), ("", "", False),
    ],
)  # fmt: skip
def test_ids_of_earlier_versions_are_known_and_others_are_not_ours(seen: str, begins: str, is_ours: bool) -> None:
    assert (prefix_in(seen), looks_like_ours(seen)) == (begins, is_ours)
