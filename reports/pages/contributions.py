"""What features add, as tables of a run page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from forwardtrader.reports.pages.run_tables import whisker
from forwardtrader.reports.sections.importance import Contribution, ImportanceSection


@dataclass(frozen=True)
class ContributionTable:
    """One list of features or groups, what adds the most first. Each row has its contribution, its whisker and its verdict."""

    title: str
    kind: str
    note: str
    rows: list[dict[str, Any]]
    has_test: bool
    is_folded: bool


def tables(section: ImportanceSection | None) -> list[ContributionTable]:
    """Groups, groups left out of the training, and single features, which are folded away."""
    if section is None:
        return []
    told = [
        ContributionTable("Groups", "Group", "", _rows(section.groups), has_test=False, is_folded=False),
        ContributionTable(
            "Models trained anew without a group", "Without",
            "Diebold and Mariano's test against the models with all features; both sides of it have drawn once, so differences about as "
            "large as those between seeds mean nothing.",
            _rows(section.refit), has_test=True, is_folded=False,
        ),
        ContributionTable(f"All {len(section.features)} features", "Feature", "", _rows(section.features), has_test=False, is_folded=True),
    ]  # fmt: skip
    return [table for table in told if table.rows]


def _rows(found: Sequence[Contribution]) -> list[dict[str, Any]]:
    ends = [end for one in found for end in (one.loss, *(one.loss_ci or ())) if end is not None]
    bounds = min([0.0, *ends]), max([0.0, *ends])
    return [
        {
            "own": one,
            "whisker": whisker(one.loss, one.loss_ci, bounds, color="accent" if one.adds or one.harms else "faint"),
            "says": "adds" if one.adds else "harms" if one.harms else "nothing that can be told",
        }
        for one in found
    ]
