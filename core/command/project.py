"""The project that a command works in: the folder with `config.yaml`, `.env`, `var/` and `reports/`.

A command works in its project, wherever it was typed: another folder would silently get models, sessions and a trial ledger of its own.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from forwardtrader.core.command.installed import ROOT
from forwardtrader.core.errors import ConfigError

VARIABLE: Final = "FORWARDTRADER_PROJECT"
CONFIG: Final = "config.yaml"
ROOMS: Final = ("feeds", "models", "learning", "strategies", "reports", "live", "risk")  # the headings of our settings
_typed_in: Path | None = None  # where the command of this process was typed, if its project is elsewhere


def project_of(given: Path | None, typed_in: Path) -> Path:
    """The project of a command.

    It is, in this order: what `--project` names, what the variable FORWARDTRADER_PROJECT names, the nearest folder at or above `typed_in`
    that has our `config.yaml` or a `reports/output`, the checkout that the code lies in, `typed_in` itself.

    Raises:
        ConfigError: the named folder does not exist.
    """
    named = given or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    if named is not None:
        folder = (typed_in / named).resolve()
        if not folder.is_dir():
            raise ConfigError(f"project {named} is not a folder; name one that exists with --project, or make it first")
        return folder
    if (typed_in / CONFIG).is_file():
        return typed_in
    marked = (folder for folder in (typed_in, *typed_in.parents) if _is_ours(folder / CONFIG) or (folder / "reports/output").is_dir())
    return next(marked, ROOT if (ROOT / "run_live.py").is_file() else typed_in)


def _is_ours(file: Path) -> bool:
    """Whether a settings file has one of our headings: many tools call theirs `config.yaml` too."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return False
    return any(line.partition(":")[0] in ROOMS for line in lines)


def enter(given: Path | None = None) -> bool:
    """Make the project the working directory, for this process and its children; returns whether it is another one.

    Raises:
        ConfigError: as `project_of`, or the working directory was removed.
    """
    global _typed_in
    try:
        here = Path.cwd()
    except FileNotFoundError as error:
        raise ConfigError("the folder that this was typed in is gone; change to one that exists") from error
    project = project_of(given, here)
    _typed_in = here if project != here else None
    if _typed_in is not None:
        os.chdir(project)
    return _typed_in is not None


def typed_path(text: str | Path) -> Path:
    """A path from the command line: relative to where the command was typed, not to the project."""
    return Path(text) if _typed_in is None else _typed_in / Path(text)


def typed_object(spec: str) -> str:
    """`MODULE:NAME` from the command line; a file beside which the command was typed is named by its path."""
    module, colon, name = spec.rpartition(":")
    if not colon:
        return spec
    file = typed_path(module if module.endswith(".py") else f"{module.replace('.', '/')}.py")
    return f"{file}{colon}{name}" if _typed_in is not None and file.is_file() else spec
