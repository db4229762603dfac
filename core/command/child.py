"""Child processes that run a module of this package, in the project that the parent works in, and without its keys."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from forwardtrader.core.command.installed import ROOT
from forwardtrader.core.command.project import VARIABLE
from forwardtrader.core.environment import FILE_VARIABLE, is_secret

# What a child needs: the user and the system, Python and its libraries, threads and devices, our own variables. All else stays here: a
# key may have any name.
_NEEDED: Final = re.compile(
    r"PATH|HOME|USER|LOGNAME|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|TEMP|TMP|TERM|COLUMNS|VIRTUAL_ENV|CONDA_PREFIX|XDG_(?:CACHE|CONFIG|DATA|RUNTIME)_\w+"
    r"|SYSTEMROOT|WINDIR|USERPROFILE|(?:LOCAL)?APPDATA|LD_LIBRARY_PATH|DYLD_\w+|PYTHON\w+|COV\w+|MPL\w+"
    r"|(?:OMP|MKL|OPENBLAS|KMP|NUMBA|JAX|XLA|PJRT|TF|KERAS|CUDA|NVIDIA|ARROW|MALLOC)_\w+|FORWARDTRADER_\w+"
    r"|MODEL_SAVE_PATH|DATA_CACHE_MINUTES|RISK_TOLERANCE"
)


def child_command(module: str, *words: str) -> list[str]:
    """The command line; `-P`, so that no file in the project is taken for a package that the module imports."""
    return [sys.executable, "-P", "-m", f"forwardtrader.{module}", *words]


def child_environment() -> dict[str, str]:
    """The environment: the child finds this package whatever folder it works in, and the same project, but neither a key nor `.env`."""
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    needed = {name: value for name, value in os.environ.items() if _is_needed(name)}
    return {**needed, "PYTHONPATH": paths, VARIABLE: str(Path.cwd()), FILE_VARIABLE: os.devnull}


@contextmanager
def without_keys() -> Iterator[None]:
    """While the block runs, this process has a child's environment too, for libraries that start processes with their parent's."""
    hidden = {name: value for name, value in os.environ.items() if not _is_needed(name)} | {FILE_VARIABLE: os.environ.get(FILE_VARIABLE)}
    for name in hidden:
        os.environ.pop(name, None)
    os.environ[FILE_VARIABLE] = os.devnull
    try:
        yield
    finally:
        del os.environ[FILE_VARIABLE]
        os.environ.update({name: value for name, value in hidden.items() if value is not None})


def _is_needed(name: str) -> bool:
    return _NEEDED.fullmatch(name) is not None and not is_secret(name)
