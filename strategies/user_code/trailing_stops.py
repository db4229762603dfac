"""Trailing stops in a strategy's own code, found before it trades: no venue takes them as Backtrader means them.

Refused one by one they would be refused after the entry that they were to protect.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import CodeType
from typing import Final

from forwardtrader.core.errors import InvalidSetting

_NAMES: Final = {"StopTrail", "StopTrailLimit"}
_OTHERS: Final = ("backtrader", "forwardtrader", "builtins")


def refuse_trailing_stops(strategies: Iterable[type]) -> None:
    """Check strategies that are about to send real orders.

    Raises:
        InvalidSetting: a method of a class, or of one that it inherits from, names a trailing stop.
    """
    for strategy in strategies:
        for place in _trailing_in(strategy):
            raise InvalidSetting(
                f"{place} names a trailing stop (StopTrail, StopTrailLimit), which no venue here takes: a position would be without "
                "its stop. Move a stop order from bar to bar instead (cancel it, then send the next one)"
            )


def _trailing_in(strategy: type) -> Iterator[str]:
    """Where the methods of a strategy name trailing stops, as `mystrategy.py:11 in Trail.next`."""
    for owner in strategy.__mro__:
        if owner.__module__.split(".")[0] in _OTHERS:
            continue
        for name, member in vars(owner).items():
            code = getattr(getattr(member, "__func__", member), "__code__", None)
            if isinstance(code, CodeType) and _names_one(code):
                yield f"{Path(code.co_filename).name}:{code.co_firstlineno} in {owner.__name__}.{name}"


def _names_one(code: CodeType) -> bool:
    inner = [each for each in code.co_consts if isinstance(each, CodeType)]
    return bool(_NAMES & set(code.co_names)) or any(_names_one(each) for each in inner)
