"""The section `entries` of `run.json`: what became of entries that were to rest as makers."""

from __future__ import annotations

from forwardtrader.reports.sections.section import Number, Section


class EntriesSection(Section):
    """Numbers of entries, and fees in quote currency.

    `fill_rate` is the share, by value, of the entries that rested which was filled while they did; `adverse_selection_bps` says, by number
    of bars after the fill, how far the price moved against those fills in the mean, in basis points.
    """

    rested: int = 0
    crossed: int = 0
    filled: int = 0
    handed_over: int = 0
    given_up: int = 0
    fill_rate: Number = None
    maker_fees: Number = None
    taker_fees: Number = None
    adverse_selection_bps: dict[int, Number] = {}
