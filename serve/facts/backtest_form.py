"""What may be asked of a backtest on a page: a few flags, each checked, and none that names a file or code of somebody's.

A page is no terminal: whoever may start a backtest on it may not thereby run code, or read files, on this machine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from forwardtrader.core.clock import Clock
from forwardtrader.core.errors import InvalidSetting
from forwardtrader.models.port.names import SHIPPED

FORECASTERS: Final = ("lstm", *sorted(SHIPPED))
TIMEFRAMES: Final = ("5m", "15m", "30m", "1h", "2h", "4h", "1d")
SOURCES: Final = ("auto", "store", "download", "sample")
_SPAN: Final = r"[1-9]\d{0,4}[dh]"
_AMOUNT: Final = r"\d{1,12}(\.\d{1,6})?"
_MOST_SYMBOLS: Final = 20
_SYMBOL: Final = re.compile(r"[A-Z0-9]{1,20}/[A-Z0-9]{1,20}(:[A-Z0-9]{1,20})?")


class Field(NamedTuple):
    """A field of the form: its flag, its label, the values it may have (a pattern, or a choice), and an example."""

    flag: str
    label: str
    pattern: str = ""
    choice: tuple[str, ...] = ()
    example: str = ""
    kind: str = "text"


FIELDS: Final[dict[str, Field]] = {
    "from": Field("--from", "First day traded", r"\d{4}-\d\d-\d\d", example="2022-01-01", kind="date"),
    "to": Field("--to", "Last day traded", r"\d{4}-\d\d-\d\d", example="now", kind="date"),
    "symbols": Field("--symbol", "Symbols", example="BTC/USDT, ETH/USDT"),
    "timeframe": Field("--timeframe", "Bars of", choice=TIMEFRAMES),
    "source": Field("--source", "Candles from", choice=SOURCES),
    "forecaster": Field("--forecaster", "Forecaster", choice=FORECASTERS),
    "cash": Field("--cash", "Starting cash", _AMOUNT, example="10000"),
    "fee": Field("--fee-bps", "Fee per side, bp", _AMOUNT, example="10"),
    "slippage": Field("--slippage-bps", "Slippage per side, bp", _AMOUNT, example="2"),
    "window": Field("--train-window", "Each model learns from", _SPAN, example="730d"),
    "retrain": Field("--retrain-every", "Retrained every", _SPAN, example="28d"),
    "seeds": Field("--seeds", "Networks in a model", r"[1-9]\d?", example="3"),
    "baselines": Field("--baselines", "Baselines", choice=("all", "none")),
    "name": Field("--name", "Name", r"\w[\w .,+-]{0,59}", example="what is its own"),
}


def words_of(given: Mapping[str, object], clock: Clock) -> list[str]:
    """The words of the command that a filled-in form stands for; an empty field is left to the settings.

    Raises:
        ConfigError: a field is not known, or its value cannot be; the message names it.
    """
    words = [word for name, value in given.items() for word in _words(name, value)]
    if not any(word.startswith("--from=") for word in words):
        raise InvalidSetting("First day traded: say from when on, such as 2022-01-01")
    from forwardtrader.backtest.command_line import read_request

    read_request(words, clock)  # as the command itself would refuse it
    return words


def _words(name: str, value: object) -> list[str]:
    field = FIELDS.get(name)
    if field is None or not isinstance(value, str):
        raise InvalidSetting(f"the form has no field {name[:40]!r} with such a value; open the page again")
    text = value.strip()
    if not text:
        return []
    if name == "symbols":
        return [f"{field.flag}={symbol}" for symbol in _symbols(text)]
    fits = text in field.choice if field.choice else re.fullmatch(field.pattern, text, re.ASCII) is not None
    if not fits:
        raise InvalidSetting(f"{field.label}: {text[:60]!r} cannot be; write it like {field.example or ', '.join(field.choice)}")
    return [f"{field.flag}={text}"]


def _symbols(text: str) -> list[str]:
    found = [part.upper() for part in re.split(r"[,\s]+", text) if part]
    wrong = next((symbol for symbol in found if not _SYMBOL.fullmatch(symbol)), "")
    if wrong or not 1 <= len(found) <= _MOST_SYMBOLS:
        raise InvalidSetting(f"Symbols: {wrong[:60]!r} is none; write them like BTC/USDT, ETH/USDT, {_MOST_SYMBOLS} at most")
    return found
