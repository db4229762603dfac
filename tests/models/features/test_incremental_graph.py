"""A recorded computation takes each step once, and one row of it is what numpy gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from forwardtrader.models.features.incremental_graph import IncrementalGraph


def test_a_recipe_takes_equal_steps_once() -> None:
    graph = IncrementalGraph()
    x: Any = graph.inputs(("x",))["x"]
    assert (np.log(x) + 1.0).place == (np.log(x) + 1.0).place


def test_a_function_without_a_form_for_single_rows_is_refused() -> None:
    x: Any = IncrementalGraph().inputs(("x",))["x"]
    with pytest.raises(TypeError, match="cosh"):
        np.cosh(x)
    for impossible in (np.cumsum, np.asarray, bool, len, list, pd.Series):
        with pytest.raises(TypeError):
            impossible(x)


@pytest.mark.parametrize(("a", "b"), [(1.0, 0.0), (-1.0, 0.0), (0.0, 0.0), (1.0, -0.0), (float("nan"), 0.0), (2.0, 3.0)])
def test_one_row_divides_and_compares_as_numpy_does(a: float, b: float) -> None:
    graph = IncrementalGraph()
    coming: dict[str, Any] = dict(graph.inputs(("a", "b")))
    x, y = coming["a"], coming["b"]
    graph.keep([x / y, np.maximum(x, y), np.minimum(x, y), np.clip(x, -0.5, 0.5), np.sqrt(x - y)])
    columns = {"a": np.array([a]), "b": np.array([b])}
    with np.errstate(all="ignore"):
        whole = graph.fill(columns)
    np.testing.assert_array_equal(np.array([graph.row({"a": a, "b": b})]), whole)
