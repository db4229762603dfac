"""Situations that nobody had in mind when the program was written: several things go wrong at the worst moment."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.simulation.scenario import Death, Scenario
from tests.simulation.world import simulate

_ROUGH = Scenario(seed=11, actions=("bracket", "market", "oco", "bracket"), activity=1.0, bars=14)
_SITUATIONS = {
    "symbol halted for three bars when its stop is due, and a death": replace(
        _ROUGH,
        faults={"F27": {"count": 3, "probability": 0.5, "after_bars": 3, "bars": 3}},
        deaths=(Death(step=9, at="POST"), Death(step=3, at="commit")),
    ),
    "every stop refused eight times, three deaths": replace(
        _ROUGH,
        faults={"F26": {"count": 12, "probability": 0.6, "after_bars": 3}},
        deaths=(
            Death(step=9, at="POST"),
            Death(step=4, at="answer to POST"),
            Death(step=9, at="commit"),
        ),
    ),
    "the grid grows twice by 100": replace(_ROUGH, faults={"F25": {"count": 2, "probability": 0.5, "after_bars": 3, "factor": 100}}),
    "key revoked for 20 requests": replace(
        _ROUGH, faults={"F37": {"count": 20, "probability": 0.5, "after_bars": 3}}, deaths=(Death(step=9, at="POST"),)
    ),
    "banned for 30 s thrice, stops refused between": replace(
        _ROUGH,
        faults={
            "F19": {"count": 3, "probability": 0.5, "after_bars": 3, "seconds": 30},
            "F26": {"count": 3, "probability": 0.5, "after_bars": 3},
        },
    ),
    "the clock jumps while stops are refused": replace(
        _ROUGH,
        faults={
            "F20": {"count": 1, "probability": 0.5, "after_bars": 3, "milliseconds": -15000},
            "F26": {"count": 5, "probability": 0.5, "after_bars": 3},
        },
    ),
    "entries in parts, their stops refused, deaths": replace(
        _ROUGH,
        fill_cap=0.0005,
        faults={"F26": {"count": 6, "probability": 0.5, "after_bars": 3}},
        deaths=(Death(step=6, at="POST"), Death(step=5, at="is kept")),
    ),
    "Bybit restarts while others cancel our orders": replace(_ROUGH, protocol="bybit", transfers=0.6, restarts=(3, 6)),
    "pages of one row, executions in many prints": replace(
        _ROUGH,
        page_limit=1,
        fill_cap=0.0005,
        transfers=0.3,
        deaths=(Death(step=3, at="myTrades"), Death(step=4, at="openOrders")),
    ),
    "the disk is full when a refused stop is to be kept": replace(
        _ROUGH, faults={"F26": {"count": 9, "probability": 0.6, "after_bars": 3}}, disk_full=40
    ),
    "all lists 4 s behind, others cancel": replace(
        _ROUGH, lags={"order": 4.0, "orders": 4.0, "trades": 4.0, "balance": 1.5}, transfers=0.5
    ),
    "a tenth of all messages lost, time limits": replace(_ROUGH, actions=("valid", "bracket", "cancel"), lost=0.1, unanswered=0.1),
    "a storm of starts that die": replace(
        _ROUGH,
        deaths=(
            Death(step=300),
            Death(step=60),
            Death(step=44),
            Death(step=83),
            Death(step=101),
            Death(step=68),
        ),
    ),
    "power cuts between refusal and its report": replace(
        _ROUGH,
        faults={"F26": {"count": 9, "probability": 0.6, "after_bars": 3}},
        deaths=(
            Death(step=2, power_cut=True, at="answer to POST"),
            Death(step=3, power_cut=True, at="after commit"),
            Death(step=2, power_cut=True, at="answer to POST"),
        ),
    ),
    "fills before cancels, others cancel too": replace(
        _ROUGH, faults={"F28": {"count": 9, "probability": 0.5, "after_bars": 3}}, transfers=0.6
    ),
    "dust left, and stops refused": replace(
        _ROUGH, faults={"F39": {"count": 3, "probability": 0.5, "after_bars": 3}, "F26": {"count": 3, "probability": 0.5, "after_bars": 3}}
    ),
    "a gap of five percent through a stop that waits": replace(
        _ROUGH,
        faults={
            "F26": {"count": 7, "probability": 0.7, "after_bars": 3},
            "F38": {"count": 3, "probability": 0.5, "after_bars": 3, "bps": -500.0},
        },
    ),
    "every answer to an order is lost": replace(
        _ROUGH,
        faults={
            "F1": {"count": 10, "probability": 0.5, "after_bars": 3, "on": "place"},
            "F2": {"count": 10, "probability": 0.5, "after_bars": 3, "on": "place"},
        },
    ),
    "Bybit answers 5 s late, deaths, others cancel": replace(
        _ROUGH,
        protocol="bybit",
        faults={"F42": {"count": 8, "probability": 0.5, "after_bars": 3, "seconds": 5.0}},
        transfers=0.4,
        deaths=(Death(step=2, at="POST"), Death(step=3, at="answer to POST")),
    ),
    "slow, failing, interrupted strategy amid it all": replace(
        _ROUGH,
        slow_strategy=0.5,
        errors=0.3,
        stops=0.3,
        interleaving=1.0,
        faults={"F26": {"count": 5, "probability": 0.5, "after_bars": 3}, "F8": {"count": 3, "probability": 0.5, "after_bars": 3}},
    ),
    "others cancel in every bar": replace(_ROUGH, transfers=1.0, fill_cap=0.001),
    "three symbols, one market halts, others cancel, deaths": replace(
        _ROUGH,
        symbols=("BTC/USDT", "ETH/USDT", "SOL/USDT"),
        faults={"F27": {"count": 3, "probability": 0.5, "after_bars": 3, "bars": 2}},
        transfers=0.5,
        deaths=(Death(step=7, at="POST"), Death(step=2, at="DELETE")),
    ),
}


@pytest.mark.parametrize("what", _SITUATIONS)
def test_an_account_is_right_after_it(what: str) -> None:
    outcome = simulate(_SITUATIONS[what])
    assert not outcome.violation, outcome.violation
