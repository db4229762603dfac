"""Backtrader's ways to trade at prices that were not yet known; every broker of this project refuses them."""

from __future__ import annotations

from typing import Any, Final

import backtrader as bt

from forwardtrader.core.errors import InvalidSetting

_UNKNOWN: Final = "at prices that are not known when it decides, which no venue fills; take it out"


_AT_OPENS: Final = ("prenext_open", "nextstart_open", "next_open")


def never_called(strategy: type[bt.Strategy]) -> str:
    """A note on methods of a strategy that Backtrader calls with cheat-on-open alone; "" where it has none of its own."""
    own = [name for name in _AT_OPENS if getattr(strategy, name) is not getattr(bt.Strategy, name)]
    return f"{strategy.__name__}.{own[-1]} is never called: it trades {_UNKNOWN}, and order in next() instead" if own else ""


def refuse_cheating(broker: Any) -> None:
    """Check what cerebro and broker were asked for.

    Raises:
        InvalidSetting: cheat-on-close, cheat-on-open, or a timer that cheats.
    """
    params, cerebro = getattr(broker, "p", None), getattr(broker, "cerebro", None)
    for name, method in (("coc", "set_coc(True)"), ("coo", "cheat_on_open, or set_coo(True),")):
        if getattr(params, name, False):
            raise _refusal(method)
    if getattr(getattr(cerebro, "p", None), "cheat_on_open", False):
        raise _refusal("cheat_on_open")
    timers = (*getattr(cerebro, "_pretimers", ()), *getattr(cerebro, "_timerscheat", ()))
    if any(timer.params.cheat for timer in timers):
        raise _refusal("add_timer(cheat=True)")


def set_coc(broker: object, coc: bool) -> None:
    """In place of Backtrader's method of this name; False is what holds anyway."""
    if coc:
        raise _refusal("set_coc(True)")


def set_coo(broker: object, coo: bool) -> None:
    """In place of Backtrader's method of this name; False is what holds anyway."""
    if coo:
        raise _refusal("cheat_on_open, or set_coo(True),")


def _refusal(what: str) -> InvalidSetting:
    return InvalidSetting(f"{what} lets a strategy trade {_UNKNOWN}")
