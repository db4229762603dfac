"""Symbols in the names of files, and what a file says of itself compared with what was asked for."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import Final

_DOLLARS: Final = ("FDUSD", "USDT", "USDC", "BUSD", "TUSD", "USD")
_CURRENCIES: Final = (
    "EUR", "GBP", "JPY", "CHF", "CAD", "AUD", "NZD", "SEK", "NOK", "PLN", "TRY", "BRL", "KRW", "MXN", "ZAR", "SGD", "HKD", "INR",
)  # fmt: skip
_COIN_QUOTES: Final = ("BTC", "XBT", "ETH", "BNB")
# Whichever stands further left is the quote of the others: BTC/USDT and ETH/BTC are markets, BTC/ETH is none.
_QUOTES: Final = (*_DOLLARS, *_CURRENCIES, *_COIN_QUOTES)
_KNOWN: Final = frozenset((
    "BTC", "XBT", "ETH", "XRP", "LTC", "BCH", "BNB", "ADA", "SOL", "DOT", "DOGE", "XDG", "SHIB", "PEPE", "AVAX", "MATIC", "POL",
    "LINK", "UNI", "ATOM", "XLM", "TRX", "ETC", "FIL", "EOS", "XTZ", "ALGO", "ICP", "NEAR", "APT", "ARB", "OP", "SUI", "SEI", "INJ",
    "TIA", "TON", "HBAR", "VET", "AAVE", "MKR", "SNX", "CRV", "COMP", "YFI", "SUSHI", "GRT", "SAND", "MANA", "AXS", "ENJ", "CHZ",
    "BAT", "ZRX", "KSM", "DASH", "ZEC", "XMR", "NEO", "IOTA", "QTUM", "WAVES", "RUNE", "FTM", "LUNA", "LUNC", "FET", "RNDR", "IMX",
    "LDO", "STX", "FLOW", "GALA", "ORDI", "WIF", "BONK", "FLOKI", "JUP", "PYTH", "WLD", "ENA", "ONDO", "TAO", "KAS", "DAI", "USDC",
    "USDT", "PAXG", "WBTC", "STETH", "XEM", "OMG", "DYDX", "GMX", "PENDLE", "JTO", "BLUR", "APE", "ROSE", "ZIL", "ONE", "CELO",
    "KAVA", "EGLD", "THETA", "HNT", "AR", "RVN", "SC", "DCR", "DGB", "LSK", "ICX", "ONT", "BTT", "HOT", "ANKR", "STORJ", "OCEAN",
    "SKL", "CAKE", "EUR", "GBP", "AUD", "NZD", "USD", "CAD", "CHF", "XAU", "XAG", "XPT", "XPD",
))  # fmt: skip
_MINUTES: Final = re.compile(r"(?<=[A-Z])(1|5|15|30|60|240|1440|10080)$")  # MetaTrader: EURUSD60
_SURE_JOINED: Final = ("FDUSD", "USDT", "USDC", "BUSD")  # no word ends in these
_ALIASES: Final = {"XBT": "BTC", "XDG": "DOGE", "XXBT": "BTC", "XETH": "ETH", "ZUSD": "USD", "ZEUR": "EUR"}


def symbol_of_file(name: str) -> str:
    """`BTC/USDT` for `binance_spot_BTCUSDT_1h.csv.gz`, `BTC_USDT-1h.feather` or `btc-usdt.csv`; the bare name where no pair is sure.

    A pair is sure where its base is a well-known asset or its letters leave no other reading, and where the name holds one pair only.

    Args:
        name: of the file, without its folder.
    """
    bare = name.split(".")[0]
    pairs = pairs_of_name(name)
    return pairs[0] if len(pairs) == 1 else bare


def pairs_of_name(name: str) -> list[str]:
    """The pairs that a file's name holds, each once."""
    parts = [part for part in re.split(r"[_\-\s,()+]+", name.split(".")[0]) if part]
    beside = [f"{base.upper()}/{quote.upper()}" for base, quote in itertools.pairwise(parts) if _is_pair(base.upper(), quote.upper())]
    joined = [pair for part in parts if (pair := _joined(part))]
    return list(dict.fromkeys([*beside, *joined]))


