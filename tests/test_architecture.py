"""The stairs and the doors of docs/architecture.md, held against every import in the tree."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests import ROOT

MAY_IMPORT: dict[str, set[str]] = {
    "core": set(),
    "feeds": {"core"},
    "models": {"core"},
    "reports": {"core"},
    "sandbox": {"core"},
    "strategies": {"core", "models"},
    "backtest": {"core", "feeds", "models", "strategies", "reports"},
    "live": {"core", "feeds", "models", "strategies", "reports"},
}
DOORS: dict[str, set[str]] = {
    "ccxt": {
        "feeds/venues/exchange.py",
        "feeds/live/client.py",
        "feeds/venues/retry.py",
        "feeds/live/source.py",
        "live/execution/account.py",
    },
    "keras": {"models/forecasters/lstm.py", "models/forecasters/trainer.py"},
    "jax": {
        "models/forecasters/lstm.py",
        "models/forecasters/stepwise_inference.py",
        "models/forecasters/recurrent.py",
        "models/forecasters/trainer.py",
        "models/forecasters/xla.py",
    },
    "lightgbm": {"models/forecasters/trees.py"},
    "firebase_admin": {"live/output/firestore.py"},
    "quantstats": {"reports/pages/tearsheet.py"},
    "distributed": {"models/parallel/dask_cluster.py"},
    "dask": {"models/parallel/dask_cluster.py"},
    "optuna": {"backtest/sweep/search.py"},
}


def modules(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def imported(source: str) -> set[str]:
    """Full names of all modules a source imports, nested imports included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
    return names


def upward_imports(room: str, source: str) -> set[str]:
    tops = {name.split(".")[1] for name in imported(source) if name.startswith("forwardtrader.")}
    return {top for top in tops if top in MAY_IMPORT and top != room and top not in MAY_IMPORT[room]}


def closed_doors(place: str, source: str) -> set[str]:
    tops = {name.split(".")[0] for name in imported(source)}
    return {sdk for sdk, doors in DOORS.items() if sdk in tops and place not in doors}


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_stands_below_it(room: str) -> None:
    found = {str(m.relative_to(ROOT)): up for m in modules(room) if (up := upward_imports(room, m.read_text()))}
    assert found == {}


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_an_sdk_is_imported_at_its_doors_only(room: str) -> None:
    found = {p: c for m in modules(room) if (c := closed_doors(p := str(m.relative_to(ROOT)), m.read_text()))}
    assert found == {}


def test_a_planted_upward_import_is_caught() -> None:
    assert upward_imports("models", "def f():\n    from forwardtrader.feeds.candles.schema import check\n") == {"feeds"}


def test_a_planted_sdk_import_is_caught() -> None:
    assert closed_doors("strategies/risk.py", "import ccxt.pro\n") == {"ccxt"}


def test_no_room_is_named_for_nothing_in_particular() -> None:
    vague = {"utils", "util", "helpers", "helper", "manager", "misc", "common"}
    assert [m for room in MAY_IMPORT for m in modules(room) if m.stem in vague] == []
