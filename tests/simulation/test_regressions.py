"""Worlds that once broke an invariant, as small as they could be made; each says what went wrong."""

from __future__ import annotations

import pytest

from tests.simulation.scenario import Death, Scenario
from tests.simulation.world import simulate

_WAS_BROKEN = {
    "a stop was sent beside the target that rested in its place: the fill of their entry was told again after a restart": Scenario(
        seed=3936,
        bar_minutes=60,
        bars=3,
        fills="bar",
        fee_asset="quote",
        actions=("bracket", "cancel", "close", "limit", "market", "oco", "stop", "valid"),
        activity=0.5,
        slowest_s=0.005,
        disk_full=45,
        page_limit=1,
    ),
    "an execution that is found before its feed has a bar ended the process with an IndexError": Scenario(
        seed=3082,
        bar_minutes=5,
        bars=10,
        fee_asset="quote",
        actions=("cancel", "close", "market", "stop", "valid"),
        faults={
            "F11": {"count": 1, "probability": 0.5, "after_bars": 1},
            "F27": {"count": 3, "probability": 0.5, "after_bars": 1},
            "F21": {"count": 2, "probability": 0.5, "after_bars": 4},
            "F7": {"count": 1, "probability": 1.0, "after_bars": 4},
            "F39": {"count": 3, "probability": 0.1, "after_bars": 5},
        },
        slowest_s=2.0,
        reset=0.02,
        slow_strategy=0.1,
        interleaving=0.2,
        stops=0.1,
        disk_full=18,
    ),
    "cancels that a venue refused after its clock had jumped were given up, and their orders rested on": Scenario(
        seed=8,
        bars=9,
        fills="book",
        actions=("bracket",),
        activity=1.0,
        faults={
            "F20": {"count": 1, "probability": 0.5, "after_bars": 8, "milliseconds": -15000},
            "F15": {"count": 1, "probability": 0.1, "after_bars": 6},
        },
        slowest_s=0.005,
    ),
    "executions beyond a page that was shorter than asked for were replaced by others for good": Scenario(
        seed=23,
        bar_minutes=5,
        bars=3,
        fills="book",
        actions=("market",),
        activity=0.5,
        slowest_s=2.0,
        fill_cap=0.0005,
        disk_full=36,
        lags={"orders": 4.0, "balance": 0.5},
        page_limit=1,
    ),
    "a stop sold in full what its limit had sold in part": Scenario(
        seed=392, bar_minutes=60, bars=4, fills="book", actions=("bracket",), activity=1.0, slowest_s=2.0, fill_cap=0.0005
    ),
    "an entry that never arrived was alive for ever where its process died before it had reported that": Scenario(
        seed=1009,
        bars=15,
        actions=("bracket", "limit", "market", "oco", "stop"),
        activity=0.5,
        deaths=(Death(37, power_cut=True), Death(11, power_cut=True, at="commit"), Death(67)),
        slowest_s=2.0,
        lost=0.02,
        unanswered=0.02,
        page_limit=2,
        transfers=0.2,
    ),
    "a limit that was executed in several prints while its process was down sold the rest of its position twice": Scenario(
        seed=1671,
        protocol="bybit",
        bar_minutes=5,
        bars=8,
        actions=("bracket", "cancel", "limit", "market", "oco"),
        activity=1.0,
        deaths=(Death(1, at="answer to POST"),),
        slowest_s=0.005,
        stops=0.1,
        errors=0.1,
        fill_cap=0.002,
    ),
    "an order that was over under an earlier name than its last one was alive for ever": Scenario(
        seed=1896,
        bar_minutes=5,
        bars=6,
        actions=("bracket", "cancel", "stop", "valid"),
        activity=1.0,
        slowest_s=2.0,
        lost=0.02,
        stops=0.1,
        fill_cap=0.002,
        lags={"order": 0.5, "orders": 4.0},
        restarts=(5, 3),
    ),
    "a limit of a pair that was sent again on a coarser grid waited for ever for what the grid had cut off": Scenario(
        seed=2627,
        symbols=("BTC/USDT", "ETH/USDT", "SOL/USDT"),
        bar_minutes=5,
        bars=5,
        fee_asset="received",
        actions=("cancel", "close", "limit", "market", "oco", "stop", "valid"),
        activity=1.0,
        deaths=(Death(step=230), Death(step=3), Death(step=1, at="after commit")),
        faults={
            "F14": {"count": 1, "probability": 0.1, "after_bars": 4},
            "F5": {"count": 2, "probability": 0.5, "after_bars": 3},
            "F25": {"count": 1, "probability": 1.0, "after_bars": 4},
        },
        slowest_s=0.5,
        reset=0.02,
        bare_answers=True,
    ),
    "an execution was taken for coins that somebody had sent, since the list of orders still showed its order as it was": Scenario(
        seed=1465,
        symbols=("BTC/USDT", "ETH/USDT"),
        bars=3,
        fee_asset="quote",
        actions=("bracket", "close", "limit", "market", "oco", "stop", "valid"),
        activity=1.0,
        deaths=(Death(193), Death(1, at="openOrders")),
        lost=0.02,
        unanswered=0.02,
        interleaving=1.0,
        lags={"orders": 4.0, "trades": 0.5, "balance": 0.5},
        page_limit=2,
        restarts=(9,),
    ),
    "a fee that Bybit took in the quote currency was booked in coins": Scenario(
        seed=5, protocol="bybit", bar_minutes=5, bars=2, fee_asset="quote", actions=("market",), activity=0.5
    ),
}


@pytest.mark.parametrize("what", _WAS_BROKEN)
def test_what_was_broken_once_holds(what: str) -> None:
    outcome = simulate(_WAS_BROKEN[what])
    assert not outcome.violation, f"{what}: {outcome.violation}"
