"""The flags of `run_backtest.py`."""

from __future__ import annotations

from pathlib import Path

from forwardtrader.core.command.flags import FlagParser
from forwardtrader.feeds.flags import DATE_FORMAT_HELP, STAMPED_HELP, ZONE_HELP


def parser() -> FlagParser:
    """All flags with their help."""
    p = FlagParser(
        prog="run_backtest.py",
        description="Train a forecaster walk-forward, trade its forecasts through Backtrader, and write a report one can trust.",
        examples=(
            "python run_backtest.py --from 2022-01-01",
            "python run_backtest.py --from 2022-01-01 --symbol ETH/USDT --timeframe 4h",
            "python run_backtest.py --data BTC/USDT=candles.csv --strategy my_strategy.py:MyStrategy",
            "python run_backtest.py --from 2022-01-01 --forecaster my_model.py:Ridge --set models.params.penalty=3",
            "python run_backtest.py --from 2022-01-01 --audit",
        ),
        closing="exit codes: 0 done, 1 a bug, 2 a mistake in the command or its data, 3 data unavailable, 130 interrupted",
    )
    _add_what_to_trade(p)
    account = p.add_argument_group("account and costs")
    account.add_argument("--cash", metavar="AMOUNT", help="starting cash (default: 10000)")
    account.add_argument("--fee-bps", metavar="BPS", help="fee per side in basis points (default: 10)")
    account.add_argument("--slippage-bps", metavar="BPS", help="slippage per side in basis points (default: 2)")
    learning = p.add_argument_group("walk-forward")
    learning.add_argument("--train-window", metavar="SPAN", help="history each model learns from, e.g. 730d")
    learning.add_argument("--expanding", action="store_true", default=None, help="learn from all history before each boundary")
    learning.add_argument("--retrain-every", metavar="SPAN", help="time between boundaries, e.g. 28d")
    learning.add_argument("--seeds", metavar="N", help="members averaged in each model (default: 3)")
    learning.add_argument("--seed", metavar="N", help="of all randomness (default: 0)")
    learning.add_argument(
        "--forecaster", action="append", default=[], metavar="NAME|MODULE:CLASS",
        help="what forecasts: lstm (default), another that comes along, or your own; given again, others are scored beside the first",
    )  # fmt: skip
    learning.add_argument("--baselines", metavar="NAMES", help="all, none, or names separated by commas (default: all)")
    learning.add_argument(
        "--importance", nargs="?", const="permutation", default="", choices=["permutation", "refit"],
        help="what each feature adds, on the run page: by permuting it (for each feature and group as long as forecasting the run anew, "
        "three times over); with refit also by training every model anew without each group (for each group as long as the run's training)",
    )  # fmt: skip
    learning.add_argument("--no-cache", action="store_true", help="train every model anew")
    learning.add_argument("--jobs", metavar="N", help="folds trained at a time (default: one per core)")
    learning.add_argument("--cluster", metavar="tcp://HOST:PORT", help="train on a Dask cluster")
    modes = p.add_argument_group("instead of the plain run")
    modes.add_argument("--strategy", default="", metavar="MODULE:CLASS", help="any Backtrader strategy in place of ours")
    modes.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="a parameter of --strategy; repeatable")
    modes.add_argument("--sweep", type=Path, metavar="FILE", help="a grid or search space; every point is a counted trial")
    modes.add_argument("--optimise", type=Path, metavar="FILE", help="parameters chosen anew at each boundary, on the past alone")
    modes.add_argument("--audit", action="store_true", help="look-ahead proofs on this data, these features and this strategy")
    _add_output(p)
    return p


