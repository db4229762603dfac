"""A venue may change its grid and its smallest order while we trade."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from forwardtrader.core import log
from forwardtrader.core.types import MarketRules
from forwardtrader.strategies.feed_context import attach, context_of

_LOG: Final = log.logger("live")


def take_rules(datas: Iterable[Any], read: Iterable[MarketRules]) -> list[MarketRules]:
    """Put what the venue accepts now on its feeds; returns what changed. Fees and the like are not the venue's to say here."""
    found, changed = {rules.symbol: rules for rules in read}, []
    for data in datas:
        facts, now = context_of(data), found.get(context_of(data).rules.symbol)
        if now is None:
            continue
        rules = replace(
            facts.rules, tick=now.tick, step=now.step, min_size=now.min_size, min_notional=now.min_notional,
            max_market_size=now.max_market_size,
        )  # fmt: skip
        if rules != facts.rules:
            attach(data, replace(facts, rules=rules))
            changed.append(rules)
            log.event(_LOG, "rules_changed", symbol=rules.symbol, tick=str(rules.tick), step=str(rules.step))
    return changed
