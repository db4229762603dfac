"""Secrets struck out of text: by value where it is known, by the name in front of them where it is not."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, quote_plus

from forwardtrader.core.credentials import secret_values

STRUCK: Final = "***"
_SHORTEST: Final = 4  # a shorter value cannot be distinguished from other text
_SHORTEST_NUMBER: Final = 6  # nor a shorter number from a year or a count
_ANYWHERE: Final = 8  # from here on also inside of words
# Values that are words of every log: struck out, they would leave nothing to read, and hide nothing.
_WORDS: Final = frozenset({
    "true", "false", "none", "null", "default", "test", "demo", "live", "paper", "sandbox", "practice", "debug", "info", "warning", "error",
    "critical", "event", "level", "room", "facts", "localhost", "binance", "bybit", "kraken", "coinbase", "usdt",
})  # fmt: skip
_NAME: Final = (
    r"(?:signature|(?<![A-Za-z])sign?|(?:api|access|private)[-_]?key(?:[-_]?id)?|secret(?:[-_]?key)?|passphrase|password|passwd|token"
    r"|listenkey|chat_?id|(?<![A-Za-z])jwt|authorization|(?<![A-Za-z])credential)"
)
# To the quote that ends it where there are quotes, escaped ones too; otherwise to where a parameter, a header or a field ends.
_VALUE: Final = r"(?:b?(?P<quote>\\*[\"'])(?:(?!(?P=quote)).)+|(?:(?:bearer|basic)\s+)?[^&\s\"'\\,}]+)"
_BETWEEN: Final = r"(?:\\*[\"']?\s*[=:]\s*|\\*[\"']\s*,\s*(?=b?\\*[\"']))"  # a comma where name and value are a quoted pair
_NAMED: Final = re.compile(
    rf"(?is)(?P<name>{_NAME}{_BETWEEN}){_VALUE}|(?P<bot>\bbot)\d+:[\w-]+|(?P<scheme>\b[a-z][a-z0-9+.-]{{0,19}}://)[^/\s@\"']+(?=@)"
)
_FULL_NAME: Final = re.compile(rf"(?i){_NAME}$")


def redact(text: str) -> str:
    """Strike out every secret that `core.credentials` knows, signatures, keys and tokens behind their names, and the user of a URL."""
    return _without(text, _pattern(frozenset(secret_values())))


def redacted(value: Any, *, numbers: bool = True) -> Any:
    """The same mapping, list or value as plain values with secrets struck out of every text in it, before any of it is escaped.

    Args:
        numbers: whether a number that is one, such as a chat id, is struck out too, which makes a text of it.
    """
    return _tree_without(value, _pattern(frozenset(secret_values())), numbers)


def _without(text: str, values: re.Pattern[str] | None) -> str:
    return _NAMED.sub(_struck, text if values is None else values.sub(STRUCK, text))


def _tree_without(value: Any, values: re.Pattern[str] | None, numbers: bool) -> Any:
    if isinstance(value, str):
        return _without(value, values)
    if isinstance(value, bytes | bytearray):
        return _without(value.decode(errors="replace"), values)
    if isinstance(value, Mapping):
        return {
            _tree_without(name, values, numbers): STRUCK if _hides(name, held) else _tree_without(held, values, numbers)
            for name, held in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_tree_without(held, values, numbers) for held in value]
    if value is not None and not isinstance(value, bool | int | float):
        return _without(str(value), values)  # whoever makes a text of it later, strikes nothing out
    is_number = numbers and isinstance(value, int) and not isinstance(value, bool)
    return STRUCK if is_number and values is not None and values.fullmatch(str(value)) else value


def _struck(found: re.Match[str]) -> str:
    return f"{found['name'] or found['bot'] or found['scheme']}{found['quote'] or ''}{STRUCK}"


def _hides(name: object, held: object) -> bool:
    return isinstance(name, str) and isinstance(held, str | bytes) and bool(held) and _FULL_NAME.search(name) is not None


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
