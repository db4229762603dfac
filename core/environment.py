"""Environment variables: those of the process over those of the project's `.env`; nothing else reads either for secrets or settings."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from forwardtrader.core.errors import ConfigError

# Which file is the project's, wherever the process works; in a child process, none.
FILE_VARIABLE: Final = "FORWARDTRADER_ENV"
# Variables, and fields of a key file, that hold a secret; those that say where something lies do not.
_SECRET: Final = re.compile(
    r"(?i)SECRET|PASSWORD|PASSPHRASE|CREDENTIAL|MNEMONIC|(?:TOKEN|KEY|PASS|PASSWD|PASSCODE|_PWD|PRIVATE|AUTH|SIGNATURE|JWT|BEARER|COOKIE|CHAT_?ID)S?(?=[_\d]|$)"
)
_PLACE: Final = re.compile(r"(?i)_(?:PATH|FILE|DIR|HOST|URL|URI|SOCK)$|^GOOGLE_APPLICATION_CREDENTIALS$")


def environment() -> dict[str, str]:
    """Every variable; `.env` is the one in the working directory, beside `config.yaml`, and in no folder above it.

    Raises:
        ConfigError: the file is there and cannot be read.
    """
    return {**of_project(), **os.environ}


@contextmanager
def exported() -> Iterator[None]:
    """While the block runs, what only `.env` names is in the process environment too, for libraries that look there; keys are not.

    Raises:
        ConfigError: as `environment`.
    """
    added = {name: value for name, value in of_project().items() if name not in os.environ and not is_secret(name)}
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


def names_secret(name: str) -> bool:
    """Whether the name of a variable, or of a field of a key file, speaks of a secret."""
    return _SECRET.search(name) is not None


def is_place(name: str) -> bool:
    """Whether a variable says where something lies."""
    return _PLACE.search(name) is not None


@lru_cache(maxsize=1024)
def is_secret(name: str) -> bool:
    """Whether the value of a variable, or of a field of a key file, is a secret by its name."""
    return names_secret(name) and not is_place(name)


def of_project() -> Mapping[str, str]:
    """The variables of `.env` alone; none where there is no file.

    Raises:
        ConfigError: as `environment`.
    """
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
