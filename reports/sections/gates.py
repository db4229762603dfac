"""The part of `run.json` and `sweep.json` that says which questions of the verdict were passed."""

from __future__ import annotations

from forwardtrader.reports.sections.section import Section


class GateSection(Section):
    """One thing that the verdict asks, whether it was passed (`null`: it cannot be told), and what was found."""

    asks: str
    passed: bool | None = None
    found: str
