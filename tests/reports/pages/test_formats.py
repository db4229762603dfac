from __future__ import annotations

import math
from typing import Any

import pytest

from forwardtrader.reports.pages import formats
from forwardtrader.reports.sections.learned import LearnedSection


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (formats.number(-1234.5), "−1,234.50"),
        (formats.number(-0.001), "0.00"),
        (formats.number(None), "–"),
        (formats.number(math.nan), "–"),
        (formats.percent(0.1234), "12.3 %"),
        (formats.signed_percent(0.05), "+5.0 %"),
        (formats.signed_percent(-0.05), "−5.0 %"),
        (formats.signed_percent(None), "–"),
        (formats.p_value(0.00001), "< 0.001"),
        (formats.p_value(0.0432), "0.043"),
        (formats.interval((0.5, 0.525), 1, share=True), "[50.0, 52.5]"),
        (formats.interval((None, 1.0)), ""),
        (formats.interval(None), ""),
        (formats.price(43210.987), "43,210.99"),
        (formats.price(0.00001234), "0.000012"),
        (formats.duration(0.5), "0.50 s"),
        (formats.duration(59.99), "60.0 s"),
        (formats.duration(3599.6), "1 h 00 m"),
        (formats.duration(90_000), "1 d 1 h"),
        (formats.duration(None), "–"),
        (formats.sentence("no edge"), "No edge."),
        (formats.sentence(""), ""),
        (formats.setting([1, 24]), "1, 24"),
        (formats.setting(""), "–"),
    ],
)
def test_a_number_is_shown_as_readers_expect(shown: str, expected: str) -> None:
    assert shown == expected


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"learning": {"intervals": None}, "models": {"forecaster": "lstm"}}, "Quantiles were corrected at every bar"),
        ({"learning": {"intervals": True}, "models": {"forecaster": "ridge"}}, "Quantiles were corrected at every bar"),
        ({"learning": {"intervals": None}, "models": {"forecaster": "ridge"}}, "as models of ridge gave them"),
        ({"learning": {"intervals": False}, "models": {"forecaster": "lstm"}}, "as models of lstm gave them"),
        ({"learning": {"adaptive": True}, "models": {"forecaster": "ridge"}}, "Quantiles, location and scale were corrected"),
        ({"learning": {"adaptive": False}, "models": {"forecaster": "lstm"}}, "as models of lstm gave them"),  # an earlier version's
        ({}, "as models of lstm gave them"),
        ({"learning": {"costs": True, "early": True}}, "Also on: learning.early, learning.costs."),
        ({"learning": {"costs": False}}, "was not shown to pay"),
    ],
)
def test_a_page_says_what_is_learned_between_two_trainings(config: dict[str, Any], said: str) -> None:
    assert said in formats.learning(config)


def test_what_an_account_learned_is_told_with_what_it_rests_on_and_what_was_before() -> None:
    change = {"at": "2024-05-01T12:00:00Z", "symbol": "BTC/USDT", "what": "costs", "before": 1.0, "after": 1.3}
    section = {"costs": {"BTC/USDT": 1.31}, "fills": {"BTC/USDT": 1200}, "edge": 0.4, "volatility": {"BTC/USDT": 1.1}, "count": 1}
    told = formats.learned(LearnedSection.model_validate({**section, "changes": [change]}))
    assert "costs BTC/USDT 1.31 times (1,200 orders)" in told
    assert "Forecasts came to 0.40 times of what they promised" in told
    assert "2024-05-01 12:00 costs of BTC/USDT 1.00 times to 1.30 times" in told
