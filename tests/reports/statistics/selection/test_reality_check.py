"""Hansen's test against arch, and against worthless and worthy strategies."""

from __future__ import annotations

import numpy as np
import pytest

from forwardtrader.reports.statistics.selection.reality_check import superior_predictive_ability


def test_one_strategy_is_judged_as_arch_judges_it() -> None:
    from arch.bootstrap import SPA

    returns = np.random.default_rng(0).normal(0.0006, 0.02, 800)
    theirs = SPA(np.zeros(800), -returns[:, None], block_size=28, reps=3000, seed=1)
    theirs.compute()
    ours = superior_predictive_ability(np.zeros(800), returns[:, None], block=28, samples=3000)
    assert ours.p == pytest.approx(float(theirs.pvalues["consistent"]), abs=0.035)


def test_strategies_of_equal_spread_are_judged_as_arch_judges_them() -> None:
    from arch.bootstrap import SPA

    returns = np.random.default_rng(1).normal([0.001, 0.0003, 0.0, -0.002], 0.02, (700, 4))
    returns /= returns.std(axis=0) / 0.02
    theirs = SPA(np.zeros(700), -returns, block_size=26, reps=3000, seed=2)
    theirs.compute()
    ours = superior_predictive_ability(np.zeros(700), returns, block=26, samples=3000)
    assert ours.p == pytest.approx(float(theirs.pvalues["consistent"]), abs=0.05)


def test_the_best_of_many_worthless_strategies_is_not_superior() -> None:
    rng = np.random.default_rng(3)
    found = [superior_predictive_ability(np.zeros(400), rng.normal(0, 0.02, (400, 20)), samples=200).p < 0.05 for _ in range(60)]
    assert np.mean(found) <= 0.15


def test_a_worthy_strategy_among_worthless_ones_is_found() -> None:
    returns = np.random.default_rng(4).normal(0, 0.01, (1000, 10))
    returns[:, 6] += 0.002
    found = superior_predictive_ability(np.zeros(1000), returns)
    assert found.p < 0.01
    assert found.best == 6


def test_a_strategy_worse_than_the_benchmark_gets_a_p_value_of_one() -> None:
    returns = np.random.default_rng(5).normal(-0.002, 0.01, (500, 1))
    assert superior_predictive_ability(np.zeros(500), returns).p == 1.0


def test_the_three_p_values_stand_in_order() -> None:
    returns = np.random.default_rng(6).normal([0.0005, -0.004], 0.02, (600, 2))
    found = superior_predictive_ability(np.zeros(600), returns)
    assert found.lower <= found.p <= found.upper


def test_the_p_value_counts_the_observed_mean_among_the_resampled_ones() -> None:
    returns = np.random.default_rng(7).normal(0.01, 0.001, (500, 1))
    found = superior_predictive_ability(np.zeros(500), returns, samples=200)
    assert (found.p, found.lower, found.upper) == (1 / 201, 1 / 201, 1 / 201)


def test_a_strategy_that_is_its_benchmark_but_for_rounding_is_not_judged() -> None:
    returns = np.random.default_rng(8).normal(0.001, 0.02, 500)
    assert np.isnan(superior_predictive_ability(returns, (returns * (1.0 + 1e-15))[:, None] + 1e-17).p)
