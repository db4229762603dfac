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
from urllib.parse import parse_qsl, unquote, urlsplit

from forwardtrader.core.environment import is_place, is_secret, names_secret, of_project
from forwardtrader.core.errors import ConfigError

_FILE: Final = re.compile(r"(?i)_(?:PATH|FILE)$|^GOOGLE_APPLICATION_CREDENTIALS$")
# Whoever knows such an address can send in its name, so that all of it behind the host is a secret.
_HOOK: Final = re.compile(r"(?i)HEARTBEAT|HOOK|PING")
_ADDRESS: Final = re.compile(r"(?i)[a-z][a-z0-9+.-]{0,19}://")
_LARGEST_KEY_FILE: Final = 64 * 1024
_TOKEN: Final = re.compile(r"(?=.*[A-Za-z])(?=.*\d)\S{12,}")
_LIST: Final = re.compile(r"[,;\s]+")
_USER: Final = re.compile(r"[^\s/@:]+:[^\s/@]+@[\w.\[]")  # an address without its scheme, as proxies may be given
# In a text of names and values, such as how to connect to a database.
_PAIR: Final = re.compile(
    r"(?i)(?:password|passwd|pwd|passphrase|secret|(?:access|api|account|private|auth|shared)[-_]?(?:access)?(?:key|token))\s*=\s*([^;&\s,\"']+)"
)
_VARIABLE: Final = re.compile(r"\$\{(\w+)\}")
_of_settings: set[str] = set()
_in_settings: set[str] = set()  # names of variables


def note_settings(tree: object, name: str = "") -> None:
    """Take for secrets from now on: what settings (or a setting of that name) hold in addresses and under names of secrets, and the
    variables that stand in them as `${NAME}`."""
    if isinstance(tree, Mapping):
        for inner, held in tree.items():
            note_settings(held, str(inner))
    elif isinstance(tree, list | tuple):
        for held in tree:
            note_settings(held, name)
    elif isinstance(tree, str):
        _of_settings.update(_with_parts(tree) if is_secret(name) else (), _of_value(tree, is_hook=_HOOK.search(name) is not None))
        _in_settings.update(_VARIABLE.findall(tree))


def secret_values() -> Iterator[str]:
    """Every secret of the process environment, of `.env`, of the key files that they name, and of settings; some values twice.

    In `.env` a value that looks like a token is a secret whatever it is called.
    """
    try:
        in_file = of_project()
    except ConfigError:  # reported where the command starts; the variables of the process are secrets anyway
        in_file = {}
    known = {**in_file, **os.environ}
    for name, value in known.items():
        yield from _of_variable(name, value, name in in_file)
        if name in _in_settings:
            yield from _with_parts(value)
        elif _names_key_file(name):
            yield from _of_key_file(value)
    yield from _of_settings


@lru_cache(maxsize=1024)
def _of_variable(name: str, value: str, is_in_file: bool) -> tuple[str, ...]:
    found = [*_with_parts(value)] if is_secret(name) else []
    found += _of_value(value, is_hook=_HOOK.search(name) is not None)
    if is_in_file and not _ADDRESS.match(value) and not is_place(name) and _looks_like_token(value):
        found.append(value)
    return tuple(found)


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


def _of_value(text: str, *, is_hook: bool) -> tuple[str, ...]:
    """What is a secret in a value, whatever it is called."""
    if _ADDRESS.match(text):
        return tuple(_of_address(text, is_hook=is_hook))
    return (*(_of_address(f"//{text}", is_hook=False) if _USER.match(text) else ()), *_PAIR.findall(text))


def _of_address(text: str, *, is_hook: bool) -> Iterator[str]:
    try:
        parts = urlsplit(text)
    except ValueError:  # brackets that do not close
        return
    user = parts.netloc.rpartition("@")[0]
    for given in (user, user.partition(":")[2]):
        yield from (given, unquote(given))  # as it stands there, and as it is used
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