def check_parser() -> FlagParser:
    """The flags of `forwardtrader check-strategy`."""
    p = FlagParser(
        prog="forwardtrader check-strategy",
        description="Run a Backtrader strategy in ways that must not make a difference, and say which of them do.",
        examples=(
            "forwardtrader check-strategy my_strategy.py:MyStrategy --data BTC/USDT=candles.csv",
            "forwardtrader check-strategy my_strategy.py:Pair --data BTC/USDT=btc.csv --data ETH/USDT=eth.csv --param fast=20",
        ),
        closing="exit codes: 0 all passed, 2 a check failed or a mistake in the command, 3 too little to work on",
    )
    p.add_argument("strategy", metavar="MODULE:CLASS", help="the strategy, also FILE.py:CLASS")
    p.add_argument("--data", action="append", required=True, metavar="[SYMBOL=]FILE", help="candles; repeatable, one for each symbol")
    p.add_argument("--symbol", action="append", metavar="SYMBOL", help="what a file is of that names none")
    p.add_argument("--timeframe", metavar="1h", help="length of one bar (default: feeds.timeframe)")
    p.add_argument("--resample", action="append", default=[], metavar="4h", help="longer bars for the strategy, self.data1; repeatable")
    p.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the strategy; repeatable")
    p.add_argument("--date-format", metavar="FORM", help=DATE_FORMAT_HELP)
    p.add_argument("--tz", metavar="ZONE", help=ZONE_HELP)
    p.add_argument("--stamped", choices=("open", "end"), help=STAMPED_HELP)
    p.add_argument("--config", type=Path, metavar="FILE", help="settings file (default: config.yaml)")
    p.add_argument("--json", dest="as_json", action="store_true", help="print the checks for programs")
    return p


def _add_output(p: FlagParser) -> None:
    output = p.add_argument_group("settings and output")
    output.add_argument("--config", type=Path, metavar="FILE", help="settings file (default: config.yaml)")
    output.add_argument("--set", dest="assignments", action="append", default=[], metavar="room.key=value", help="any one setting")
    output.add_argument("--out", metavar="DIR", help="where run folders go (default: reports/output)")
    output.add_argument("--name", default="", metavar="TEXT", help="a name for the run")
    output.add_argument("--open", action="store_true", help="open the run page in a browser")
    output.add_argument("--json", action="store_true", help="print run.json instead of the summary")
    output.add_argument("--progress", type=Path, metavar="FILE", help="tell other programs there what is being done, as one JSON object")
    output.add_argument("--quiet", action="store_true", help="print nothing but errors")


def _add_what_to_trade(p: FlagParser) -> None:
    what = p.add_argument_group("what to trade")
    what.add_argument("--from", dest="first", metavar="DATE", help="first day traded; training data before it is found by itself")
    what.add_argument("--to", dest="last", metavar="DATE", help="last day traded (default: now)")
    what.add_argument("--symbol", action="append", metavar="SYMBOL", help="e.g. BTC/USDT; several share one account and one model")
    what.add_argument("--universe", metavar="FILE|top:N", help="members: a file symbol,from,to, or the N largest by volume each month")
    what.add_argument("--timeframe", metavar="1h", help="length of one bar")
    what.add_argument("--resample", action="append", metavar="4h", help="longer bars for the strategy, self.data1; repeatable (data2, ...)")
    what.add_argument("--exchange", metavar="NAME", help="whose candles and rules")
    what.add_argument("--data", action="append", default=[], metavar="[SYMBOL=]FILE", help="candles from a file instead of the store")
    what.add_argument("--funding", action="append", default=[], metavar="SYMBOL=FILE", help="funding rates of a perpetual; repeatable")
    what.add_argument("--mark", action="append", default=[], metavar="SYMBOL=FILE", help="mark price candles of a perpetual; repeatable")
    what.add_argument("--detail", metavar="1m", help="finer bars, by which resting orders, stops and liquidations go inside each bar")
    what.add_argument(
        "--detail-data", action="append", default=[], metavar="[SYMBOL=]FILE", help="those of --detail from a file; repeatable"
    )
    what.add_argument(
        "--confirm", action="append", metavar="VENUE", help="another venue that confirms the prices, e.g. kraken:USD; repeatable"
    )
    what.add_argument(
        "--confirm-data", action="append", default=[], metavar="[SYMBOL=]FILE", help="candles of such a venue from a file; repeatable"
    )
    what.add_argument("--detail-mark", action="append", default=[], metavar="SYMBOL=FILE", help="their mark prices from a file; repeatable")
    what.add_argument("--date-format", metavar="FORM", help=DATE_FORMAT_HELP)
    what.add_argument("--tz", metavar="ZONE", help=ZONE_HELP)
    what.add_argument("--stamped", choices=("open", "end"), help=STAMPED_HELP)
    what.add_argument(
        "--factor", action="append", default=[], metavar="[NAME=]FILE|KIND[,...]",
        help="facts from outside, used from when they became known: a file, with column=, known_after=1d, max_age=3d where they are not "
        "clear, or a kind that is fetched: funding, open_interest, taker_volume, fear_greed, ... (docs/factors.md)",
    )  # fmt: skip
    what.add_argument("--source", choices=["auto", "store", "download", "sample"], help="where candles come from (default: auto)")


