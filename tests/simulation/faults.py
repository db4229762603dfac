"""The fault list of a real venue, one fault at a time in a world that is calm otherwise, and how long it takes to recover."""

from __future__ import annotations

from typing import Any, Final

from tests.simulation.scenario import Death, FaultOptions, Scenario

ALL: Final = tuple(f"F{number}" for number in range(1, 45))
# Titles of those that happen in the client, or to the account; the others are switches of the practice exchange.
OF_THE_PROCESS: Final = {
    "F29": "foreign orders, deposits and withdrawals", "F30": "killed at every kind of step around an order",
    "F31": "asked to end in a position", "F32": "an exception of the strategy", "F33": "five seconds in `next`", "F34": "a full disk",
}  # fmt: skip
# Faults that no world has: what happens, and the tests that make it happen.
ELSEWHERE: Final = {
    "F35": ("Firestore down, hung, reset, restarted empty", (
        "tests/live/output/test_firestore.py::test_an_emulator_that_is_down_fails_at_once_and_gets_everything_when_it_is_back",
        "tests/live/output/test_firestore.py::test_a_mirror_that_takes_connections_and_says_nothing_costs_whoever_writes_nothing",
    )),
    "F36": ("two processes on one session or one account", (
        "tests/live/session/test_session.py::test_a_second_process_is_refused_with_exit_code_5",
        "tests/live/execution/test_second_owner.py::test_an_order_of_our_form_that_the_journal_does_not_know_halts",
    )),
    "F43": ("a redirect to another host", (
        "tests/feeds/live/test_client.py::test_neither_an_order_nor_a_key_goes_where_a_redirect_points",
    )),
}  # fmt: skip
_OPTIONS: Final[dict[str, FaultOptions]] = {
    "F3": {"seconds": 30.0}, "F17": {"seconds": 300.0}, "F24": {"bars": 5, "seconds": 300.0}, "F6": {"seconds": 2.0},
    "F28": {"after_bars": 0},
    "F37": {"on": "place"}, "F44": {"on": "place", "count": 3}, "F41": {"seconds": 5.0}, "F42": {"seconds": 5.0},
    "F15": {"seconds": 120.0}, "F20": {"milliseconds": -15_000},
}  # fmt: skip
# Faults that only strike beside another one: a query needs an order in doubt, a handshake a broken socket.
_NEEDS: Final = {"F6": ("F1",), "F16": ("F14",)}
_AT: Final = ("before sending POST", "after sending POST", "answer to POST", "after commit", "after force", "is kept")


def scenario_of(fault: str, seed: int) -> Scenario:
    """A busy strategy in a calm world, with one fault."""
    calm = Scenario(seed=seed, bars=14, activity=1.0, fill_cap=0.002 if fault in ("F10", "F39") else 0.0)
    made: dict[str, dict[str, Any]] = {
        "F30": {"deaths": tuple(Death(2, at=at) for at in _AT)}, "F31": {"stops": 0.3}, "F32": {"errors": 0.2},
        "F29": {"transfers": 0.5}, "F33": {"slow_strategy": 0.5}, "F34": {"disk_full": 12},
        "F40": {"faults": {"F40": {"probability": 0.1}}},
    }  # fmt: skip
    if fault in made:
        return Scenario(**{**vars(calm), **made[fault]})
    more: dict[str, FaultOptions] = {other: {"count": 1, "after_bars": 3} for other in _NEEDS.get(fault, ())}
    options = {"count": 1, "probability": 1.0, "after_bars": 3, **_OPTIONS.get(fault, {})}
    return Scenario(**{**vars(calm), "faults": {**more, fault: options}})
