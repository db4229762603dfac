"""Modules of the user's, named by a dotted name or by a file."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from forwardtrader.core.command.installed import OPTIONAL, PACKAGES
from forwardtrader.core.errors import ConfigError
from forwardtrader.core.user_code.errors import described

_OTHERS = sys.stdlib_module_names | {*PACKAGES, *OPTIONAL}
_received: dict[str, str] = {}  # modules that came from another machine, by their files there
_received_from: list[str] = []


def receive(names: Mapping[str, str], folder: str) -> None:
    """Take these files to mean modules that can be imported by these names, whatever lies here; names of files are relative to `folder`."""
    _received.clear()
    _received.update(names)
    _received_from[:] = [folder]


def user_module(name: str, given: str) -> ModuleType:
    """The module `name`: dotted, or the path of a file, looked for from the working directory too.

    Args:
        given: how the user named it, with its flag, for messages: `--strategy 'trend.py:Trend'`.

    Raises:
        ConfigError: there is none, or it cannot be imported; the message names the user's line where there is one.
    """
    beside = Path.cwd() / f"{name}.py"
    file = Path(name).resolve() if name.endswith(".py") else beside if "." not in name and beside.is_file() else None
    if (came := _came(name)) is not None:
        file, name = None, came
    folder, stem = (file.parent, file.stem) if file is not None else (Path.cwd(), name)
    try:
        _search(folder, stem)
        return importlib.import_module(stem) if file is None or _is_free(stem, file) else _from_file(file)
    except ModuleNotFoundError as error:
        if error.name != stem and not stem.startswith(f"{error.name}."):
            asked = (
                "; Keras looks for it because KERAS_BACKEND says so: set that to jax" if error.name == os.getenv("KERAS_BACKEND") else ""
            )
            raise ConfigError(f"{given}: {name} needs the module {error.name}, which is not installed{asked}") from error
        raise ConfigError(f"{given}: there is no module {name} on the path or in {folder}") from error
    except FileNotFoundError as error:
        raise ConfigError(f"{given}: there is no file {file}") from error
    except (ImportError, SyntaxError) as error:
        raise ConfigError(f"{given}: {name} cannot be imported: {error}") from error
    except Exception as error:  # the module is the user's, and so is whatever it raises while it is read
        raise ConfigError(f"{given}: {described(error)}") from error


def _came(name: str) -> str | None:
    """The name of the module that this file is elsewhere; None where it did not come from there."""
    if not _received_from:
        return None
    file = name if name.endswith(".py") else f"{name}.py"
    return _received.get(os.path.normpath(Path(_received_from[0], file)))


def _search(folder: Path, stem: str) -> None:
    """Have modules beside a user's file found: first, as beside any script, unless one of them would stand before a module of others."""
    if str(folder) in sys.path:
        return
    beside = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    takes_a_name = stem in sys.modules or not beside.isdisjoint(_OTHERS)
    sys.path.insert(len(sys.path) if takes_a_name else 0, str(folder))


def _is_free(stem: str, file: Path) -> bool:
    """Whether the file is what its own name stands for: no other module is imported, or found, by it."""
    if stem in sys.modules:
        known = getattr(sys.modules[stem], "__file__", None)
        return known is not None and Path(known).resolve() == file
    spec = importlib.util.find_spec(stem) if stem.isidentifier() else None
    return spec is None or (spec.origin is not None and Path(spec.origin).resolve() == file)


def _from_file(file: Path) -> ModuleType:
    """The module of a file whose name another module has: under a name of its own."""
    name = f"{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
