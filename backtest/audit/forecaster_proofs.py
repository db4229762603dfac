"""What `check_forecaster` tries: each function makes one difference that must not matter, or looks at one promise of the port."""

from __future__ import annotations

import inspect
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.backtest.audit.forecaster_bench import FIRST_SEED, ForecasterBench, Raw
from forwardtrader.core.errors import InvalidSetting
from forwardtrader.core.types import OHLCV
from forwardtrader.models.checks.look_ahead import Proof
from forwardtrader.models.forecasters.shipped.sklearn_forecaster import SklearnForecaster
from forwardtrader.models.port.base_forecaster import WarmStarting
from forwardtrader.models.port.fitted import load_fitted
from forwardtrader.models.port.sample_panel import SamplePanel

# Powers of two near 1e9: prices keep all their digits, so that whatever changes is the forecaster's or a feature's doing.
SCALES: Final = (2.0**-30, 2.0**30)
ALONE: Final = 24  # rows that are asked about one by one
_CODE: Final = (".pkl", ".pickle", ".joblib", ".pt", ".pth")


def parameters(bench: ForecasterBench) -> Proof:
    """Explicit keywords, kept under their names, and nothing else done in `__init__`."""
    kind, given = type(bench.prototype), bench.prototype.get_params()
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    loose = [f"{stars[each.kind]}{each.name}" for each in inspect.signature(kind).parameters.values() if each.kind in stars]
    if loose:
        return _failed("parameters", f"{kind.__name__}.__init__ takes {', '.join(loose)}; name every parameter as a keyword of its own")
    anything = {name: object() for name in given}  # what is only kept may be anything
    try:
        made = kind(**anything)
    except Exception as error:  # noqa: BLE001 - whatever it raises, it did more than to keep them
        return _failed("parameters", f"__init__ works with what it is given ({error}); keep it as it was given, and work with it in fit")
    if other := sorted(name for name, value in anything.items() if getattr(made, name, None) is not value):
        return _failed("parameters", f"{', '.join(other)} is changed by __init__; keep it as it was given, and change a copy in fit")
    if more := sorted(name for name in vars(made) if name not in given):
        return _failed("parameters", f"__init__ sets {', '.join(more)} beside its parameters; do that in fit")
    copied = bench.prototype.clone()
    if set(copied.get_params()) != set(given) or copied.set_params(**copied.get_params()) is not copied:
        return _failed("parameters", "get_params, set_params and clone do not fit together; leave them to BaseForecaster")
    try:
        copied.set_params(no_such_parameter=1)
    except InvalidSetting:
        return _passed("parameters", f"{len(given)} of them: kept as given, cloned and set again")
    return _failed("parameters", "set_params takes a parameter that there is not; refuse it, as BaseForecaster does")


def answers(bench: ForecasterBench) -> Proof:
    """A fold as any run fits it: shapes, finite numbers, quantiles in order, no divergence."""
    began = time.perf_counter()
    raw = bench.raw(bench.model)
    took = time.perf_counter() - began
    return _passed("answers", f"{bench.fold.train_bars} bars learned from and {len(raw)} forecast in {took:.1f} s, all finite and in order")


def learned_attributes(bench: ForecasterBench) -> Proof:
    """What `fit` learns ends with an underscore, and `fit` changes no parameter and answers the forecaster."""
    made = bench.prototype.clone()
    before, asked = made.get_params(), bench.samples()
    fitted = made.fit(asked if made.all_horizons else asked.at_horizon(0))
    if fitted is not made:
        return _failed("learned attributes", f"fit answers {type(fitted).__name__}; end it with `return self`")
    if changed := sorted(name for name, value in made.get_params().items() if value is not before[name]):
        return _failed("learned attributes", f"fit changes the parameter {', '.join(changed)}; keep what is learned in {changed[0]}_")
    learned = [name for name in vars(made) if name not in before]
    if bad := sorted(name for name in learned if not name.endswith("_") and not name.startswith("_")):
        return _failed("learned attributes", f"fit sets {', '.join(bad)}; name what is learned with an underscore at the end: {bad[0]}_")
    return _passed("learned attributes", f"{', '.join(sorted(learned)) or 'nothing'} learned; the parameters stay as they were")


def unfitted(bench: ForecasterBench) -> Proof:
    """Asked before it is fitted, it refuses, or answers by its parameters alone, and never by what the fit of another one left behind."""
    given = bench.samples()
    first = _unfitted_answer(bench, given)
    if first is None:
        return _passed("unfitted", "one that was not fitted refuses to answer")
    second = _unfitted_answer(bench, replace(given, targets=-given.targets))
    if second is None or first != second:
        mend = "keep what is learned in attributes of self that fit sets"
        return _failed("unfitted", f"one that was never fitted answers what another one learned; {mend}")
    return _passed("unfitted", "one that was not fitted answers by its parameters alone")


