"""Train a network of the usual shape on as many features as factors bring along, forecast with it, and say what came out and who worked.

python -m tests.models.one_network CORE [CORE ...]
"""

from __future__ import annotations

import json
import os
import sys
import time

import numpy as np

from forwardtrader.core import fingerprint
from forwardtrader.core.settings import ModelSettings
from forwardtrader.models.features.sequences import draw_starts
from forwardtrader.models.folds.training import training_spec
from forwardtrader.models.forecasters.lstm import Ensemble, LstmSpec, predict
from forwardtrader.models.forecasters.trainer import Trainer

FEATURES, BARS, UPDATES = 120, 2000, 12


def main() -> None:
    os.sched_setaffinity(0, {int(core) for core in sys.argv[1:]})
    settings, draw = ModelSettings(), np.random.default_rng(0)
    spec = LstmSpec(features=FEATURES, units=settings.units, horizons=len(settings.horizons), context=settings.context)
    features = draw.standard_normal((BARS, FEATURES), dtype=np.float32)
    targets = draw.standard_normal((BARS, spec.horizons), dtype=np.float32)
    training = training_spec(settings)
    trainer = Trainer(spec, training, features, targets)
    shape = {"length": training.length, "stride": training.supervised, "batch": training.batch, "updates": UPDATES}
    starts = draw_starts([(0, BARS)], seed=0, **shape)
    mean, std = np.zeros(FEATURES, np.float32), np.ones(FEATURES, np.float32)

    def work() -> str:
        weights = trainer.fit(starts, mean, std, seed=0).weights
        said = predict(Ensemble(spec, mean, std, (weights,)), features, np.arange(spec.context, 500))
        return fingerprint.of_arrays(*weights.values(), said)

    work()  # compiles
    everywhere, here = time.process_time(), time.thread_time()
    made = work()
    everywhere, here = time.process_time() - everywhere, time.thread_time() - here
    sys.stdout.write(json.dumps({"made": made, "share_of_asker": here / everywhere}))


if __name__ == "__main__":
    main()
