"""A computation graph of series, recorded once and then evaluated one row at a time.

A feature is a function of whole series (`models.features.catalogue`). Called with `GraphSeries` instead of numbers it computes nothing:
every step it takes is recorded in an `IncrementalGraph`, equal steps once. The graph then gives the newest row from the newest inputs and
from what it kept of the rows before: the levels of the trees of `models.features.rolling` are such steps, so a window of any length costs
a few additions. Steps and their order are those of the whole series, so the bits are the same.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import NDArray

_NAN: Final = math.nan
Scalar = Any  # float, int for times, bool for conditions


class GraphSeries(NDArrayOperatorsMixin):
    """A symbolic series: arithmetic, comparisons and the numpy functions that features use are recorded in its graph."""

    def __init__(self, graph: IncrementalGraph, place: int) -> None:
        self.graph = graph
        self.place = place

    def lag(self, n: int) -> GraphSeries:
        """The value `n` rows ago."""
        return self.graph.lagged(self, n)

    def astype(self, kind: Any) -> GraphSeries:
        if np.dtype(kind) != np.float64:
            raise TypeError(f"a recorded series cannot be cast to {kind}")
        return self.graph.step(_as_float, self)

    def copy(self) -> GraphSeries:
        return self

    # What needs the numbers themselves cannot be recorded: without these, Python and numpy would take the series for one object.

    def __bool__(self) -> bool:
        raise TypeError("a series whose rows are still to come is neither true nor false")

    def __len__(self) -> int:
        raise TypeError("a series whose rows are still to come has no length yet")

    def __iter__(self) -> Iterator[Any]:  # pandas then takes it for a list, and fails as it should
        raise TypeError("a series whose rows are still to come cannot be iterated over")

    def __array__(self, *given: Any, **options: Any) -> Any:
        raise TypeError("a series whose rows are still to come is no array")

    def __array_ufunc__(self, function: Any, method: str, *given: Any, **options: Any) -> Any:
        if method != "__call__" or options:
            return NotImplemented
        if function is np.power and given[1] == 2:
            return self.graph.step(np.multiply, given[0], given[0])  # what numpy makes of a square
        return self.graph.step(function, *given)

    def __array_function__(self, function: Any, types: Any, given: Any, options: Any) -> Any:
        if function in (np.clip, np.where) and len(given) == 3 and not options:
            return self.graph.step(function, *given)
        if function is np.zeros_like:
            return self.graph.constant(0.0)
        return NotImplemented


class IncrementalGraph:
    """Recorded steps in topological order.

    First `inputs`, arithmetic and `keep`; then `fill`, after which `row` gives one row after the other, ahead of which `prepare` may come.
    """

    def __init__(self) -> None:
        self._made: dict[tuple[Any, ...], int] = {}
        self._steps: list[tuple[Any, tuple[int, ...]]] = []  # function and places; (None, ()) for inputs and constants
        self._values: list[Scalar] = []
        self._lags: dict[int, tuple[int, int]] = {}  # place: whose value, how many rows ago
        self._inputs: dict[str, int] = {}
        self._constants: set[int] = set()
        self._outputs: list[int] = []
        self._histories: dict[int, list[Scalar]] = {}
        self._ready = False
        self._timed: int | None = None

    # Writing down

    def inputs(self, names: Iterable[str]) -> dict[str, GraphSeries]:
        """One coming series a name."""
        for name in names:
            self._inputs[name] = self._place(("input", name), None, ())
        return {name: GraphSeries(self, place) for name, place in self._inputs.items()}

    def constant(self, value: Scalar) -> GraphSeries:
        place = self._place(("constant", type(value), value), None, ())
        self._values[place] = value
        self._constants.add(place)
        return GraphSeries(self, place)

    def step(self, function: Any, *given: Any) -> GraphSeries:
        """Raises TypeError for a function that has no form for single rows."""
        if function not in _ONE_ROW:
            raise TypeError(f"{getattr(function, '__name__', function)} has no form for single rows")
        places = tuple(each.place if isinstance(each, GraphSeries) else self.constant(_plain(each)).place for each in given)
        return GraphSeries(self, self._place((function, places), function, places))

    def lagged(self, series: GraphSeries, n: int) -> GraphSeries:
        if n == 0 or series.place in self._constants:
            return series
        whose, already = self._lags.get(series.place, (series.place, 0))
        place = self._place(("lag", whose, already + n), None, ())
        self._lags[place] = (whose, already + n)
        return GraphSeries(self, place)

    def keep(self, outputs: Iterable[GraphSeries]) -> None:
        """Say which series `row` gives, and drop what none of them needs."""
        self._outputs = [series.place for series in outputs]
        needed: set[int] = set()
        waiting = list(self._outputs)
        while waiting:
            place = waiting.pop()
            if place not in needed:
                needed.add(place)
                waiting += [self._lags[place][0]] if place in self._lags else self._steps[place][1]
        self._lags = {place: whence for place, whence in self._lags.items() if place in needed}
        self._divide(needed)

    def _place(self, key: tuple[Any, ...], function: Any, places: tuple[int, ...]) -> int:
        if key not in self._made:
            self._made[key] = len(self._steps)
            self._steps.append((function, places))
            self._values.append(_NAN)
        return self._made[key]

    def _divide(self, needed: set[int]) -> None:
        """Into steps that earlier rows decide, those that the time of the next row decides too, and the rest."""
        stage = {place: 2 for name, place in self._inputs.items() if name != "times"}
        timely = self._inputs.get("times")
        self._stages: tuple[list[Any], list[Any], list[Any]] = ([], [], [])
        for place, (function, places) in enumerate(self._steps):
            if function is not None and place in needed:
                stage[place] = max((stage.get(p, 1 if p == timely else 0) for p in places), default=0)
                self._stages[stage[place]].append((_ONE_ROW[function], place, *places, *(-1,) * (3 - len(places))))
        self._depth = {whose: max(n for w, n in self._lags.values() if w == whose) for whose, _ in self._lags.values()}

    # Following

    def fill(self, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Work out all rows of these inputs and keep what later ones need; the outputs, float64 [T, outputs]."""
        rows = len(next(iter(columns.values())))
        wide: dict[int, Any] = {place: columns[name] for name, place in self._inputs.items()}
        wide |= {place: self._values[place] for place in self._constants}
        needed = {place for steps in self._stages for _, place, *_ in steps} | self._lags.keys()
        with np.errstate(divide="ignore", invalid="ignore"):
            for place in sorted(needed):
                wide[place] = self._whole(place, wide)
        self._histories = {whose: np.asarray(wide[whose])[-depth:].tolist() for whose, depth in self._depth.items()}
        self._ready = False
        return np.stack([np.broadcast_to(wide[place], rows).astype(np.float64) for place in self._outputs], axis=1)

    def prepare(self, coming: int | None = None) -> None:
        """Do ahead of the next row what does not depend on it; `coming` is its time where that is known."""
        values = self._values
        if not self._ready:
            for place, (whose, n) in self._lags.items():
                history = self._histories[whose]
                values[place] = history[-n] if n <= len(history) else _NAN
            _follow(self._stages[0], values)
            self._ready, self._timed = True, None
        if coming is not None and coming != self._timed:
            self._take_time(coming)

    def row(self, inputs: Mapping[str, Scalar]) -> list[float]:
        """The outputs of the next row."""
        self.prepare(inputs.get("times"))
        values = self._values
        for name, place in self._inputs.items():
            values[place] = inputs[name]
        _follow(self._stages[2], values)
        for whose, depth in self._depth.items():
            history = self._histories[whose]
            history.append(values[whose])
            if len(history) > 4 * depth + 64:
                del history[:-depth]
        self._ready = False
        return [values[place] for place in self._outputs]

    def _whole(self, place: int, wide: Mapping[int, Any]) -> Any:
        if place in self._lags:
            whose, n = self._lags[place]
            return _shifted(wide[whose], n)
        function, places = self._steps[place]
        return _WHOLE.get(function, function)(*(wide[p] for p in places))

    def _take_time(self, coming: int) -> None:
        self._timed = coming
        if "times" in self._inputs:
            self._values[self._inputs["times"]] = coming
            _follow(self._stages[1], self._values)