def _unfitted_answer(bench: ForecasterBench, given: SamplePanel) -> bytes | None:
    """What a fresh clone answers after another one was fitted; None where it refuses."""
    bench.alone(given)
    asked = replace(given, targets=np.full_like(given.targets, np.nan), rows=given.rows[:2])
    try:
        answer = bench.prototype.clone().predict(asked if bench.prototype.all_horizons else asked.at_horizon(0))
    except Exception:  # noqa: BLE001 - whatever it raises, it did not answer
        return None
    return b"".join(np.asarray(part).tobytes() for part in (answer if isinstance(answer, tuple) else (answer,)))


def input_unchanged(bench: ForecasterBench) -> Proof:
    """Neither `fit` nor `predict` writes into what it is given."""
    given = bench.samples()
    seen = given if bench.prototype.all_horizons else given.at_horizon(0)
    arrays: dict[str, NDArray[Any]] = {
        "features": seen.features,
        "targets": seen.targets,
        "rows": seen.rows,
        "X": seen.X,
        "Y": seen.Y,
        "y": seen.y,
    }
    before = {name: array.tobytes() for name, array in arrays.items()}
    fitted = bench.prototype.clone().fit(seen)
    fitted.predict(replace(seen, rows=seen.rows[-4:]))
    if changed := [name for name, array in arrays.items() if array.tobytes() != before[name]]:
        return _failed("input unchanged", f"it writes into {', '.join(changed)} of the panel; work on a copy: panel.X.copy()")
    return _passed("input unchanged", "the panel holds the same bits after fit and predict")


def determinism(bench: ForecasterBench) -> Proof:
    """Two fits from the same seed, one of them after a fit of another window, give the same bits."""
    first = bench.raw(bench.model)
    if differs := _difference(first, bench.raw(bench.fitted())):
        mend = "draw from np.random.default_rng(self.seed), where seed is a parameter, and from nothing else"
        return _failed("determinism", f"two fits of the same window differ: {differs}; {mend}")
    bench.fitted(fold=bench.earlier_fold)
    if differs := _difference(first, bench.raw(bench.fitted())):
        mend = "keep nothing in the class or the module: folds are fitted in any order"
        return _failed("determinism", f"after a fit of another window it differs: {differs}; {mend}")
    return _passed("determinism", "three fits give the same bits, whatever was fitted between them")


def seed(bench: ForecasterBench) -> Proof:
    """A parameter `seed` must change something: a model is fitted for each seed of a run."""
    if not bench.prototype.is_seeded:
        return _passed("seed", "it has no seed: one model is fitted for each fold")
    if _difference(bench.raw(bench.model), bench.raw(bench.fitted(seed=FIRST_SEED + 1))):
        return _passed("seed", "another seed gives another model")
    if isinstance(bench.prototype, SklearnForecaster):
        return _passed("seed", "its regressor draws nothing on these bars; models.seeds=1 fits it once")
    return _failed("seed", "its parameter seed changes nothing, and a model is fitted for each; draw from it, or leave it out")


