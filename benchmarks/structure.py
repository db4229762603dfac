"""The structure of the code in numbers: folders, importers, the way of an order, types, lengths.

    python -m benchmarks.structure            # prints the table
    python -m benchmarks.structure --write    # puts it into docs/architecture.md

Counted are the packages that are installed, without tests and benchmarks. A module is a `.py` file with at least five lines that is not
an `__init__.py`; a function's length is that of its body with its signature, without its docstring.
"""

from __future__ import annotations

import argparse
import ast
import re
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.command import ROOT

PACKAGES: Final = ("core", "feeds", "models", "strategies", "backtest", "live", "reports", "sandbox", "serve")
PAGE: Final = ROOT / "docs" / "architecture.md"
BEGIN: Final = "<!-- python -m benchmarks.structure --write -->"
END: Final = "<!-- end of the table -->"
# From a strategy's decision to the request at the venue: each function names the next one.
ORDER_PATH: Final = (
    "strategies.backtrader.strategy:LSTMStrategy.next",
    "strategies.position_manager:PositionManager.on_bar",
    "strategies.position_manager:PositionManager._trade",
    "strategies.backtrader.strategy:FeedPositionManager.trade",
    "strategies.backtrader.strategy:FeedPositionManager._send",
    "backtrader:Strategy.buy",
    "live.bridge.broker:CCXTBroker.buy",
    "live.bridge.broker:CCXTBroker._order",
    "live.bridge.broker:CCXTBroker.send",
    "live.execution.account:CcxtAccount.send",
    "live.execution.submit:OrderSubmitter.post",
    "live.execution.submit:OrderSubmitter._create",
    "ccxt:Exchange.create_order",
)
_OTHERS: Final = ("backtrader", "ccxt")
_MEANINGFUL: Final = 5


@dataclass(frozen=True)
class Module:
    """One file: its dotted name below the root, its lines, and its syntax tree."""

    name: str
    lines: int
    tree: ast.Module

    @property
    def folder(self) -> str:
        return self.name.rpartition(".")[0]


def modules(root: Path) -> list[Module]:
    """Every module of the packages below `root`."""
    found = []
    for path in sorted(path for package in PACKAGES for path in (root / package).rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if path.name != "__init__.py" and source.count("\n") >= _MEANINGFUL:
            found.append(Module(".".join(path.relative_to(root).with_suffix("").parts), source.count("\n"), ast.parse(source)))
    return found


def files_per_folder(found: Iterable[Module]) -> dict[str, int]:
    """How many modules lie in each folder."""
    folders = [module.folder for module in found]
    return {folder: folders.count(folder) for folder in folders}


def importers(found: Sequence[Module]) -> dict[str, int]:
    """By how many other modules each one is imported."""
    names = {module.name for module in found}
    imported = [_imported(module) & names - {module.name} for module in found]
    return {name: sum(name in each for each in imported) for name in names}


def _imported(module: Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name.removeprefix("forwardtrader.") for name in names}


def untyped(found: Iterable[Module]) -> float:
    """How often `Any` is written in a thousand lines."""
    chosen = list(found)
    written = sum(isinstance(node, ast.Name) and node.id == "Any" for module in chosen for node in ast.walk(module.tree))
    return 1000 * written / sum(module.lines for module in chosen)


def function_lengths(found: Iterable[Module]) -> list[int]:
    """Lines of every function and method, without docstrings."""
    return [_length(node) for module in found for node in ast.walk(module.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = function.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    docstring = (first.end_lineno or first.lineno) - first.lineno + 1 if documented else 0
    return (function.end_lineno or function.lineno) - function.lineno + 1 - docstring


def broken_steps(found: Iterable[Module], path: Sequence[str]) -> Iterator[str]:
    """Steps of a call path (`module:Class.function`) that are not there, or do not call the next one."""
    trees = {module.name: module.tree for module in found}
    for step, following in zip(path, [*path[1:], ""], strict=True):
        if step.partition(":")[0] in _OTHERS:
            continue
        function = _function(trees, step)
        if function is None:
            yield f"{step} is not there"
        elif following and following.rpartition(".")[2].rpartition(":")[2] not in _called(function):
            yield f"{step} does not call {following}"


def _function(trees: dict[str, ast.Module], step: str) -> ast.AST | None:
    module, _, name = step.partition(":")
    node: ast.AST | None = trees.get(module)
    for part in name.split("."):
        children = list(ast.iter_child_nodes(node)) if node is not None else []
        node = next((child for child in children if getattr(child, "name", None) == part), None)
    return node


def _called(function: ast.AST) -> set[str]:
    """The names that a function calls, or hands on to be called."""
    mentioned = [node.attr for node in ast.walk(function) if isinstance(node, ast.Attribute)]
    return {*mentioned, *(node.id for node in ast.walk(function) if isinstance(node, ast.Name))}


def rows(root: Path) -> list[tuple[str, str]]:
    """The table: what is counted, and the number."""
    found = modules(root)
    live = [module for module in found if module.name.startswith("live.")]
    per_folder, known = files_per_folder(found), importers(found)
    single = [count == 1 for count in known.values()]
    single_live = [count == 1 for name, count in known.items() if name.startswith("live.")]
    lengths, sizes = function_lengths(found), [module.lines for module in found]
    return [
        ("modules, folders", f"{len(found)}, {len(per_folder)}"),
        ("modules per folder, median / max", f"{statistics.median(per_folder.values()):g} / {max(per_folder.values())}"),
        ("modules with a single importer", f"{_share(single)}, in `live` {_share(single_live)}"),
        ("calls from `strategy.next` to `create_order`", str(len(ORDER_PATH) - 1)),
        ("`Any` per 1,000 lines", f"{untyped(found):.0f}, in `live` {untyped(live):.0f}"),
        ("lines of a function, median / p90 / max", _spread(lengths)),
        ("lines of a module, median / p90 / max", _spread(sizes)),
    ]


def _share(flags: Sequence[bool]) -> str:
    return f"{sum(flags) / len(flags):.0%}".replace("%", " %")


def _spread(values: Sequence[int]) -> str:
    ordered = sorted(values)
    return f"{statistics.median_low(ordered)} / {ordered[int(0.9 * len(ordered))]} / {ordered[-1]}"


def table(root: Path) -> str:
    """The rows as Markdown."""
    return "\n".join(["| what | number |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows(root))])


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.structure", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", type=Path, default=ROOT, help="another checkout")
    parser.add_argument("--write", action="store_true", help="put the table into docs/architecture.md")
    given = parser.parse_args(argv)
    text = table(given.root)
    print(text)
    if given.write:
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(re.sub(f"{BEGIN}.*?{END}", f"{BEGIN}\n{text}\n{END}", page, flags=re.S), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
