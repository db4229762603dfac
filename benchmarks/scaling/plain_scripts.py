"""What a user might write instead of our command, as scripts: a crossover in bare Backtrader, and a walk-forward of LightGBM.

    python -m benchmarks.scaling.plain_scripts backtrader|lightgbm [--data FILE]

The days, the candles and the calendar are those of the main job; LightGBM gets our features, fits one model a retrain as it comes, and is
scored by its rank correlation alone. No baselines, no statistics, no pages.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.training.case import FIRST, SYMBOL, case, hourly


def bare_backtrader(data: Path | None) -> str:
    """An SMA crossover over the days traded."""
    from benchmarks.loop import bare, pandas_feed

    candles = hourly(data)
    cerebro = bare(pandas_feed(candles.loc[candles.index >= pd.Timestamp(FIRST)]))
    cerebro.run()
    return f"value {cerebro.broker.getvalue():.2f}"


def lightgbm_walk_forward(data: Path | None) -> str:
    """One model a retrain on two years, the next 28 days forecast."""
    import lightgbm

    given = case(data, 1_000, units=1)
    features, targets = given.panel.features, given.panel.targets[:, 0]
    said = np.full(len(features), np.nan)
    for fold in (folds[SYMBOL] for folds in given.folds):
        rows = slice(fold.train_first, fold.train_last)
        model = lightgbm.LGBMRegressor(verbosity=-1).fit(features[rows], targets[rows])
        ahead = slice(fold.effective_first, fold.effective_last)
        said[ahead] = model.predict(features[ahead])
    known = pd.DataFrame({"said": said, "came": targets}).dropna()
    return f"{len(given.folds)} models, rank IC {known['said'].corr(known['came'], method='spearman'):.4f}"


def main() -> None:
    """Run one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", choices=("backtrader", "lightgbm"))
    parser.add_argument("--data", type=Path)
    said = parser.parse_args()
    print({"backtrader": bare_backtrader, "lightgbm": lightgbm_walk_forward}[said.which](said.data))


if __name__ == "__main__":
    main()