def truncation(bench: ForecasterBench) -> Proof:
    """The forecast of a row does not change where all later rows are cut away."""
    model, rows = bench.model, bench.rows[:: max(1, len(bench.rows) // ALONE)]
    whole = bench.raw(model, rows=rows)
    for number, row in enumerate(rows):
        part = model.raw(bench.panel.features[: row + 1], np.array([row]), bench.symbol)
        if differs := _difference(whole[number : number + 1], part):
            return _failed("truncation", f"with the rows after {_moment(bench, row)} cut away it differs: {differs}")
    return _passed("truncation", f"{len(rows)} forecasts are equal with and without the later rows")


def batch_equals_latest(bench: ForecasterBench) -> Proof:
    """One row alone, as in a session, has the bits that it has among others, as in a backtest."""
    model, rows = bench.model, bench.rows[:ALONE]
    whole = bench.raw(model, rows=rows)
    if differs := _difference(whole, np.concatenate([bench.raw(model, rows=rows[k : k + 1]) for k in range(len(rows))])):
        return _failed("batch equals latest", f"asked about one row at a time it differs: {differs}; keep nothing between calls of predict")
    if model.rows_per_call == 1 < bench.prototype.rows_per_call:
        how = "its rows depend on one another, so it is always asked about one at a time, which is slower"
        return _passed("batch equals latest", f"{len(rows)} forecasts are equal; {how}")
    return _passed("batch equals latest", f"{len(rows)} forecasts are equal, {model.rows_per_call} rows at a time or one")


def look_ahead(bench: ForecasterBench) -> Proof:
    """Another future changes neither what is learned before it nor what is forecast before it."""
    cut = bench.fold.effective_first + len(bench.rows) // 2
    later = bench.candles.copy()
    later.loc[later.index[cut:], list(OHLCV)] *= 1.25
    panel, known = bench.panel_of(later), np.arange(bench.fold.effective_first, cut - 1)
    first = bench.model
    whole = bench.raw(first, rows=known)
    if differs := _difference(whole, bench.raw(first, panel, known)):
        return _failed("look-ahead", f"with another future it forecasts the past differently: {differs}; read the panel alone")
    if differs := _difference(whole, bench.raw(bench.fitted(panel), panel, known)):
        return _failed("look-ahead", f"with another future it learns something else from the past: {differs}; read the panel alone")
    return _passed("look-ahead", f"{len(known)} forecasts are equal whatever came after {_moment(bench, cut)}")


def restart(bench: ForecasterBench) -> Proof:
    """Saved, and loaded into a fresh clone, it forecasts the same; its files hold no code."""
    model = bench.model
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model.save(folder, folder)
        if code := sorted(path.name for path in folder.rglob("*") if path.is_file() and _holds_code(path)):
            mend = "save numbers, text and arrays, or a format without code: skops, a library's own text"
            return _failed("restart", f"{', '.join(code)} is a pickle, which runs code when it is loaded; {mend}")
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        loaded = load_fitted(folder, bench.prototype)
        if differs := _difference(bench.raw(model), bench.raw(loaded)):
            return _failed("restart", f"loaded into a fresh clone it differs: {differs}; save all that predict reads")
    return _passed("restart", f"{size / 1024:,.0f} kB without code; the same forecasts after it was loaded")


def scale(bench: ForecasterBench) -> Proof:
    """Prices of another coin, a billion times smaller or larger, make no difference."""
    first = bench.raw(bench.model)
    for factor in SCALES:
        candles = bench.candles.copy()
        candles[["open", "high", "low", "close"]] *= factor
        panel = bench.panel_of(candles)
        found = bench.raw(bench.fitted(panel), panel)
        usual = max(float(np.std(first)), 1e-6)
        off = float(np.mean(np.abs(found - first) > 0.05 * usual))
        if off > 0.02:
            mend = "learn from features that are relative, as returns, not from prices"
            return _failed("scale", f"with prices times {factor:.0e} {off:.0%} of the numbers are others; {mend}")
    return _passed("scale", "prices times 1e-9 and 1e9 give the same forecasts")


def still_market(bench: ForecasterBench) -> Proof:
    """Where nothing moves there is nothing to learn, and still a finite forecast."""
    still = replace(bench.panel, targets=np.where(np.isnan(bench.panel.targets), np.nan, 0).astype(np.float32))
    bench.raw(bench.fitted(still), still)
    return _passed("still market", "targets that are all zero give finite forecasts")


def warm_start(bench: ForecasterBench) -> Proof:
    """`update` goes on from what was learned, leaves its base as it was, and is as repeatable as `fit`."""
    if not isinstance(bench.prototype, WarmStarting) or not bench.prototype.goes_on:
        return _passed("warm start", "it has none: every fold is learned from nothing")
    base = bench.fitted(fold=bench.earlier_fold)
    before = bench.raw(base)
    updated = bench.raw(bench.fitted(base=base))
    if differs := _difference(before, bench.raw(base)):
        return _failed("warm start", f"update changes the model it goes on from: {differs}; change a copy")
    if differs := _difference(updated, bench.raw(bench.fitted(base=base))):
        return _failed("warm start", f"two updates from the same model differ: {differs}; draw from seed alone")
    if not _difference(updated[..., 0].copy(), before[..., 0].copy()):
        return _failed("warm start", "update changes nothing; learn from the panel it is given, or be no WarmStarting")
    return _passed("warm start", "update goes on from its base, which stays as it was, the same way twice")


PROOFS: Final[Mapping[str, Callable[[ForecasterBench], Proof]]] = {
    "parameters": parameters,
    "answers": answers,
    "learned attributes": learned_attributes,
    "unfitted": unfitted,
    "input unchanged": input_unchanged,
    "determinism": determinism,
    "seed": seed,
    "truncation": truncation,
    "batch equals latest": batch_equals_latest,
    "look-ahead": look_ahead,
    "restart": restart,
    "scale": scale,
    "still market": still_market,
    "warm start": warm_start,
}


def _difference(first: Raw, second: Raw) -> str:
    """How many numbers are not the same bits, and by how much; empty where all are."""
    if first.shape != second.shape:
        return f"{list(second.shape)} numbers for {list(first.shape)}"
    other = first.view(np.uint32) != second.view(np.uint32)
    return f"{int(other.sum())} of {other.size} numbers, by up to {float(np.abs(second - first)[other].max()):.3g}" if other.any() else ""


def _holds_code(path: Path) -> bool:
    """Whether a file is a pickle, or an archive that one is in."""
    if path.suffix in _CODE:
        return True
    with path.open("rb") as file:
        beginning = file.read(2)
        if beginning[:1] == b"\x80" and beginning[1:] <= b"\x05":
            return True
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith(_CODE) or _is_of_objects(archive, name) for name in archive.namelist())


def _is_of_objects(archive: zipfile.ZipFile, name: str) -> bool:
    """Whether a member is an array of Python objects, which numpy pickles."""
    return name.endswith(".npy") and b"'descr': '|O'" in archive.open(name).read(256)


def _moment(bench: ForecasterBench, row: Any) -> str:
    return f"{pd.Timestamp(bench.candles.index[int(row)]):%Y-%m-%d %H:%M}"


def _passed(name: str, detail: str) -> Proof:
    return Proof(name=name, passed=True, detail=detail)


def _failed(name: str, detail: str) -> Proof:
    return Proof(name=name, passed=False, detail=detail)