def analyse_parser() -> FlagParser:
    """The flags of `forwardtrader analyse`."""
    p = FlagParser(
        prog="forwardtrader analyse",
        description="A page about the prices of a symbol: stationarity, dependence, seasons, volatility, regimes, and who leads whom.",
        examples=("forwardtrader analyse BTC/USDT", "forwardtrader analyse BTC/USDT ETH/USDT SOL/USDT --timeframe 4h --from 2022-01-01"),
    )
    p.add_argument("symbols", nargs="*", metavar="SYMBOL", help="the first is analysed, beside the others (default: that of feeds.symbols)")
    p.add_argument("--timeframe", metavar="1h", help="default: feeds.timeframe")
    p.add_argument("--exchange", metavar="NAME", help="default: feeds.exchange")
    p.add_argument("--data", metavar="FILE", help="candles of the first symbol from a file instead of the store")
    p.add_argument("--source", choices=["auto", "store", "download", "sample"], help="where candles come from (default: auto)")
    p.add_argument("--from", dest="start", metavar="DATE", help="first day (default: all there is)")
    p.add_argument("--to", dest="end", metavar="DATE", help="last day (default: now)")
    p.add_argument("--config", type=Path, metavar="FILE", help="settings file (default: config.yaml)")
    p.add_argument("--set", dest="assignments", action="append", default=[], metavar="room.key=value", help="any one setting")
    p.add_argument("--out", metavar="DIR", help="folder of the page (default: one below reports.output)")
    p.add_argument("--open", action="store_true", help="open the page in a browser")
    return p


def check_forecaster_parser() -> FlagParser:
    """The flags of `forwardtrader check-forecaster`."""
    p = FlagParser(
        prog="forwardtrader check-forecaster",
        description="Fit a forecaster to a short market and ask it in several ways that must not make a difference.",
        examples=(
            "forwardtrader check-forecaster mymodels.py:Ridge",
            "forwardtrader check-forecaster mymodels.py:Ridge --data candles.csv --timeframe 4h",
            "forwardtrader check-forecaster lightgbm --horizon 1 --horizon 4",
        ),
        closing="exit codes: 0 all passed, 2 a check failed or a mistake in the command, 3 too little to work on",
    )
    p.add_argument("forecaster", metavar="NAME", help="MODULE:CLASS or file.py:OBJECT, or one that comes along")
    p.add_argument("--data", metavar="FILE", help="candles to try it on (default: 70 days of the sample market)")
    p.add_argument("--symbol", default="BTC/USDT", help="what the candles are of (default: BTC/USDT)")
    p.add_argument("--timeframe", default="1h", help="their bar length (default: 1h)")
    p.add_argument("--horizon", metavar="BARS", type=int, action="append", help="bars ahead that are forecast (repeatable; default: 1)")
    p.add_argument("--feature", metavar="NAME", action="append", help="a feature, also FILE.py:NAME (repeatable; default: the catalogue)")
    p.add_argument("--json", dest="as_json", action="store_true", help="print the checks for programs")
    return p
