"""The flags of the practice exchange."""

from __future__ import annotations

from forwardtrader.core.command.flags import FlagParser


def sandbox_parser() -> FlagParser:
    """The flags of `python -m sandbox`."""
    parser = FlagParser(
        prog="python -m sandbox",
        description="A practice exchange on this machine: no keys, no network, no risk.",
        examples=("python -m sandbox", "python -m sandbox --protocol bybit --speed 60 --faults faults.yaml"),
    )
    parser.add_argument("--protocol", choices=("binance", "bybit"), help="whose API it speaks (binance)")
    parser.add_argument("--port", type=int, help="0 for any free one (0)")
    parser.add_argument("--symbol", dest="symbols", action="append", help="BASE/QUOTE, repeatable (BTC/USDT)")
    parser.add_argument("--market", action="append", help="sample, a candle file, or SYMBOL=FILE, repeatable (sample)")
    parser.add_argument("--timeframe", help="length of a bar (1m)")
    parser.add_argument("--speed", help="times real time, or lockstep: the next bar comes when asked for (1)")
    parser.add_argument("--history", type=int, help="bars that lie in the past at the start (500)")
    parser.add_argument("--bars", type=int, help="the market ends after so many bars (never)")
    parser.add_argument("--rebase", action="store_true", default=None, help="move a file's times so that its history ends now")
    parser.add_argument("--fills", choices=("bar", "book"), help="bar: as a backtest fills; book: spread, depth, partial fills (bar)")
    parser.add_argument("--fee-asset", help="received, quote, or a coin such as BNB (received)")
    parser.add_argument("--balance", action="append", help="ASSET=AMOUNT, repeatable (USDT=10000)")
    parser.add_argument("--limits", choices=("auto", "on", "off"), help="whether rate limits are enforced (auto: at real time)")
    parser.add_argument(
        "--withdrawals", choices=("no", "yes", "unanswered"), help="what it says when asked whether the key may withdraw (no)"
    )
    parser.add_argument("--faults", help="a file of fault switches, YAML or JSON")
    parser.add_argument("--state", help="a folder that keeps the exchange; started with it again, it goes on where it was (none)")
    parser.add_argument("--seed", type=int, help="of the sample market and of random faults (0)")
    parser.add_argument("--settings", help="any other settings as one JSON object")
    return parser
