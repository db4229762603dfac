"""Label proofs: a model trained on permuted or shifted labels must show no skill.

`ScoreFrom` trains on the targets it is given (float32 [T] or [T, H], NaN where unknown) and returns the out-of-sample rank IC against the
true outcomes. With labels torn from their features there is nothing to learn, so what skill is left leaks around the labels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forwardtrader.models.checks.look_ahead import MORE, Leak, Proof, untested

Targets = NDArray[np.float32]
ScoreFrom = Callable[[Targets], float]
# Standard errors of a rank IC beyond which chance is no explanation; slow forecasts make the error a little larger than 1 / sqrt(n).
BOUND: Final = 4.0
# A proof that could not tell this rank IC, the size of an alarm, from chance would let any believable leak through.
TELLING: Final = 0.1


def label_shuffle(score_from: ScoreFrom, targets: Targets, scored: int, *, block: int = 24, tries: int = 3, seed: int = 0) -> Proof:
    """Permute the labels in blocks: the skill must vanish.

    Args:
        scored: number of out-of-sample bars behind each score.
        block: labels that stay together, so that their own memory survives.
        tries: permutations; the mean of their scores is tested.
    """
    made = (shuffled(targets, block, seed + k) for k in range(tries))
    return _without_skill("label shuffle", f"labels permuted in blocks of {block}", score_from, made, scored)


def label_shift(score_from: ScoreFrom, targets: Targets, scored: int, *, shifts: tuple[int, ...] = (997, 1999, 2999)) -> Proof:
    """Move the labels by so many bars that they describe another season: the skill must vanish."""
    known = [shift % len(targets) for shift in shifts]
    made = (np.roll(targets, shift, axis=0) for shift in known)
    return _without_skill("label shift", f"labels moved by {', '.join(map(str, known))} bars", score_from, made, scored)


def shuffled(targets: Targets, block: int, seed: int) -> Targets:
    """Targets with their blocks in random order; every value is kept."""
    n = len(targets)
    blocks = np.random.default_rng(seed).permutation(math.ceil(n / block))
    rows = np.concatenate([np.arange(start * block, min((start + 1) * block, n)) for start in blocks])
    return np.asarray(targets[rows])


def _without_skill(name: str, what: str, score_from: ScoreFrom, made: Iterator[Any], scored: int) -> Proof:
    scores = [score_from(targets) for targets in made]
    mean = float(np.mean(scores))
    bound = BOUND / math.sqrt(max(scored, 1) * len(scores))
    passed = abs(mean) <= bound
    if not math.isfinite(mean) or (passed and bound > TELLING):
        needed = math.ceil((BOUND / TELLING) ** 2 / len(scores))
        return untested(name, f"{what}, {len(scores)} times: {scored:,} outcomes behind each score, {needed:,} are needed; {MORE}")
    verdict = "the skill vanished" if passed else "skill stayed although there was nothing to learn"
    detail = f"{what}, {len(scores)} times: {verdict} (rank IC {mean:+.4f}, {bound:.4f} would be chance)"
    return Proof(name=name, passed=passed, detail=detail, leak=Leak.NONE if passed else Leak.AROUND_LABELS)
