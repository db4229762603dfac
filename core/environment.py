"""Environment variables: those of the process over those of the project's `.env`; nothing else reads either for secrets or settings."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from forwardtrader.core.errors import ConfigError

# Tells child processes, whose working directory is another one, which file is the project's.
FILE_VARIABLE: Final = "FORWARDTRADER_ENV"


def environment() -> dict[str, str]:
    """Every variable; `.env` is the one in the working directory, beside `config.yaml`, and in no folder above it.

    Raises:
        ConfigError: the file is there and cannot be read.
    """
    return {**_of_project(), **os.environ}


@contextmanager
def exported() -> Iterator[None]:
    """While the block runs, what only `.env` names is in the process environment too: for child processes, and libraries that look there.

    Raises:
        ConfigError: as `environment`.
    """
    added = {name: value for name, value in _of_project().items() if name not in os.environ}
    added.setdefault(FILE_VARIABLE, str(_path()))
    before = {name: os.environ.get(name) for name in added}
    os.environ.update(added)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _path() -> Path:
    path = Path(os.environ.get(FILE_VARIABLE) or ".env")
    try:
        return path.absolute()
    except FileNotFoundError:  # the working directory was removed, and with it the file
        return path


def _of_project() -> Mapping[str, str]:
    path = _path()
    try:
        status = path.stat()
        return _read(path, status.st_mtime_ns, status.st_size)
    except FileNotFoundError:
        return MappingProxyType({})
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read ({type(error).__name__}); make it a text file (UTF-8) that you may read") from error


@lru_cache(maxsize=4)
def _read(path: Path, changed: int, size: int) -> Mapping[str, str]:
    """As a file that has not changed since was read before: it is asked for with every line of the log."""
    text = path.read_text(encoding="utf-8-sig")
    for binding in parse_stream(io.StringIO(text)):
        if binding.error or "\0" in binding.original.string:
            raise ConfigError(f"{path}, line {binding.original.line}: write it as NAME=value, a value with special characters in quotes")
    found = dotenv_values(stream=io.StringIO(text))
    return MappingProxyType({name: value for name, value in found.items() if value is not None})
