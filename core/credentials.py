"""Credentials: every secret value that the environment, `.env` and the files they name hold, whatever its shape."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from forwardtrader.core.environment import is_place, is_secret, names_secret, of_project
from forwardtrader.core.errors import ConfigError

_FILE: Final = re.compile(r"(?i)_(?:PATH|FILE)$|^GOOGLE_APPLICATION_CREDENTIALS$")
# Whoever knows such an address can send in its name, so that all of it behind the host is a secret.
_HOOK: Final = re.compile(r"(?i)HEARTBEAT|HOOK|PING")
_ADDRESS: Final = re.compile(r"(?i)[a-z][a-z0-9+.-]{0,19}://")
_LARGEST_KEY_FILE: Final = 64 * 1024
_TOKEN: Final = re.compile(r"(?=.*[A-Za-z])(?=.*\d)\S{12,}")
_LIST: Final = re.compile(r"[,;\s]+")


def secret_values() -> Iterator[str]:
    """Every secret of the process environment, of `.env`, and of the key files that they name; some values twice.

    In `.env` a value that looks like a token is a secret whatever it is called.
    """
    try:
        in_file = of_project()
    except ConfigError:  # reported where the command starts; the variables of the process are secrets anyway
        in_file = {}
    known = {**in_file, **os.environ}
    for name, value in known.items():
        if is_secret(name):
            yield from _with_parts(value)
        elif _names_key_file(name):
            yield from _of_key_file(value)
        if _ADDRESS.match(value):
            yield from _of_address(value, is_hook=_HOOK.search(name) is not None)
        elif name in in_file and not is_place(name) and _looks_like_token(value):
            yield value


@lru_cache(maxsize=1024)
def _names_key_file(name: str) -> bool:
    return names_secret(name) and _FILE.search(name) is not None


def _looks_like_token(text: str) -> bool:
    """Letters and digits in one long word: no date, no path, no pair of coins. A key of several lines has words of that kind."""
    return any(_TOKEN.fullmatch(word) and not word.startswith((".", "/", "~")) for word in text.split())


def _with_parts(value: str) -> Iterator[str]:
    """A value, each member of a list, and the secret fields of a JSON text."""
    yield value
    if value.lstrip().startswith("{"):
        yield from _of_json(value)
    elif not value.lstrip().startswith("-----"):
        parts = _LIST.split(value)
        yield from (part for part in parts if len(parts) > 1 and _looks_like_token(part))


def _of_address(text: str, *, is_hook: bool) -> Iterator[str]:
    try:
        parts = urlsplit(text)
    except ValueError:  # brackets that do not close
        return
    user = parts.netloc.rpartition("@")[0]
    yield from (user, user.partition(":")[2])
    asked = f"?{parts.query}" if parts.query else ""
    if is_hook:
        yield parts.path + asked
    pieces = [*parts.path.split("/"), *(value for _, value in parse_qsl(parts.query))]
    yield from (piece for piece in pieces if _looks_like_token(piece))


def _of_key_file(path: str) -> tuple[str, ...]:
    if not path:
        return ()
    try:
        status = Path(path).stat()
        is_readable = stat.S_ISREG(status.st_mode) and status.st_size <= _LARGEST_KEY_FILE  # a pipe would be waited for
        return _read_key_file(path, status.st_mtime_ns, status.st_size) if is_readable else ()
    except (OSError, ValueError):  # reported by the code that needs the file
        return ()


@lru_cache(maxsize=16)
def _read_key_file(path: str, changed: int, size: int) -> tuple[str, ...]:
    text = Path(path).read_text(encoding="utf-8")
    return tuple(_of_json(text)) if text.lstrip().startswith("{") else (text.strip(),)


def _of_json(text: str) -> Iterator[str]:
    try:
        yield from _of_fields(json.loads(text))
    except (ValueError, RecursionError):
        yield text


def _of_fields(tree: Any) -> Iterator[str]:
    for name, held in tree.items() if isinstance(tree, Mapping) else ():
        if isinstance(held, Mapping):
            yield from _of_fields(held)
        elif isinstance(held, str) and is_secret(str(name)):
            yield held
