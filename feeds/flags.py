"""The flags of the commands that fill and show the candle store."""

from __future__ import annotations

from pathlib import Path

from forwardtrader.core.command.flags import FlagParser

DATE_FORMAT_HELP = "of dates in files: 'day first', 'month first' or a pattern like %%d.%%m.%%Y; needed only where a file leaves it open"
ZONE_HELP = "of times in files that state none, e.g. Europe/Berlin or +02:00"
STAMPED_HELP = "what the times in files are of their bars (default: the open, where a file does not show it)"


def download_parser() -> FlagParser:
    """The flags of `forwardtrader download`."""
    p = FlagParser(
        prog="forwardtrader download",
        description="Fetch candles from an exchange into the store, or record what it says from now on.",
        examples=(
            "forwardtrader download --symbol ETH/USDT --from 2020-01-01",
            "forwardtrader download --exchange kraken --timeframe 4h",
            "forwardtrader download --live BTC/USDT ETH/USDT",
        ),
    )
    p.add_argument("symbols", nargs="*", metavar="SYMBOL", help="default: the first of feeds.symbols; with --live all of them")
    p.add_argument(
        "--live", action="store_true", help="record candles, trades, book tops and factors with their times of arrival until stopped"
    )
    p.add_argument("--symbol", metavar="SYMBOL", help="the same as a symbol that is named alone")
    p.add_argument("--timeframe", metavar="1h", help="default: feeds.timeframe; with --live 1m")
    p.add_argument("--exchange", metavar="NAME", help="default: feeds.exchange, then feeds.fallback_exchanges")
    p.add_argument("--from", dest="start", metavar="DATE", help="first day (default: 2017-01-01, or as far back as the venue goes)")
    p.add_argument("--to", dest="end", metavar="DATE", help="last day (default: now)")
    p.add_argument("--config", type=Path, metavar="FILE", help="settings file (default: config.yaml)")
    p.add_argument("--set", dest="assignments", action="append", default=[], metavar="room.key=value", help="any one setting")
    return p


def import_parser() -> FlagParser:
    """The flags of `forwardtrader import`."""
    p = FlagParser(
        prog="forwardtrader import",
        description="Put candles from a file into the store, or the funding or mark price of a perpetual.",
        examples=(
            "forwardtrader import BTCUSDT-1h.csv --symbol BTC/USDT --timeframe 1h",
            "forwardtrader import BTC_USDT_USDT-8h-funding_rate.feather --symbol BTC/USDT:USDT --kind funding",
        ),
    )
    p.add_argument("file", type=Path, metavar="FILE")
    p.add_argument("--symbol", metavar="SYMBOL", help="default: the first of feeds.symbols")
    p.add_argument("--timeframe", metavar="1h", help="default: feeds.timeframe")
    p.add_argument("--exchange", metavar="NAME", help="the venue whose candles these are (default: feeds.exchange)")
    p.add_argument("--kind", choices=("candles", "mark", "funding"), default="candles", help="what the file holds (default: candles)")
    p.add_argument("--path", type=Path, metavar="DIR", help="folder of the store (default: feeds.store_path)")
    p.add_argument("--date-format", metavar="FORM", help=f"{DATE_FORMAT_HELP} (default: feeds.date_format)")
    p.add_argument("--tz", metavar="ZONE", help=f"{ZONE_HELP} (default: feeds.file_zone)")
    p.add_argument("--stamped", choices=("open", "end"), help=STAMPED_HELP)
    return p


def candles_parser() -> FlagParser:
    """The flags of `forwardtrader candles`."""
    p = FlagParser(
        prog="forwardtrader candles",
        description="What the candle store holds.",
        examples=("forwardtrader candles list", "forwardtrader candles check"),
    )
    p.add_argument("verb", choices=("list", "check"), help="show what is stored, or verify every file")
    p.add_argument("--path", type=Path, metavar="DIR", help="folder of the store (default: feeds.store_path)")
    return p
