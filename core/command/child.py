"""Child processes that run a module of this package, in the project that the parent works in."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from forwardtrader.core.command.installed import ROOT
from forwardtrader.core.command.project import VARIABLE


def child_command(module: str, *words: str) -> list[str]:
    """The command line; `-P`, so that no file in the project is taken for a package that the module imports."""
    return [sys.executable, "-P", "-m", f"forwardtrader.{module}", *words]


def child_environment() -> dict[str, str]:
    """The environment: the child finds this package whatever folder it works in, and the same project."""
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": paths, VARIABLE: str(Path.cwd())}