def _follow(steps: list[Any], values: list[Scalar]) -> None:
    for function, place, a, b, c in steps:
        if b < 0:
            values[place] = function(values[a])
        elif c < 0:
            values[place] = function(values[a], values[b])
        else:
            values[place] = function(values[a], values[b], values[c])


def _shifted(x: Any, n: int) -> Any:
    out = np.full(len(x), _NAN)
    out[n:] = x[:-n] if n < len(x) else x[:0]
    return out


def _plain(value: Any) -> Scalar:
    return value.item() if isinstance(value, np.generic) else value


# One row of what numpy does to whole series. Sums, products, quotients and roots are exact to the last bit everywhere; logarithms and the
# like are numpy's own, whose last bit is not that of the C library.


def _divide(a: float, b: float) -> float:
    if b:
        return a / b
    return _NAN if a == 0 or a != a or b != b else math.copysign(math.inf, a) * math.copysign(1.0, b)


def _sqrt(x: float) -> float:
    return math.sqrt(x) if x >= 0 else _NAN


def _larger(a: float, b: float) -> float:
    return a if a >= b or a != a else b


def _smaller(a: float, b: float) -> float:
    return a if a <= b or a != a else b


def _between(x: float, low: float, high: float) -> float:
    return _smaller(_larger(x, low), high)


def _chosen(condition: bool, a: float, b: float) -> float:
    return a if condition else b


def _as_float(x: Any) -> float:
    return float(x)


def _numpys(function: Any) -> Callable[[float], float]:
    return lambda x: float(function(x))


_ONE_ROW: Final[dict[Any, Callable[..., Any]]] = {
    np.add: operator.add, np.subtract: operator.sub, np.multiply: operator.mul, np.divide: _divide, np.remainder: operator.mod,
    np.negative: operator.neg, np.absolute: abs, np.sqrt: _sqrt, np.maximum: _larger, np.minimum: _smaller, np.clip: _between,
    np.where: _chosen, np.greater: operator.gt, np.greater_equal: operator.ge, np.less: operator.lt, np.less_equal: operator.le,
    np.bitwise_and: operator.and_, np.isfinite: math.isfinite, np.isnan: math.isnan, _as_float: _as_float,
    **{function: _numpys(function) for function in (np.log, np.log1p, np.exp, np.tanh, np.sin, np.cos)},
}  # fmt: skip
_WHOLE: Final[dict[Any, Callable[..., Any]]] = {_as_float: lambda x: np.asarray(x).astype(np.float64)}