def _is_pair(base: str, quote: str) -> bool:
    return base != quote and quote in _QUOTES and _is_known(base) and not (base in _QUOTES and _rank(base) <= _rank(quote))


def _rank(quote: str) -> int:
    """0 for dollars, 1 for other money, then each coin of its own."""
    if quote in _DOLLARS:
        return 0
    return 1 if quote in _CURRENCIES else 2 + _COIN_QUOTES.index(quote)


def _is_known(base: str) -> bool:
    return base in _KNOWN or re.sub(r"^10+", "", base) in _KNOWN


def _joined(part: str) -> str:
    letters = _MINUTES.sub("", part.upper())
    splits = [(letters[: -len(quote)], quote) for quote in _QUOTES if letters.endswith(quote) and len(letters) > len(quote) + 1]
    known = [(base, quote) for base, quote in splits if _is_known(base) and (_is_pair(base, quote) or _is_money(base, quote))]
    if len(known) == 1:
        return "/".join(known[0])
    if known or not part.isupper():
        return ""
    sure = [(base, quote) for base, quote in splits if quote in _SURE_JOINED and re.fullmatch(r"[A-Z0-9]{2,10}", base)]
    return "/".join(sure[0]) if len(sure) == 1 or (sure and sure[0][1] == "FDUSD") else ""


def _is_money(base: str, quote: str) -> bool:
    """A pair of currencies: which is the base follows from where it stands."""
    money = ("USD", *_CURRENCIES)
    return base != quote and base in money and quote in money


def parts_of(symbol: str) -> tuple[str, str]:
    """Base and quote of `BTC/USDT` or `BTC/USDT:USDT`, in usual letters; no quote for the name of a share."""
    base, _, quote = symbol.upper().partition("/")
    return usual(base), usual(quote.partition(":")[0])


def usual(asset: str) -> str:
    """The usual letters of an asset: BTC for XBT."""
    return _ALIASES.get(asset.upper(), asset.upper())


def is_money(asset: str) -> bool:
    """Whether an asset is a currency or stands for a dollar."""
    return asset.upper() in (*_DOLLARS, *_CURRENCIES, "DAI", "CNY", "RUB", "ZUSD", "ZEUR")


def is_asset(asset: str) -> bool:
    """Whether these letters are a well-known asset."""
    return asset.upper() in _KNOWN or is_money(asset)


def same_market(named: str, symbol: str) -> bool:
    """Whether what a file calls its market may be `symbol`: in another notation, with a venue before it, or by its base alone."""
    base, quote = parts_of(symbol)
    letters = re.sub(r"^[A-Z]+:(?=[A-Z])", "", named.strip().upper())
    letters = re.sub(r"([/\-_.]?(PERP|SWAP|SPOT|US|O|N))$", "", letters.partition(":")[0]) or letters
    bare = re.sub(r"[^A-Z0-9]", "", letters)
    assets = [usual(part) for part in re.split(r"[^A-Z0-9]+", letters) if part]
    wanted = re.sub(r"[^A-Z0-9]", "", base) + quote
    spellings = {wanted, *(f"{old}{quote}" for old, new in _ALIASES.items() if new == base), *(f"X{wanted}", f"T{wanted}", f"C{wanted}")}
    spellings |= {f"{one}{two}" for one in _spelt(base) for two in _spelt(quote)}
    if quote and len(assets) == 2 and assets == [quote, base]:
        return True  # Upbit and Bittrex write the quote first, which no base in this place is taken for
    return bare in spellings or "".join(assets) == wanted or bool(quote and usual(bare) == base) or not letters


def _spelt(asset: str) -> set[str]:
    return {asset, *(old for old, new in _ALIASES.items() if new == asset)}


@dataclass(frozen=True)
class Market:
    """The market whose candles are wanted. `named` is false where only the file's name says which: then any single market will do."""

    symbol: str
    named: bool = True

    @classmethod
    def of(cls, symbol: str, file_name: str) -> Market:
        """The market `symbol` of a file; a symbol that is the bare name of the file was named by nobody."""
        return cls(symbol, named="/" in symbol or symbol != file_name.split(".")[0])

    def fits(self, name: str) -> bool:
        """Whether a file that calls its market `name` may be of this one."""
        return not self.named or same_market(name, self.symbol)
