"""The words of the command line become a request, or one line that names the mend."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from forwardtrader.backtest.checks import check
from forwardtrader.backtest.cli import command
from forwardtrader.backtest.command_line import parser, read_request
from forwardtrader.core.clock import FixedClock
from forwardtrader.core.errors import ConfigError

CLOCK = FixedClock(datetime(2026, 11, 22, 15, 30, tzinfo=UTC))
INTERFACE = (
    *("--from", "--to", "--symbol", "--timeframe", "--exchange", "--data", "--source", "--config", "--set", "--cash", "--fee-bps"),
    *("--slippage-bps", "--train-window", "--expanding", "--retrain-every", "--seeds", "--seed", "--strategy", "--sweep", "--baselines"),
    *("--audit", "--jobs", "--cluster", "--out", "--name", "--open", "--json", "--quiet", "--no-cache"),
)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_flag_of_the_interface_is_there_and_has_help() -> None:
    helped = {flag: action.help for action in parser()._actions for flag in action.option_strings}
    assert set(INTERFACE) <= set(helped)
    assert all(helped[flag] for flag in INTERFACE)


def test_a_plain_command_trades_from_its_first_day_up_to_now() -> None:
    request = read_request(["--from", "2022-01-01"], CLOCK)
    assert (request.first, request.last) == (datetime(2022, 1, 1, tzinfo=UTC), CLOCK.at)
    assert request.settings.feeds.symbols == ("BTC/USDT",)
    assert request.command == "python run_backtest.py --from 2022-01-01"


def test_the_last_day_is_traded_whole() -> None:
    assert read_request(["--from", "2022-01-01", "--to", "2022-01-31"], CLOCK).last == datetime(2022, 2, 1, tzinfo=UTC)


def test_flags_reach_the_settings() -> None:
    words = "--symbol ETH/USDT --symbol BTC/USDT --cash 500 --fee-bps 1.5 --train-window 90d --retrain-every 7d --seeds 2 --no-cache"
    settings = read_request([*words.split(), "--baselines", "zero, ridge", "--set", "models.units=8"], CLOCK).settings
    assert settings.feeds.symbols == ("ETH/USDT", "BTC/USDT")
    assert (settings.strategies.cash, settings.strategies.fee_bps) == (500.0, 1.5)
    assert (settings.models.train_window.days, settings.models.retrain_every.days, settings.models.seeds) == (90, 7, 2)
    assert (settings.models.baselines, settings.models.units, settings.models.cache) == (("zero", "ridge"), 8, False)


def test_a_file_may_stand_for_its_symbol() -> None:
    assert read_request(["--data", "SPY=spy.csv"], CLOCK).files == {"SPY": Path("spy.csv")}
    request = read_request(["--symbol", "BTC/USDT", "--data", "btc.csv.gz"], CLOCK)
    assert (request.files, request.settings.feeds.symbols) == ({"BTC/USDT": Path("btc.csv.gz")}, ("BTC/USDT",))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--from 2023-01-01 --to 2022-01-01", "--from 2023-01-01 is not before --to 2022-01-01"),
        ("--from 2027-01-01", "lies in the future"),
        ("--from 2022-01-01 --to 2027-01-01", "--to 2027-01-01 lies in the future"),
        ("--from yesterday", "'yesterday' is not a date; write it as"),
        ("--cash 0", "strategies.cash"),
        ("--fee-bps -1", "strategies.fee_bps"),
        ("--slippage-bps lots", "strategies.slippage_bps"),
        ("--seeds 0", "models.seeds"),
        ("--train-window long", "'long' is not a span of time"),
        ("--symbol BTC/USDT --symbol BTC/USDT", "named twice"),
        ("--data A=a.csv --data b.csv", "write it as SYMBOL=FILE"),
        ("--symbol X --data Y=y.csv", "add --symbol Y"),
        ("--set models.lookbak=3", "models.lookbak: no such setting"),
        ("--tradefrom 2022-01-01", "unrecognized arguments: --tradefrom"),
        ("--source cloud", "invalid choice: 'cloud'"),
        ("--config nowhere.yaml", "nowhere.yaml does not exist"),
    ],
)
def test_a_mistake_is_one_line_with_exit_code_2(words: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_request(words.split(), CLOCK)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_an_unknown_flag_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean '--retrain-every'"):
        read_request(["--retrain-evry", "7d"], CLOCK)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--set strategies.horizon=7", "strategies.horizon 7 is not among models.horizons"),
        ("--baselines lightgmb", "did you mean 'lightgbm'"),
        ("--strategy nowhere:Nothing", "there is no module nowhere"),
    ],
)
def test_what_cannot_end_well_is_refused_before_anything_long_begins(words: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check(read_request(words.split(), CLOCK))


def test_an_output_folder_that_is_none_is_refused_before_anything_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    for folder, said in (
        ("file", "is a file, and no folder"),
        ("a" * 300, "the name is too long"),
        ("/proc/runs", "nothing can be written"),
    ):
        assert command(["--from", "2022-01-01", "--source", "sample", "--out", folder], CLOCK) == 2
        told = capsys.readouterr()
        assert said in told.err and told.err.count("\n") == 1 and not told.out
