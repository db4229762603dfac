"""The fingerprint of a user's code: of the file that something is defined in, and of every file of the user's that it imports."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from forwardtrader.core.user_code.errors import is_a_users

_ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+")
# What a class has whose text says another thing in every process.
_OF_THE_PROCESS: Final = ("__dict__", "__weakref__", "__doc__", "__abstractmethods__", "_abc_impl", "__module__")


def source_fingerprint(defined: Callable[..., Any]) -> str:
    """Sha256 of the code behind a function or class: equal for equal code wherever it lies, another one after any edit.

    Modules that were imported inside a function count too, once they have been. Code without a file, as in a notebook, counts alone:
    by its compiled form. Of what is ours or a library's its own file counts.
    """
    digest = hashlib.sha256()
    module = sys.modules.get(defined.__module__)
    files = sorted(_files(module)) if module else []
    own = Path(getattr(module, "__file__", None) or "")
    files = files or ([own] if own.is_file() else [])
    for file in files:
        digest.update(file.read_bytes())
    if not files:
        digest.update(compiled_form(defined).encode())
    return digest.hexdigest()


def _files(module: ModuleType) -> set[Path]:
    """The user's files that a module is made of."""
    found: set[Path] = set()
    waiting = [module]
    while waiting:
        each = waiting.pop()
        file = getattr(each, "__file__", None)
        if file is None or not file.endswith(".py") or not is_a_users(file) or Path(file) in found or not Path(file).is_file():
            continue
        found.add(Path(file))
        waiting += [sys.modules[name] for name in _imported(each, Path(file)) if name in sys.modules]
    return found


def _imported(module: ModuleType, file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), module.__package__) if node.level else node.module
            yield from (base or "", *(f"{base}.{alias.name}" for alias in node.names))


def compiled_form(defined: Callable[..., Any]) -> str:
    """A function or class as its instructions, names and constants: the same in every process."""
    code = getattr(defined, "__code__", None)
    if code is not None:
        return _words(code)
    if not isinstance(defined, type):
        return _ADDRESS.sub("", repr(defined))
    parts = {name: getattr(each, "fget", None) or getattr(each, "__func__", None) or each for name, each in vars(defined).items()}
    return "|".join(f"{name}={compiled_form(each)}" for name, each in sorted(parts.items()) if name not in _OF_THE_PROCESS)


def _words(code: Any) -> str:
    """Instructions, names and constants, those of nested functions included."""
    return "|".join((code.co_code.hex(), *code.co_names, *code.co_varnames, *map(_constant, code.co_consts)))


def _constant(value: Any) -> str:
    if hasattr(value, "co_code"):
        return _words(value)
    return repr(sorted(map(repr, value))) if isinstance(value, frozenset) else repr(value)
