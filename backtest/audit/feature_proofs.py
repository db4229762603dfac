"""What is tried on a user's own features when they are chosen, tried on real candles: `--audit`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Final

import numpy as np
import pandas as pd

from forwardtrader.core.errors import FeatureFailed
from forwardtrader.core.types import Timeframe
from forwardtrader.models.checks.look_ahead import Proof, untested
from forwardtrader.models.features.bars import Bars
from forwardtrader.models.features.cross_section import MARKET, TOGETHER
from forwardtrader.models.features.feature_checks import check
from forwardtrader.models.features.own_features import OwnFeature
from forwardtrader.models.features.selection import own_of

MOMENTS: Final = 200


def proved(entries: Iterable[str]) -> list[OwnFeature]:
    """What is proved feature by feature among those that are named: a user's own, and those of the market as one."""
    return own_of(entries) + ([TOGETHER] if any(fnmatchcase(name, entry) for entry in entries for name in MARKET if entry != "*") else [])


def own_feature_proof(own: OwnFeature, candles: pd.DataFrame, timeframe: Timeframe, peers: Mapping[str, Bars]) -> Proof:
    """The past alone, another future, and `warm_up` bars alone must give the bits of the whole, and numbers everywhere."""
    first = own.warm_up - 1
    if len(candles) - first < MOMENTS // 4:
        return untested("own feature", f"{own.name} looks back over {own.warm_up} of {len(candles)} bars; give it more history")
    rows = np.unique(np.append(np.random.default_rng(0).integers(first, len(candles), MOMENTS), len(candles) - 1))
    try:
        check(own, replace(Bars.of(candles, timeframe), peers=peers if own.cross_asset else {}), rows)
    except FeatureFailed as failure:
        return Proof(name="own feature", passed=False, detail=str(failure), offenders=(own.name,))
    detail = f"{own.name} at {len(rows)} moments: the past alone, another future, and {own.warm_up} bars alone give the same bits"
    return Proof(name="own feature", passed=True, detail=detail)
