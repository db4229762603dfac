"""The section `importance` of `run.json`: what each feature, and each group of features, adds to the forecasts out of sample."""

from __future__ import annotations

from collections.abc import Sequence

from forwardtrader.reports.sections.section import Interval, Number, Section


class Contribution(Section):
    """What is lost without a feature or a group. Everything is above zero where it helps; each interval is corrected for all of its list.

    `loss` is by how much the loss of the first horizon rises, as a share of itself, `rank_ic` by how much the rank IC falls. `p` is
    two-sided and belongs to `loss`; `statistic` is Diebold and Mariano's, where models were trained anew.
    """

    name: str
    features: list[str] = []
    loss: Number = None
    loss_ci: Interval = None
    p: Number = None
    rank_ic: Number = None
    rank_ic_ci: Interval = None
    statistic: Number = None

    @property
    def adds(self) -> bool:
        """Whether it helps for sure: its interval lies above zero."""
        return self._low > 0.0

    @property
    def harms(self) -> bool:
        """Whether the forecasts would be better without it."""
        return self.loss_ci is not None and self.loss_ci[1] is not None and self.loss_ci[1] < 0.0

    @property
    def _low(self) -> float:
        return 0.0 if self.loss_ci is None or self.loss_ci[0] is None else self.loss_ci[0]


class ImportanceSection(Section):
    """What features add over `bars` bars, those that add the most first.

    `features` and `groups` had their values exchanged for those of other times, `draws` times; `refit` are groups without which every
    model was trained anew, `left_out` those for which that failed, with the reason.
    """

    horizon: int
    bars: int
    draws: int
    seed: int
    features: list[Contribution] = []
    groups: list[Contribution] = []
    refit: list[Contribution] = []
    left_out: dict[str, str] = {}

    @property
    def sentence(self) -> str:
        """Which groups add nothing that can be told from chance."""
        idle = [each.name for each in self.groups if not each.adds]
        if not idle:
            return "Every group of features adds something that can be told from chance."
        if len(idle) == len(self.groups):
            return "No group of features adds anything that can be told from chance."
        return f"Nothing that can be told from chance is added by {_listed(idle)}."


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
