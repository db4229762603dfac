"""Secrets struck out of text: by value where it is known, by the name in front of them or by their form where it is not."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, quote_plus

from forwardtrader.core.credentials import secret_values

STRUCK: Final = "***"
_SHORTEST: Final = 4  # a shorter value cannot be distinguished from other text
_SHORTEST_NUMBER: Final = 6  # nor a shorter number from a year or a count
_ANYWHERE: Final = 8  # from here on also inside of words
_REPEATED: Final = 64  # characters: names and words of a tree, which come again and again
_URL_SAFE: Final = str.maketrans("+/", "-_")
# Values that are words of every log: struck out, they would leave nothing to read, and hide nothing.
_WORDS: Final = frozenset({
    "true", "false", "none", "null", "default", "test", "demo", "live", "paper", "sandbox", "practice", "debug", "info", "warning", "error",
    "critical", "event", "level", "room", "facts", "localhost", "binance", "bybit", "kraken", "coinbase", "usdt",
})  # fmt: skip
_NAME: Final = (
    r"(?:signature|(?<![A-Za-z])sign?|(?:api|access|private)[-_]?key(?:[-_]?id)?|secret(?:[-_]?key)?|passphrase|password|passwd|token"
    r"|passcode|listenkey|chat_?id|(?:heartbeat|webhook)_?url|(?<![A-Za-z])jwt|authorization|(?<![A-Za-z])credential)"
)
# To the quote that ends it where there are quotes, escaped ones too; otherwise to where a parameter, a header or a field ends.
_VALUE: Final = r"(?:b?(?P<quote>\\*[\"'])(?:(?!(?P=quote)).)+|(?:(?:bearer|basic)\s+)?[^&\s\"'\\,}]+)"
_BETWEEN: Final = r"(?:\\*[\"']?\s*[=:]\s*|\\*[\"']\s*,\s*(?=b?\\*[\"']))"  # a comma where name and value are a quoted pair
_NAMED: Final = re.compile(
    rf"(?is)(?P<name>{_NAME}{_BETWEEN}){_VALUE}|(?P<bot>\bbot)\d+:[\w-]+|(?P<scheme>\b[a-z][a-z0-9+.-]{{0,19}}://)[^/\s\"']+(?=@)"
)
_FULL_NAME: Final = re.compile(rf"(?i)(?:{_NAME}(?:_pem)?s?|cookies?)$")
_NUMBER_NAME: Final = re.compile(r"(?i)(?:secret|passphrase|password|passwd|passcode)$")  # of a number: a token may be a count
# What is a secret by its form, by what such text has in it, so that most texts are not searched.
_FORMS: Final = (
    ("eyJ", re.compile(r"()\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+")),
    ("PRIVATE KEY-----", re.compile(r"(?s)(-----BEGIN [A-Z ]*PRIVATE KEY-----).+?(?=-----END|$)")),
    (":", re.compile(r"()(?<![\w:])\d{6,12}:[\w-]{30,}")),  # a Telegram bot's
    ("ookie", re.compile(r"(?i)((?<![a-z])(?:set-)?cookie\\*[\"']?\s*[:=,]\s*b?\\*[\"']?)[^\"'\\\r\n]+")),
    ("=", re.compile(r"(?i)(?<=[?&])((?:key|auth|sid|session(?:id)?|code|pass|pwd)=)[^&#\s\"'\\]+")),
    ("--", re.compile(r"(?i)(--[\w-]*(?:password|passphrase|secret|token|api-?key)[ =])[^\s\"'\\-][^\s\"'\\]*")),
)


def redact(text: str) -> str:
    """Strike out every secret that `core.credentials` knows, signatures, keys and tokens behind their names, and the user of a URL."""
    return _without(text, _known())


def redact_values(text: str) -> str:
    """Strike out the secrets that `core.credentials` knows alone: for long texts of numbers, in which nothing has a name."""
    return _without_values(text, _known())


def redacted(value: Any, *, numbers: bool = True) -> Any:
    """The same mapping, list or value as plain values with secrets struck out of every text in it, before any of it is escaped.

    Args:
        numbers: whether a number that is one, such as a chat id, is struck out too, which makes a text of it.
    """
    return _tree_without(value, _known(), numbers)


@dataclass(frozen=True, eq=False)
class _Known:
    """All forms of all secrets, the longest first; the same object as long as the secrets are the same."""

    forms: Mapping[str, None]


def _known() -> _Known:
    return _known_of(frozenset(secret_values()))


@lru_cache(maxsize=8)
def _known_of(values: frozenset[str]) -> _Known:
    forms = {form for value in values for form in _forms(value) if _can_be_told(form)}
    return _Known(dict.fromkeys(sorted(forms, key=lambda form: (-len(form), form))))


def _without(text: str, known: _Known) -> str:
    return _short_without(text, known) if len(text) <= _REPEATED else _searched(text, known)


@lru_cache(maxsize=4096)
def _short_without(text: str, known: _Known) -> str:
    return _searched(text, known)


def _searched(text: str, known: _Known) -> str:
    text = _NAMED.sub(_struck, _without_values(text, known))
    for sign, pattern in _FORMS:
        if sign in text:
            text = pattern.sub(rf"\1{STRUCK}", text)
    return text


def _without_values(text: str, known: _Known) -> str:
    found = tuple(form for form in known.forms if form in text)
    return _pattern(found).sub(STRUCK, text) if found else text


def _tree_without(value: Any, known: _Known, numbers: bool) -> Any:
    if isinstance(value, str):
        return _without(value, known)
    if isinstance(value, bytes | bytearray):
        return _without(value.decode(errors="replace"), known)
    if isinstance(value, Mapping):
        return {
            _tree_without(name, known, numbers): STRUCK if _hides(name, held) else _tree_without(held, known, numbers)
            for name, held in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        if isinstance(value, list | tuple) and len(value) == 2 and isinstance(value[1], str) and _hides(*value):  # a header
            return [_tree_without(value[0], known, numbers), STRUCK]
        return [_tree_without(held, known, numbers) for held in value]
    if value is not None and not isinstance(value, bool | int | float):
        return _without(str(value), known)  # whoever makes a text of it later, strikes nothing out
    return STRUCK if numbers and isinstance(value, int) and not isinstance(value, bool) and str(value) in known.forms else value


def _struck(found: re.Match[str]) -> str:
    return f"{found['name'] or found['bot'] or found['scheme']}{found['quote'] or ''}{STRUCK}"


def _hides(name: object, held: object) -> bool:
    """Whether a value is a secret by its name: a text, a list of them, or a number where nothing but a secret is called so."""
    if not isinstance(name, str | bytes) or not held or isinstance(held, bool):
        return False
    text = name.decode(errors="replace") if isinstance(name, bytes) else name
    if isinstance(held, int):
        return _NUMBER_NAME.search(text) is not None
    texts = held if isinstance(held, list | tuple | set | frozenset) else [held]
    return all(isinstance(each, str | bytes) for each in texts) and _FULL_NAME.search(text) is not None


@lru_cache(maxsize=64)
def _pattern(forms: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(_bounded, forms)))


def _can_be_told(form: str) -> bool:
    shortest = _SHORTEST_NUMBER if form.lstrip("-").isdigit() else _SHORTEST
    return len(form) >= shortest and form.lower() not in _WORDS


def _bounded(form: str) -> str:
    """A number is no part of a longer number, a short value no part of a word."""
    if form.lstrip("-").isdigit():
        return rf"(?<![\d.]){re.escape(form)}(?!\.?\d)"
    return re.escape(form) if len(form) >= _ANYWHERE else rf"(?<!\w){re.escape(form)}(?!\w)"


def _forms(value: str) -> set[str]:
    """A value as it stands in text, in JSON, in JSON within JSON, in URLs, pages and headers; of one with several lines also each line."""
    plain = {value, value.strip(), value.replace("\\n", "\n"), value.lstrip("-")}
    plain |= {" ".join(text.split()) for text in plain}
    plain |= {line.strip() for text in plain for line in text.splitlines() if not line.startswith("-----")}
    escaped = _each(_in_json, plain)
    escaped |= _each(_in_json, escaped)
    encoded = {form for text in (value, value.strip()) for form in _in_bytes(_as_bytes(text))}
    return plain | escaped | _each(_in_addresses, plain) | _each(_in_pages, plain) | encoded


def _each(ways: Callable[[str], Iterable[str]], texts: Iterable[str]) -> set[str]:
    return {form for text in texts for form in ways(text)}


def _in_json(text: str) -> Iterator[str]:
    """As Python writes it; as others do, who escape slashes, or what a page would take for markup."""
    for escaped in (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]):
        yield from (escaped, escaped.replace("/", "\\/"))
        yield re.sub("[<>&']", lambda found: f"\\u{ord(found[0]):04x}", escaped)
    yield repr(text)[1:-1]
    yield repr(_as_bytes(text))[2:-1]


def _in_addresses(text: str) -> Iterator[str]:
    for once in (_quoted(text), _quoted(text, safe=""), quote_plus(_as_bytes(text))):
        yield from (once, re.sub("%..", lambda found: found[0].lower(), once), _quoted(once, safe=""))


def _quoted(text: str, safe: str = "/") -> str:
    return quote(_as_bytes(text), safe=safe)


def _as_bytes(text: str) -> bytes:
    try:
        return text.encode(errors="surrogateescape")  # what the environment holds need be no text
    except UnicodeEncodeError:
        return text.encode(errors="surrogatepass")


def _in_pages(text: str) -> Iterator[str]:
    """Quotes have several names there."""
    page = html.escape(text)
    yield from (page, page.replace("&#x27;", "&#39;"), page.replace("&#x27;", "&#39;").replace("&quot;", "&#34;"))
    yield from (html.escape(text, quote=False), page.replace("&#x27;", "&apos;"))


def _in_bytes(text: bytes) -> Iterator[str]:
    """Hexadecimal, and base64 wherever it begins in what is encoded, such as after the user's name in a header."""
    yield from (text.hex(), text.hex().upper())
    for before in range(3):
        whole = before + len(text)
        coded = base64.b64encode(bytes(before) + text).decode().rstrip("=")
        own = coded[(0, 2, 3)[before] : len(coded) - (whole % 3 != 0)]  # the characters that nothing beside it has a part in
        if len(own) >= _ANYWHERE:
            yield from (own, own.translate(_URL_SAFE))
