"""A start after a kill asks a slow venue each kind of question a bounded number of times, wherever it was killed."""

from __future__ import annotations

import ast
from collections import Counter

import pytest

from tests.simulation.scenario import Death, Scenario
from tests.simulation.world import simulate

_SLOWEST_S = 1.0
# The state of an account is read again until nothing moved meanwhile; an order without an answer is asked for until 12 s have passed.
MOST = {
    "binance": {
        "exchangeInfo": 1, "time": 1, "account": 3, "openOrders": 3, "order": 8, "allOrders": 2, "myTrades": 3, "klines": 1, "depth": 1,
    },
    "bybit": {
        "instruments-info": 1, "time": 1, "query-api": 1, "info": 1, "wallet-balance": 3, "realtime": 8, "history": 2, "list": 3,
        "kline": 1, "orderbook": 1,
    },
}  # fmt: skip


def questions(protocol: str, seed: int, at: str) -> Counter[str]:
    """How often the second life asked what, from the kill to its first decision."""
    outcome = simulate(
        Scenario(
            seed=seed,
            protocol=protocol,
            bars=8,
            actions=("bracket", "limit", "market"),
            activity=1.0,
            slowest_s=_SLOWEST_S,
            deaths=(Death(2, at=at),),
        )
    )
    assert not outcome.violation
    lines = [line.split(" ", 2) for line in outcome.log]
    killed = next(number for number, (_, kind, _) in enumerate(lines) if kind == "crash")
    decided = next(number for number, (_, kind, _) in enumerate(lines) if kind == "bar" and number > killed)
    paths = [ast.literal_eval(facts)["name"] for _, kind, facts in lines[killed:decided] if kind == "sent"]
    return Counter(path.rsplit("/", 1)[-1] for path in paths if path.startswith("GET"))


@pytest.mark.parametrize("at", ["after sending POST", "answer to POST", "after the bar is kept"])
@pytest.mark.parametrize("protocol", MOST)
def test_a_start_at_a_slow_venue_asks_each_kind_of_question_a_bounded_number_of_times(protocol: str, at: str) -> None:
    for seed in range(3):
        asked = questions(protocol, seed, at)
        beyond = {kind: count for kind, count in asked.items() if count > MOST[protocol].get(kind, 0)}
        assert not beyond, f"seed {seed}: {asked}"
