"""Champion against challenger: a new model and the one in force, compared on bars after both were trained.

Their losses are compared bar by bar (Diebold and Mariano 1995): the mean difference over a standard error that allows for outcomes that
overlap and for calm and wild days, taken from the slowest cosine waves of the differences (Lazarus, Lewis, Stock and Watson 2018). One of
two equal models is the better one for days and weeks, which a trial of a week does not show; so the waves are those of the trial and of the
bars before it, none shorter than the trial. That keeps the promised error rate (benchmarks/regime_change.md). Without bars before it they
are as many as Lazarus and others advise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from forwardtrader.core import p_values

Floats = NDArray[np.float64]
Promotion = Literal["unless worse", "if better"]
LEAST_BARS: Final = 24
EARLIER: Final = 4  # trials, of bars before it that its standard error is taken from as well
WORST: Final = 100.0  # times the loss of the model in force: a poor model loses a little more, one that diverged a thousand times as much


@dataclass(frozen=True)
class Contest:
    """Result of a trial. Losses are means over the bars compared; `p` is the p-value of the difference, None where unknown."""

    promoted: bool
    reason: str
    bars: int
    champion_loss: float
    challenger_loss: float
    p: float | None


def contest(
    champion: Floats, challenger: Floats, *, horizon: int, promotion: Promotion, level: float, earlier: int = 0
) -> Contest:  # fmt: skip
    """Decide between two models by their losses [n] at the same bars, oldest first; bars that the champion lacks are left out.

    A challenger that has no number where the champion has one, or loses many times as much, is broken and never takes over: neither few
    bars nor the scatter of huge losses speak for it.

    Args:
        horizon: bars that outcomes of neighbouring forecasts share.
        promotion: `unless worse`: the newer one takes over unless it is significantly worse (it knows newer data); `if better`: only where
            it is significantly better.
        level: the share of wrong verdicts between equal models.
        earlier: so many of the losses are of bars before the trial, which show how differences scatter and count for nothing else.
    """
    had = np.isfinite(champion[:earlier]) & ~np.isnan(challenger[:earlier])
    old_before, new_before = champion[:earlier][had], challenger[:earlier][had]
    champion, challenger = champion[earlier:], challenger[earlier:]
    known = np.isfinite(champion)
    silent = int((known & ~np.isfinite(challenger)).sum())
    if silent:
        return Contest(False, f"it has no number at {silent} of {int(known.sum())} bars", int(known.sum()), math.nan, math.nan, None)
    old_losses, new_losses = champion[known], challenger[known]
    n = len(old_losses)
    old, new = (float(losses.mean()) if n else math.nan for losses in (old_losses, new_losses))
    if diverged := _divergence(old_losses, new_losses) or _divergence(old_before, new_before):
        return Contest(False, diverged, n, old, new, None)
    if n < max(LEAST_BARS, 4 * horizon):
        promoted = promotion == "unless worse"
        return Contest(promoted, f"only {n} bars to compare on", n, math.nan, math.nan, None)
    gain = old_losses - new_losses
    side = -1.0 if promotion == "unless worse" else 1.0
    p = chance(side * gain, side * (old_before - new_before))
    significant = p < level
    promoted = significant if promotion == "if better" else not significant
    verdict = {
        ("unless worse", True): "not worse", ("unless worse", False): "significantly worse",
        ("if better", True): "significantly better", ("if better", False): "not significantly better",
    }[promotion, promoted]  # fmt: skip
    reason = f"{verdict} than the model in force: loss {new:.4f} against {old:.4f} over {n} bars (p {p_values.shown(p)})"
    return Contest(promoted, reason, n, old, new, p)


def _divergence(champion: Floats, challenger: Floats) -> str:
    """What to say of a challenger that loses many times as much; empty for any other."""
    old, new = (float(losses.mean()) if len(losses) else 0.0 for losses in (champion, challenger))
    if not new > WORST * old:
        return ""
    return f"it diverged: loss {new:.4g} against {old:.4f} of the model in force over {len(champion)} bars"


def chance(difference: Floats, before: Floats) -> float:
    """One-sided p of a mean difference as far above zero as this one, if the true mean were zero; `before` are differences before them."""
    from scipy.special import stdtr

    n = len(difference)
    mean = float(difference.mean())
    whole = np.concatenate([before, difference])
    waves = max(2 * len(whole) // n if len(before) else round(0.4 * n ** (2.0 / 3.0)), 2)
    error = math.sqrt(long_run_variance(whole, waves) / n)
    if error <= 1e-12 * max(abs(mean), 1e-3):
        return 0.5 if abs(mean) <= 1e-12 else p_values.analytic(float(mean < 0.0))
    return p_values.analytic(float(stdtr(waves, -mean / error)))


def long_run_variance(values: Floats, waves: int) -> float:
    """The mean square of the projections on the first `waves` cosines."""
    n = len(values)
    phases = np.pi * np.outer(np.arange(1, waves + 1), (np.arange(n) + 0.5) / n)
    projections = np.sqrt(2.0 / n) * (np.cos(phases) * (values - values.mean())).sum(axis=1)
    return float((projections * projections).mean())
