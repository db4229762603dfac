"""Random entries of an account of several symbols, long and short: all moved together, with the funding of where they come to lie."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest

from forwardtrader.reports.statistics.random_entries import RandomEntries, compare, exposure_path
from tests.reports.random_portfolio import CASH, SYMBOLS, Portfolio, market, tossing, traded

SIDES = {"long and short": (-1.0, 0.0, 1.0), "never flat, of several sizes": (-1.0, -0.3, 0.3, 1.0), "short only": (-1.0, 0.0)}


def compared(found: Portfolio, samples: int = 99, seed: int = 0) -> RandomEntries:
    return compare(exposure_path(found.equity, found.fills, found.candles, found.charges), samples=samples, seed=seed)


def tossed(seed: int, choices: tuple[float, ...], bars: int = 500) -> Portfolio:
    rng = np.random.default_rng(seed)
    return traded(*market(rng, bars), tossing(rng, choices))


@pytest.mark.parametrize("name", SIDES)
def test_p_is_uniform_for_portfolios_that_toss_coins(name: str) -> None:
    values = np.array([compared(tossed(seed, SIDES[name]), seed=seed).p for seed in range(60)])
    assert kstest(values, "uniform").pvalue > 0.01
    assert np.mean(values < 0.05) <= 0.15  # 3 of 60 are expected, more than 9 would be a chance of two in a thousand


def test_the_path_rebuilt_from_fills_pays_the_funding_that_the_account_paid() -> None:
    found = tossed(1, (-1.0, 1.0))
    path = exposure_path(found.equity, found.fills, found.candles, found.charges)
    assert np.prod(1 + path.net) == pytest.approx(found.equity["equity"].iloc[-1] / CASH, rel=5e-3)
    unpaid = exposure_path(found.equity, found.fills, found.candles)
    assert np.prod(1 + unpaid.net) != pytest.approx(found.equity["equity"].iloc[-1] / CASH, rel=5e-3)


def test_being_on_the_side_that_is_paid_is_timing() -> None:
    rng = np.random.default_rng(2)
    opens, closes, rates = market(rng, 1500, funding=5e-3)

    def collect(row: int, held: np.ndarray) -> np.ndarray:
        ahead = rates[min(row + 2, len(rates) - 1)]
        return -np.sign(ahead) / len(SYMBOLS) if ahead.any() else np.full(len(SYMBOLS), np.nan)

    found = traded(opens, closes, rates, collect)
    assert compared(found).p < 0.05
    assert compare(exposure_path(found.equity, found.fills, found.candles), samples=99).p > 0.05


def test_one_side_that_is_always_paid_is_no_timing() -> None:
    rng = np.random.default_rng(3)
    opens, closes, rates = market(rng, 1000)
    rules = [tossing(np.random.default_rng(seed), (-1.0, 0.0)) for seed in range(8)]
    assert 0.15 < np.mean([compared(traded(opens, closes, np.abs(rates) * 10, rule)).p for rule in rules]) < 0.85


def test_holding_a_symbol_that_was_listed_late_is_no_timing() -> None:
    """Its price rose all the time that it had one; at random times before it would have earned nothing."""
    opens, closes, rates = market(np.random.default_rng(4), 2000, drift=2e-3)
    listed = (0, 0, 1000)

    def hold(row: int, held: np.ndarray) -> np.ndarray:
        return np.array([np.nan, np.nan, 1.0 if row == listed[2] else np.nan])

    assert compared(traded(opens, closes, 0.0 * rates, hold, listed)).p > 0.2


def test_what_is_held_together_is_moved_together() -> None:
    """Long and short of the same thing earns nothing, whenever it is done: every random path only pays its costs."""
    rng = np.random.default_rng(6)
    opens, closes, rates = market(rng, 1000)
    opens[:, 1], closes[:, 1], toss = opens[:, 0], closes[:, 0], tossing(rng, (0.0, 1.0))

    def hedge(row: int, held: np.ndarray) -> np.ndarray:
        wanted = toss(row, held)
        return np.array([wanted[0], -wanted[0], np.nan])

    found = traded(opens, closes, 0.0 * rates, hedge)
    path = exposure_path(found.equity, found.fills, found.candles, found.charges)
    assert path.gross.max() > 0.5
    assert compare(path, samples=20).net.sum() == pytest.approx(-path.costs.sum(), rel=0.05)
