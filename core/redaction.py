"""Secrets struck out of text: by value where it is known, by the name in front of them where it is not."""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, quote_plus

from forwardtrader.core.environment import environment
from forwardtrader.core.errors import ConfigError

STRUCK: Final = "***"
# Variables, and fields of a key file, whose value is a secret; those that say where something lies are not.
_SECRET: Final = re.compile(
    r"(?i)SECRET|PASSWORD|PASSPHRASE|CREDENTIAL|MNEMONIC|(?:TOKEN|KEY|PASS|PASSWD|PRIVATE|AUTH|SIGNATURE|CHAT_?ID)(?=[_\d]|$)"
)
_PLACE: Final = re.compile(r"(?i)_(?:PATH|FILE|DIR|HOST|URL|URI|SOCK)$")
_KEY_FILES: Final = ("FIREBASE_CREDENTIALS_PATH", "GOOGLE_APPLICATION_CREDENTIALS")
_SHORTEST: Final = 4  # a shorter value cannot be distinguished from other text
_SHORTEST_NUMBER: Final = 6  # nor a shorter number from a year or a count
_ANYWHERE: Final = 8  # from here on also inside of words
_WORDS: Final = frozenset({"true", "false", "none", "null"})
_NAME: Final = (
    r"(?:signature|(?<![A-Za-z])sign|(?:api|access|private)[-_]?key|secret(?:[-_]?key)?|passphrase|password|passwd|token|listenkey|chat_?id"
    r"|authorization)"
)
# To the quote that ends it where there are quotes, escaped ones too; otherwise to where a parameter, a header or a field ends.
_VALUE: Final = r"(?:b?(?P<quote>\\*[\"'])(?:(?!(?P=quote)).)+|(?:(?:bearer|basic)\s+)?[^&\s\"'\\,}]+)"
_NAMED: Final = re.compile(
    rf"(?is)(?P<name>{_NAME}\\*[\"']?\s*[=:]\s*){_VALUE}|(?P<bot>\bbot)\d+:[\w-]+|(?P<scheme>\b[a-z][a-z0-9+.-]{{0,19}}://)[^/\s@\"']+(?=@)"
)
_FULL_NAME: Final = re.compile(rf"(?i){_NAME}$")
_USER_INFO: Final = re.compile(r"://([^/\s@]+)@")


def redact(text: str) -> str:
    """Strike out every secret of the environment and `.env`, signatures, keys and tokens behind their names, and the user of a URL."""
    return _without(text, _pattern(frozenset(_values())))


def redacted(value: Any) -> Any:
    """The same mapping, list or value with secrets struck out of every text in it."""
    return _tree_without(value, _pattern(frozenset(_values())))


def _without(text: str, values: re.Pattern[str] | None) -> str:
    return _NAMED.sub(_struck, text if values is None else values.sub(STRUCK, text))


def _tree_without(value: Any, values: re.Pattern[str] | None) -> Any:
    if isinstance(value, str):
        return _without(value, values)
    if isinstance(value, Mapping):
        return {name: STRUCK if _hides(name, held) else _tree_without(held, values) for name, held in value.items()}
    if isinstance(value, list | tuple):
        return [_tree_without(held, values) for held in value]
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return STRUCK if is_number and values is not None and values.fullmatch(str(value)) else value


def _struck(found: re.Match[str]) -> str:
    return f"{found['name'] or found['bot'] or found['scheme']}{found['quote'] or ''}{STRUCK}"


def _hides(name: object, held: object) -> bool:
    return isinstance(name, str) and isinstance(held, str | bytes) and bool(held) and _FULL_NAME.search(name) is not None


def _values() -> Iterator[str]:
    try:
        known = environment()
    except ConfigError:  # reported where the command starts; the variables of the process are redacted anyway
        known = dict(os.environ)
    for name, value in known.items():
        if _is_secret(name):
            yield value
        if "://" in value and (user := _USER_INFO.search(value)):
            yield from (user[1], user[1].partition(":")[2])
    for name in _KEY_FILES:
        if known.get(name):
            yield from _of_key_file(known[name])


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    return _SECRET.search(name) is not None and _PLACE.search(name) is None


def _of_key_file(path: str) -> tuple[str, ...]:
    try:
        status = Path(path).stat()
        return _read_key_file(path, status.st_mtime_ns, status.st_size)
    except OSError:
        return ()


@lru_cache(maxsize=4)
def _read_key_file(path: str, changed: int, size: int) -> tuple[str, ...]:
    try:
        fields = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError:  # reported by the code that needs the file
        return ()
    named = fields.items() if isinstance(fields, dict) else ()
    return tuple(value for name, value in named if isinstance(value, str) and _is_secret(name))


@lru_cache(maxsize=8)
def _pattern(values: frozenset[str]) -> re.Pattern[str] | None:
    """One expression for all values in all their forms, the longest first."""
    forms = {form for value in values for form in _forms(value) if _can_be_told(form)}
    if not forms:
        return None
    return re.compile("|".join(_bounded(form) for form in sorted(forms, key=len, reverse=True)))


def _can_be_told(form: str) -> bool:
    shortest = _SHORTEST_NUMBER if form.lstrip("-").isdigit() else _SHORTEST
    return len(form) >= shortest and form.lower() not in _WORDS


def _bounded(form: str) -> str:
    """A number is no part of a longer number, a short value no part of a word."""
    if form.lstrip("-").isdigit():
        return rf"(?<![\d.]){re.escape(form)}(?!\.?\d)"
    return re.escape(form) if len(form) >= _ANYWHERE else rf"(?<!\w){re.escape(form)}(?!\w)"


def _forms(value: str) -> set[str]:
    """A value as it stands in text, in JSON, in JSON within JSON, in URLs and pages; of one with several lines also each line."""
    plain = {value, value.strip(), value.replace("\\n", "\n"), value.lstrip("-")}
    plain |= {" ".join(text.split()) for text in plain}
    plain |= {line.strip() for text in plain for line in text.splitlines() if not line.startswith("-----")}
    escaped = _each(_in_json, plain)
    escaped |= _each(_in_json, escaped)
    return plain | escaped | _each(_in_addresses, plain)


def _each(ways: Callable[[str], tuple[str, ...]], texts: Iterable[str]) -> set[str]:
    return {form for text in texts for form in ways(text)}


def _in_json(text: str) -> tuple[str, ...]:
    return json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1]


def _in_addresses(text: str) -> tuple[str, ...]:
    return quote(text), quote(text, safe=""), quote_plus(text), html.escape(text)
