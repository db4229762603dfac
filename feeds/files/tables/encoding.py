"""The encoding of a text file."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import Final

from forwardtrader.core.errors import CandleFileInvalid

_MARKS: Final = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_SAMPLE: Final = 4096
_PRINTED: Final = re.compile(rb"[\t\n\r -~]")
_LEAST_PLAIN: Final = 0.8  # a table of numbers is nearly all ASCII, whatever language its header is in
_PAGE: Final = re.compile(r"<!doctype|<html|<\?xml|<body|<head", re.IGNORECASE)


def decoded(data: bytes, path: Path) -> tuple[str, tuple[str, ...]]:
    """The text, and a note where its encoding is not UTF-8.

    UTF-16 is known by its mark or by its zeros. What is neither is read as Windows-1252 if nearly all of it is ASCII: then only a header
    can have other letters.

    Raises:
        CandleFileInvalid: it is no text, or a web page.
    """
    name = _encoding(data)
    try:
        text = data.decode(name)
    except UnicodeDecodeError as error:
        text = _western(data, path, error)
        name = "cp1252"
    if "\x00" in text[:_SAMPLE]:
        raise _no_text(path)
    if _PAGE.match(text.lstrip()[:100]):
        raise CandleFileInvalid(f"{path}: a web page and no table; download the file itself")
    return text.lstrip("\ufeff"), () if name.startswith("utf-8") else (f"read as {name.removesuffix('-le').removesuffix('-be').upper()}",)


def _encoding(data: bytes) -> str:
    for mark, name in _MARKS:
        if data.startswith(mark):
            return name
    odd, even = data[1:_SAMPLE:2].count(0), data[0:_SAMPLE:2].count(0)
    half = min(len(data), _SAMPLE) / 2
    if odd > 0.8 * half:
        return "utf-16-le"
    return "utf-16-be" if even > 0.8 * half else "utf-8"


def _western(data: bytes, path: Path, error: UnicodeDecodeError) -> str:
    if len(_PRINTED.findall(data)) < _LEAST_PLAIN * len(data):
        raise _no_text(path) from error
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        raise _no_text(path) from error


def _no_text(path: Path) -> CandleFileInvalid:
    return CandleFileInvalid(f"{path}: not a text file in UTF-8 or UTF-16; convert it, or use .parquet or .feather")
