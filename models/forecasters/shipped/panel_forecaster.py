"""`PanelForecaster`: one forecaster of many symbols, which sees all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from forwardtrader.core.errors import FingerprintMismatch, InvalidSetting, NotTrained
from forwardtrader.models.forecasters.model_file import require_sound_trees
from forwardtrader.models.forecasters.trees import PARAMETERS, Trees, as_trees, grown
from forwardtrader.models.port.base_forecaster import WarmStarting
from forwardtrader.models.port.sample_panel import SamplePanel

Floats32 = NDArray[np.float32]
FEATURES: Final = ("*", "market_*")
LEAST_SAMPLES: Final = 500  # of a symbol, for trees of its own
MOST_LEAVES: Final = 16
ALL: Final = ""  # stands for all symbols where trees are theirs together
_ARRAYS: Final = ("feature", "threshold", "left", "value")


class PanelForecaster(WarmStarting):
    """Boosted trees of all symbols together, averaged with trees of each symbol alone.

    What holds for all symbols is learned from all of their bars, which allows many more leaves than one symbol's would; what is one
    symbol's own is left to its own trees. Besides the features of the catalogue both are given those of the cross-section: the market's
    moves, the symbol's place in it and what its leaders did (`models.features.cross_section`). A symbol that was not there in training is
    forecast by the trees of all.

    Models between two anchors (`models.anew_every`) take over the trees of all from the anchor's, since of a window of two years they would
    see more than four fifths again, and grow anew each symbol's own.

    Args:
        own: the share of the symbol's own trees in the forecast.
        n_estimators, num_leaves, min_data_in_leaf, bagging_fraction: LightGBM's, of the trees of all symbols; at most 16 leaves.
        own_estimators, own_leaves, own_min_data_in_leaf, own_bagging_fraction: of a symbol's own.
        learning_rate, feature_fraction: of both.
        seed: of the rows and features drawn for each tree. Hundreds of trees are enough to average over, so that a run's seeds are not
            fitted one by one.
    """

    all_horizons = True
    runs_in_threads = True
    shrink = 0.8

    symbols_: list[str]
    feature_: NDArray[np.int32]
    threshold_: NDArray[np.float64]
    left_: NDArray[np.uint16]
    value_: NDArray[np.float64]

    def __init__(
        self,
        *,
        own: float = 0.25,
        n_estimators: int = 250,
        learning_rate: float = 0.05,
        num_leaves: int = MOST_LEAVES,
        min_data_in_leaf: int = 600,
        feature_fraction: float = 0.3,
        bagging_fraction: float = 0.4,
        own_estimators: int = 60,
        own_leaves: int = 8,
        own_min_data_in_leaf: int = 200,
        own_bagging_fraction: float = 0.5,
        features: tuple[str, ...] = FEATURES,
        seed: int = 0,
    ) -> None:
        self.own = own
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.num_leaves = num_leaves
        self.min_data_in_leaf = min_data_in_leaf
        self.feature_fraction = feature_fraction
        self.bagging_fraction = bagging_fraction
        self.own_estimators = own_estimators
        self.own_leaves = own_leaves
        self.own_min_data_in_leaf = own_min_data_in_leaf
        self.own_bagging_fraction = own_bagging_fraction
        self.features = features
        self.seed = seed

    @property
    def is_seeded(self) -> bool:
        return False

    def fit(self, panel: SamplePanel) -> Self:
        """Grow all trees.

        Raises:
            InvalidSetting: a parameter is none.
        """
        self.features_ = panel.X.shape[1]
        if not 0.0 <= self.own <= 1.0:
            raise InvalidSetting(f"PanelForecaster: own is {self.own:g}; a share from 0 to 1 is needed, such as 0.25")
        if max(self.num_leaves, self.own_leaves) > MOST_LEAVES:
            raise InvalidSetting(f"PanelForecaster: its trees have at most {MOST_LEAVES} leaves; add n_estimators instead")
        return self._with(dict(self._of_rows(panel, ALL, np.concatenate(list(_rows_of(panel).values())))) | self._own_trees(panel))

    def update(self, panel: SamplePanel) -> Self:
        """The trees of all symbols go on, and each symbol's own are grown anew."""
        return self._with({block: trees for block, trees in self._blocks.items() if block[0] == ALL} | self._own_trees(panel))

    def _with(self, blocks: dict[tuple[str, int], Trees]) -> Self:
        self._blocks = blocks
        self.symbols_ = [symbol for symbol, h in self._blocks if h == 0]
        self.horizons_ = sum(symbol == ALL for symbol, _ in self._blocks)
        self.counts_ = np.array([len(trees.value) for trees in self._blocks.values()], np.int64)
        for name in _ARRAYS:
            setattr(self, f"{name}_", np.concatenate([getattr(trees, name) for trees in self._blocks.values()]))
        return self

    def predict(self, panel: SamplePanel) -> Floats32:
        """The location of each sample at all horizons: float32 [N, H].

        Raises:
            NotTrained: `fit` was never called.
            ValueError: there are other features than it learned from.
        """
        if not hasattr(self, "counts_"):
            raise NotTrained("PanelForecaster predicts only after fit")
        if panel.X.shape[1] != self.features_:
            raise ValueError(f"it is asked with {panel.X.shape[1]} features, {self.features_} is what it learned from")
        out = self._of(ALL, panel.X)
        codes = panel.symbol_of[panel.rows]
        for code in np.unique(codes):
            symbol = panel.symbols[code] if code >= 0 else ALL
            if symbol != ALL and symbol in self.symbols_:
                rows = codes == code
                out[rows] += np.float32(self.own) * (self._of(symbol, panel.X[rows]) - out[rows])
        return out

    def load(self, folder: Path) -> Self:
        """Raises FingerprintMismatch where the files are damaged, or their trees lead or read where there is nothing."""
        super().load(folder)
        try:
            if (
                self.symbols_[:1] != [ALL]
                or len(self.counts_) != len(self.symbols_) * self.horizons_
                or self.counts_.min() < 1
                or self.counts_.sum() != len(self.value_)
            ):
                raise ValueError("its trees are not of its symbols")
            require_sound_trees(Trees(*(getattr(self, f"{name}_") for name in _ARRAYS)), self.features_, MOST_LEAVES)
            self._blocks = self._split()
        except (AttributeError, TypeError, ValueError, IndexError) as error:
            raise FingerprintMismatch(f"{folder} is damaged ({error}); remove the model's folder and train again") from error
        return self

    def _own_trees(self, panel: SamplePanel) -> dict[tuple[str, int], Trees]:
        grown_for = {symbol: rows for symbol, rows in _rows_of(panel).items() if self.own and len(rows) >= LEAST_SAMPLES}
        return {block: trees for symbol, rows in grown_for.items() for block, trees in self._of_rows(panel, symbol, rows)}

    def _of_rows(self, panel: SamplePanel, symbol: str, rows: NDArray[np.intp]) -> Iterator[tuple[tuple[str, int], Trees]]:
        rounds = self.n_estimators if symbol == ALL else self.own_estimators
        for h in range(len(panel.horizons)):
            known = rows[np.isfinite(panel.Y[rows, h])]
            described = grown(panel.X[known], panel.Y[known, h], self._parameters(symbol), rounds=rounds, seed=self.seed)
            yield (symbol, h), as_trees(described, MOST_LEAVES)

    def _parameters(self, symbol: str) -> dict[str, Any]:
        drawn = {"learning_rate": self.learning_rate, "feature_fraction": self.feature_fraction, "bagging_freq": 1}
        if symbol == ALL:
            leaves, least, share = self.num_leaves, self.min_data_in_leaf, self.bagging_fraction
        else:
            leaves, least, share = self.own_leaves, self.own_min_data_in_leaf, self.own_bagging_fraction
        return PARAMETERS | drawn | {"num_leaves": leaves, "min_data_in_leaf": least, "bagging_fraction": share}

    def _split(self) -> dict[tuple[str, int], Trees]:
        """The trees of each symbol and horizon, out of the arrays of all."""
        until = np.cumsum(self.counts_)
        blocks = [(symbol, h) for symbol in self.symbols_ for h in range(self.horizons_)]
        parts = [slice(last - count, last) for last, count in zip(until, self.counts_, strict=True)]
        return {block: Trees(*(getattr(self, f"{name}_")[part] for name in _ARRAYS)) for block, part in zip(blocks, parts, strict=True)}

    def _of(self, symbol: str, features: Floats32) -> Floats32:
        return np.column_stack([self._blocks[symbol, h].predict(features) for h in range(self.horizons_)])


def _rows_of(panel: SamplePanel) -> dict[str, NDArray[np.intp]]:
    """The samples of each symbol, by name: the order in which a run names its symbols decides no bit."""
    codes = panel.symbol_of[panel.rows]
    return dict(sorted((panel.symbols[code], np.flatnonzero(codes == code)) for code in np.unique(codes)))
